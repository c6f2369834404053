"""The patches of a training run: found, labelled, split, and loaded in batches."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from histocnn.cohort import check_leakage, read_cohort
from histocnn.errors import CohortError, PatchesError, TrainingError
from histocnn.models.augment import Pipeline
from histocnn.models.recipe import Recipe
from histocnn.models.samples import (
    Collate,
    EpochSampler,
    PatchDataset,
    Rows,
    class_weights,
    one_thread,
)
from histocnn.patches import Patches, open_patches
from histocnn.slides.stain import Normaliser
from histocnn.splits import read_split, split

log = logging.getLogger(__name__)

Part = Literal["train", "val", "test"]
Balance = Literal["none", "loss", "sampler"]
SPLITS: tuple[Part, ...] = ("train", "val", "test")
MAX_UNREADABLE = 0.01  # of all patches; one in a hundred may be lost, more is another problem
FEW_UNREADABLE = 5


class PatchDataModule(LightningDataModule):
    """Labelled patches in three splits.

    Args:
        patches: A folder of grids, a folder of images by class, or a CSV of images.
        slides: Where the slides of grids are now; a slides.csv with splits decides them.
        patient_pattern: Regular expression that finds the patient in an image's path.
        class_names: The classes in order; default: those that occur, sorted.
        split_by: `patient` (slide where no patient is known), or `file`: optimistic.
        fractions: Of train, val and test.
        folds: Instead of fractions k folds by turns: `fold` is test, the next val.
        fold: Which, from 0.
        split_file: A split.csv of an earlier run, to be used again.
        max_per_class: A quick run on so many patches per class, drawn by seed.
        balance: Against unequal classes: weights in the loss, or a sampler that evens them out.
        augment: `none`, `light`, `histology`, or steps as {class_path: …, init_args: {…}}.
        input_px: Side to which patches are scaled; default: as they are.
        stain: Macenko normalisation, estimated per slide or (with seams) per patch.
        batch_size: Patches per step and process.
        workers: Processes that read and augment; 0: the main process does.
        start: How workers start.
        seed: Of split, order and augmentation; follows seed_everything.

    Raises:
        HistocnnError: See `open_patches`, `splits.split`; a single or an empty class, labels
            outside `class_names`, sizes that differ.
    """

    def __init__(
        self,
        patches: Path,
        slides: Path | None = None,
        patient_pattern: str | None = None,
        class_names: list[str] | None = None,
        split_by: Literal["patient", "file"] = "patient",
        fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
        folds: int | None = None,
        fold: int = 0,
        split_file: Path | None = None,
        max_per_class: int | None = None,
        balance: Balance = "none",
        augment: str | list[dict[str, Any]] = "histology",
        input_px: int | None = None,
        stain: Literal["none", "slide", "patch"] = "none",
        batch_size: int = 64,
        workers: int = 2,
        start: Literal["fork", "spawn"] = "fork",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.pipeline = Pipeline(augment)
        self.batch_size, self.workers, self.start, self.seed = batch_size, workers, start, seed
        self.balance = balance
        self.stain = None if stain == "none" else Normaliser(per_patch=stain == "patch").to_dict()
        rows = gather(open_patches(Path(patches), slides=slides, patient_pattern=patient_pattern),
                      class_names, slides)  # fmt: skip
        if max_per_class is not None:
            rows = rows.take(_at_most(rows.labels, max_per_class, seed))
        given = all(rows.splits)
        self.groups = group(rows, "given" if given else split_by)
        if split_file is not None:
            parts = read_split(split_file, self.groups)
        elif given:
            parts = np.array(rows.splits)
        else:
            parts = split(rows.labels, self.groups, fractions=fractions, folds=folds, fold=fold,
                          seed=seed)  # fmt: skip
        check(rows, parts)
        self.parts = parts
        self.rows: dict[Part, Rows] = {p: rows.take(np.flatnonzero(parts == p)) for p in SPLITS}
        self.class_names = list(rows.class_names)
        self.patch_px, self.mpp = _same(rows, "patch_px"), _same(rows, "mpp")
        self.input_px = input_px
        if input_px is None and self.patch_px is None:
            raise PatchesError(
                f"{patches}: its patches are of several sizes or not square",
                "Say with --data.input_px to which side they shall be scaled",
            )
        self.problems: dict[str, None] = {}  # as a set that keeps its order

    @property
    def side_px(self) -> int:
        """Side of the patches in a batch; `recipe.to_input` scales them to `input_px`."""
        return cast(int, self.patch_px or self.input_px)

    @property
    def class_weights(self) -> list[float] | None:
        """What the loss multiplies each class with, if `balance` is `loss`."""
        if self.balance != "loss":
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

    def loader(
        self, part: Part, *, train: bool = False, limit: int | None = None
    ) -> DataLoader[Any]:
        """Batches of a split: as it is, once (or a draw of `limit` rows); or as training has it."""
        rows = self.rows[part]
        if limit is not None and len(rows) > limit:
            rng = np.random.default_rng(self.seed)
            rows = rows.take(np.sort(rng.permutation(len(rows))[:limit]))
        weights = None
        if train and self.balance == "sampler":
            weights = class_weights(rows.labels, len(self.class_names)).numpy()[rows.labels]
        dataset = PatchDataset(
            rows,
            self.pipeline if train else Pipeline("none"),
            side_px=self.side_px,
            may_scale=self.input_px is not None,
            recipe=Recipe("", stain=self.stain),
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
            batch_size=self.batch_size,
            sampler=sampler,
            collate_fn=Collate(self.side_px),
            num_workers=self.workers,
            worker_init_fn=one_thread,
            multiprocessing_context=self.start if self.workers else None,
            persistent_workers=train and self.workers > 0,
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
        """Name what could not be read, once; stop where it is too much.

        Raises:
            TrainingError: More than 1 % of all patches cannot be read.
        """
        for problem in batch.pop("problems"):
            if problem not in self.problems:
                self.problems[problem] = None
                log.warning("left out: %s", problem)
        total = sum(map(len, self.rows.values()))
        if len(self.problems) > max(FEW_UNREADABLE, MAX_UNREADABLE * total):
            raise TrainingError(
                f"{len(self.problems)} of {total} patches could not be read, the last: "
                f"{next(reversed(self.problems))}",
                "Repair the data; losing more than 1 % is refused",
            )
        return batch


def gather(
    sources: Sequence[Patches], class_names: Sequence[str] | None, slides: Path | None
) -> Rows:
    """All labelled patches of the sources, classes matched by name.

    Raises:
        PatchesError: No labels, one class only, a class without patches, a label that is not in
            `class_names`.
    """
    found = sorted({name for s in sources for name in s.class_names})
    names = list(class_names or found)
    outside = [name for name in found if name not in names]
    if outside:
        raise PatchesError(
            f"the patches have labels that are not in class_names: {', '.join(outside)}",
            f"class_names is {', '.join(names)}: add them, or take those patches out",
        )
    from_csv = slides is not None and slides.suffix == ".csv"
    given = {e.slide_id: e.split or "" for e in read_cohort(slides)} if from_csv and slides else {}
    columns: defaultdict[str, list[Any]] = defaultdict(list)
    for number, source in enumerate(sources):
        index = np.array([*(names.index(name) for name in source.class_names), -1])
        labels = index[source.labels]
        rows = np.flatnonzero(labels >= 0)
        columns["source"].append(np.full(len(rows), number))
        columns["row"].append(rows)
        columns["labels"].append(labels[rows])
        lists = {"patient": source.patient_ids, "slide": source.slide_ids, "split": source.splits}
        for column, values in lists.items():
            columns[column] += [values[row] for row in rows]
    columns["split"] = [
        part or given.get(slide, "")
        for part, slide in zip(columns["split"], columns["slide"], strict=True)
    ]
    arrays = {k: np.concatenate([np.empty(0, np.int64), *columns[k]]).astype(np.int64)
              for k in ("source", "row", "labels")}  # fmt: skip
    counts = np.bincount(arrays["labels"], minlength=len(names))
    empty = [name for name, count in zip(names, counts, strict=True) if not count]
    if not len(arrays["labels"]) or len(names) < 2 or empty:
        what = f"class {', '.join(empty)} has no patches" if empty and names else "no labels"
        what = what if empty or not names else f"only the class {names[0]}"
        raise PatchesError(f"nothing can be learnt: {what}", "Give patches of two classes or more")
    return Rows(
        sources, arrays["source"], arrays["row"], arrays["labels"], tuple(names),
        columns["patient"], columns["slide"], columns["split"],
    )  # fmt: skip


def group(rows: Rows, split_by: Literal["patient", "file", "given"]) -> list[str]:
    """What must stay in one split: each row's patient, slide or file.

    By patient, a row's slide stands in where its patient is not known; where the split is given,
    its file stands in for both.

    Raises:
        CohortError: By patient, and neither patient nor slide is known of some row.
    """
    if split_by == "file":
        log.warning("split by file: patches of one patient are in several splits, so the figures "
                    "will be optimistic")  # fmt: skip
        return [rows.name(i) for i in range(len(rows))]
    groups = [p or s for p, s in zip(rows.patient_ids, rows.slide_ids, strict=True)]
    if split_by == "given":
        return [g or rows.name(i) for i, g in enumerate(groups)]
    unknown = groups.count("")
    if unknown:
        raise CohortError(
            f"of {unknown} patches neither patient nor slide is known, first "
            f"{rows.name(groups.index(''))}",
            "Give --data.patient_pattern or a patient_id column; if patients are truly unknown, "
            "--data.split_by file",
        )
    by_slide = sum(not p for p in rows.patient_ids)
    if by_slide:
        log.warning("%d patches are split by slide, because their patient is not known", by_slide)
    return groups


def check(rows: Rows, parts: NDArray[np.str_]) -> None:
    """Refuse splits that share a patient, a slide or the same bytes, or that are empty.

    Raises:
        CohortError: Names them.
    """
    check_leakage(rows.patient_ids, [str(part) for part in parts])
    for part in SPLITS:
        if not (parts == part).any():
            raise CohortError(f"the {part} split is empty", "Change fractions, folds or split_file")
    same = defaultdict(list)
    for index, size in enumerate(_sizes(rows)):
        same[size].append(index)
    for size, indices in same.items():
        if size and len(set(parts[indices])) > 1:
            _check_bytes(rows, parts, indices)


def _sizes(rows: Rows) -> list[int]:
    """Bytes of each image file; 0 for a patch of a slide, which is no file."""
    return [
        path.stat().st_size if (path := _path(rows, i)) is not None and path.exists() else 0
        for i in range(len(rows))
    ]


def _path(rows: Rows, index: int) -> Path | None:
    source = rows.sources[rows.source[index]]
    if source.paths is None:
        return None
    root: str = source.attributes["slide_path"]
    return Path(root, source.paths[rows.row[index]])


def _check_bytes(rows: Rows, parts: NDArray[np.str_], indices: Sequence[int]) -> None:
    first: dict[bytes, int] = {}
    for index in indices:
        digest = hashlib.sha256(cast(Path, _path(rows, index)).read_bytes()).digest()
        other = first.setdefault(digest, index)
        if parts[other] != parts[index]:
            raise CohortError(
                f"{rows.name(other)} ({parts[other]}) and {rows.name(index)} ({parts[index]}) are "
                "the same image",
                "Remove one, or put both into one split",
            )


def _at_most(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    order = np.random.default_rng(seed).permutation(len(labels))
    kept = [order[labels[order] == c][:count] for c in np.unique(labels)]
    return np.sort(np.concatenate(kept))


def _same(rows: Rows, attribute: str) -> Any:
    """The value that all sources share; None where they differ."""
    values = {getattr(source, attribute) for source in rows.sources}
    return values.pop() if len(values) == 1 else None
