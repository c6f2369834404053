"""Single patches as training sees them: a dataset, its order in every epoch, its batches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from histocnn.errors import PatchesError, SlideError
from histocnn.models.augment import Pipeline
from histocnn.models.rows import Rows
from histocnn.models.spec import ModelSpec
from histocnn.models.suitable import normaliser
from histocnn.patches.images import resize
from histocnn.reference.colour import colour

Key = tuple[int, int]  # epoch, index into the rows


class Sample(NamedTuple):
    """One patch: pixels uint8 [side, side, 3], or why they could not be read.

    unstained: its name, where there was no stain to normalise it by.
    """

    row: int
    pixels: NDArray[np.uint8] | None
    label: int = -1
    colour: NDArray[np.float32] | None = None
    problem: str = ""
    unstained: str = ""


class PatchDataset(Dataset[Sample]):
    """Patches by (epoch, index), so that augmentation is a function of seed, epoch and index.

    Args:
        rows: The patches.
        pipeline: Augmentation.
        side_px: Of every patch.
        may_scale: False: a patch of another size is an error. One that is shorter on one side, cut
            at the slide's edge, is padded white.
        spec: Says how stain is normalised.
        seed: Of the augmentation.
    """

    def __init__(
        self,
        rows: Rows,
        pipeline: Pipeline,
        *,
        side_px: int,
        may_scale: bool,
        spec: ModelSpec,
        seed: int,
    ) -> None:
        self.rows = rows
        self.pipeline = pipeline
        self.side_px = side_px
        self.may_scale = may_scale
        self.seed = seed
        self.spec = spec
        self._normalisers: dict[int, Callable[..., NDArray[np.uint8]] | None] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Key) -> Sample:
        epoch, index = key
        source = int(self.rows.source[index])
        try:
            pixels = self.rows.sources[source].patch(int(self.rows.row[index]))
        except (PatchesError, SlideError) as error:
            return Sample(index, None, problem=str(error))
        longest = max(pixels.shape[:2])
        if longest != self.side_px and not self.may_scale:
            raise PatchesError(
                f"{self.rows.name(index)}: {longest} px among patches of {self.side_px} px",
                "Bring all to one µm/px, or give --data.input_px to scale them.",
            )
        pixels = resize(pixels, self.side_px)
        colours = colour(pixels[None])[0]
        read, unstained = pixels, ""
        if normalise := self._normaliser(source):
            pixels = normalise(read)
            unstained = self.rows.name(index) if pixels is read else ""
        seed = np.random.SeedSequence((self.seed, epoch, index)).generate_state(1)[0]
        pixels = self.pipeline(pixels, int(seed))
        return Sample(index, pixels, int(self.rows.labels[index]), colours, unstained=unstained)

    def _normaliser(self, source: int) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None:
        """Make it where it is needed, in the worker: it may read the slide."""
        if source not in self._normalisers:
            self._normalisers[source] = normaliser(self.spec, self.rows.sources[source])
        return self._normalisers[source]


class EpochSampler(Sampler[Key]):
    """Keys (epoch, index) of this process, in an order that seed and epoch alone decide.

    Args:
        size: Rows.
        shuffle: Draw an order; False: all rows, dealt to the processes in turn, none repeated.
        seed: Of the order.
        rank: Of this process.
        world: Processes. Shuffled, all get equally many rows: at most world - 1 are left out.
        weights: float [size]: rows are drawn with replacement, in this proportion.
    """

    def __init__(
        self,
        size: int,
        *,
        shuffle: bool,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        self.size, self.shuffle, self.seed = size, shuffle, seed
        self.rank, self.world, self.weights = rank, world, weights
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch, and after a checkpoint was loaded."""
        self.epoch = epoch

    def __len__(self) -> int:
        if self.shuffle:
            return self.size // self.world
        return len(range(self.rank, self.size, self.world))

    def __iter__(self) -> Iterator[Key]:
        order = np.arange(self.size)
        if self.shuffle:
            rng = np.random.default_rng((self.seed, self.epoch))
            if self.weights is None:
                order = rng.permutation(self.size)
            else:
                order = rng.choice(self.size, self.size, p=self.weights / self.weights.sum())
            order = order[: self.size // self.world * self.world]
        return iter([(self.epoch, int(i)) for i in order[self.rank :: self.world]])


class Collate:
    """Samples to a batch of tensors; what could not be read is left out and named.

    A class, so that workers started by spawn can be sent it.
    """

    def __init__(self, side_px: int) -> None:
        self.side_px = side_px

    def __call__(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """{"pixels": uint8 [B, H, W, 3], "labels", "rows", "colour" [B, 6], "problems": [], …}."""
        good = [s for s in samples if s.pixels is not None]
        shape = (len(good), self.side_px, self.side_px, 3)
        pixels = torch.empty(shape, dtype=torch.uint8)
        for target, sample in zip(pixels, good, strict=True):
            target.copy_(torch.from_numpy(sample.pixels))
        colours = np.array([s.colour for s in good], np.float32).reshape(-1, 6)
        return {
            "pixels": pixels,
            "labels": torch.tensor([s.label for s in good], dtype=torch.long),
            "rows": torch.tensor([s.row for s in good], dtype=torch.long),
            "colour": torch.from_numpy(colours),
            "problems": [s.problem for s in samples if s.pixels is None],
            "unstained": [s.unstained for s in samples if s.unstained],
        }


def begin_loader(worker: int) -> None:
    """Keep a loader's process to its one core, and quiet when training ends before it does.

    Its siblings are on the other cores. What a patch raises goes to training; what its threads
    raise, when training is no longer there, nobody needs to know.
    """
    cv2.setNumThreads(1)
    sys.excepthook = lambda *_: None


def class_weights(labels: NDArray[np.int64], num_classes: int) -> Tensor:
    """float32 [C]: inverse frequency, so that every class weighs the same; 1 where balanced."""
    counts = np.bincount(labels, minlength=num_classes)
    return torch.from_numpy(len(labels) / (num_classes * np.maximum(counts, 1))).float()
