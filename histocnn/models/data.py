"""The patches of a training run: found, labelled, split, and loaded in batches."""

from __future__ import annotations

import logging
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from histocnn.errors import PatchesError, TrainingError
from histocnn.models.abstention import check_calibration
from histocnn.models.augment import Pipeline
from histocnn.models.census import check_classes
from histocnn.models.division import admitted, decided_by, divided
from histocnn.models.hard import with_hard
from histocnn.models.options import DataOptions
from histocnn.models.rows import CALIBRATION, SPLITS, Part, Rows, gather
from histocnn.models.samples import (
    Collate,
    EpochSampler,
    PatchDataset,
    begin_loader,
    class_weights,
)
from histocnn.models.spec import ModelSpec
from histocnn.patches.patches import open_patches
from histocnn.slides.stain import Normaliser

log = logging.getLogger(__name__)

MAX_UNREADABLE = 0.01  # of all patches; one in a hundred may be lost, more is another problem
FEW_UNREADABLE = 5


class PatchDataModule(LightningDataModule):
    """Labelled patches in three splits, and a fourth where prediction sets are asked for.

    Args:
        options: Which patches, how they are split, and how they are loaded.
        seed: Of split, order and augmentation.
        without_test: Take the patients whom the split file names and nobody else: the others'
            pixels are not looked at, and there need be no test split.

    Raises:
        HistocnnError: See `open_patches`, `splits.split`; a single or an empty class, labels
            outside `class_names`, sizes that differ.
    """

    def __init__(self, options: DataOptions, seed: int = 0, *, without_test: bool = False) -> None:
        super().__init__()
        self.options, self.seed = options, seed
        self.pipeline = Pipeline(options.augment)
        self.stain = None
        if options.stain != "none":
            self.stain = Normaliser(per_patch=options.stain == "patch").to_dict()
        shared = {"allow_shared_patient": options.allow_shared_patient}
        sources = open_patches(
            options.patches,
            slides=options.slides,
            patient_pattern=options.patient_pattern,
            **shared,
        )
        rows = gather(sources, options.class_names, options.slides, **shared)
        divide = admitted if without_test else divided
        rows, groups, parts = divide(rows, options, seed)
        if options.max_per_class is not None:
            kept = _thinned(rows.labels, parts, options.max_per_class, seed)
            rows, groups, parts = rows.take(kept), [groups[i] for i in kept], parts[kept]
        self.all_rows, self.groups, self.parts = rows, groups, parts
        self.rows: dict[Part, Rows] = {
            p: rows.take(np.flatnonzero(self.parts == p))
            for p in (*SPLITS, CALIBRATION)
            if p in SPLITS or (self.parts == p).any()
        }
        check_classes(self.rows, decided_by(rows, options))
        check_calibration(self.rows, decided_by(rows, options))
        if options.hard is not None:
            self.rows["train"] = with_hard(self.rows["train"], options.hard)
        self.class_names = list(rows.class_names)
        self.patch_px, self.mpp = _same(rows, "patch_px"), _same(rows, "mpp")
        self.input_px = options.input_px
        if self.input_px is None and self.patch_px is None:
            raise PatchesError(
                f"{options.patches}: its patches are of several sizes or not square",
                "Say with --data.input_px to which side they shall be scaled.",
            )
        self.problems: dict[str, None] = {}  # as a set that keeps its order
        self.unstained: set[str] = set()  # whose stain was left as it is

    @property
    def side_px(self) -> int:
        """Side of the patches in a batch; `preparation.to_input` scales them to `input_px`."""
        return cast(int, self.patch_px or self.input_px)

    @property
    def class_weights(self) -> list[float] | None:
        """What the loss multiplies each class with, if `balance` is `loss`."""
        if self.options.balance != "loss":
            return None
        weights: list[float] = class_weights(self._train.labels, len(self.class_names)).tolist()
        return weights

    @property
    def _train(self) -> Rows:
        return self.rows["train"]

    def prior(self, part: Part) -> dict[str, float]:
        """The share of each class in a split."""
        counts = np.bincount(self.rows[part].labels, minlength=len(self.class_names))
        return {n: float(c / counts.sum()) for n, c in zip(self.class_names, counts, strict=True)}

    def learnt_prior(self) -> dict[str, float]:
        """The share of each class as training weighs it: equal where it evens them out."""
        if self.options.balance == "none":
            return self.prior("train")
        return dict.fromkeys(self.class_names, 1 / len(self.class_names))

    def loader(
        self, part: Part, *, train: bool = False, drawn: NDArray[np.int64] | None = None
    ) -> DataLoader[Any]:
        """Batches of a split: as it is, once (or the `drawn` rows of it); or as training has it."""
        rows = self.rows[part]
        if drawn is not None:
            rows = rows.take(drawn)
        weights = None
        if train and self.options.balance == "sampler":
            weights = class_weights(rows.labels, len(self.class_names)).numpy()[rows.labels]
        dataset = PatchDataset(
            rows,
            self.pipeline if train else Pipeline("none"),
            side_px=self.side_px,
            may_scale=self.input_px is not None,
            spec=ModelSpec("", stain=self.stain),
            seed=self.seed,
        )
        sampler = EpochSampler(
            len(rows),
            shuffle=train,
            seed=self.seed,
            rank=self.trainer.global_rank if self.trainer else 0,
            world=self.trainer.world_size if self.trainer else 1,
            weights=weights,
        )
        return DataLoader(
            dataset,
            batch_size=self.options.batch_size,
            sampler=sampler,
            collate_fn=Collate(self.side_px),
            num_workers=self.options.workers,
            worker_init_fn=begin_loader,
            multiprocessing_context=self.options.start if self.options.workers else None,
            persistent_workers=train and self.options.workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else it draws from the one that dropout is seeded on
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """The training split, shuffled and augmented."""
        return self.loader("train", train=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """The validation split."""
        return self.loader("val")

    def on_before_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> Any:
        """Keep whose stain was left; name what could not be read, once; stop where it is too much.

        Raises:
            TrainingError: More than 1 % of all patches cannot be read.
        """
        self.unstained.update(batch.pop("unstained"))
        for problem in batch.pop("problems"):
            if problem not in self.problems:
                self.problems[problem] = None
                log.warning("left out: %s", problem)
        total = sum(map(len, self.rows.values()))
        if len(self.problems) > max(FEW_UNREADABLE, MAX_UNREADABLE * total):
            raise TrainingError(
                f"{len(self.problems)} of {total} patches could not be read, the last: "
                f"{next(reversed(self.problems))}",
                "Repair the data: losing more than 1 % is refused.",
            )
        return batch


def _thinned(
    labels: NDArray[np.int64], parts: NDArray[np.str_], count: int, seed: int
) -> NDArray[np.int64]:
    """Rows that remain: of training `count` of each class, the other splits whole.

    Temperature and thresholds are fitted on validation, which must be as nature has it.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[parts[order] == "train"]
    drawn = [order[labels[order] == c][:count] for c in np.unique(labels)]
    return np.sort(np.concatenate([*drawn, np.flatnonzero(parts != "train")]))


def _same(rows: Rows, attribute: str) -> Any:
    """The value that all sources share; None where they differ."""
    values = {getattr(source, attribute) for source in rows.sources}
    return values.pop() if len(values) == 1 else None
