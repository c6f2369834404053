"""Patches: rows of pixels with what is known of each, be they a slide's grid or image files.

Whatever a stage reads or writes, a grid, features, scores, a folder of images, opens as the same
`Patches`, so that every stage can carry on labels and places and ask for pixels again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.patches.begun import Begun
from histocnn.patches.gridpixels import GridPixels
from histocnn.patches.images import ImageFiles
from histocnn.slides.stain import Stains
from histocnn.slides.stream import Batch

Datasets = dict[str, Any]
QUALITY = ("blur_um", "pen_fraction", "fold_fraction", "edge_fraction")
CARRIED = (
    "coords",
    "cell",
    "tissue_fraction",
    "coverage",
    "paths",
    "slide_ids",
    "patient_ids",
    "stain_groups",
    "labels",
    "excluded",
    "state",
    "colour",
    *QUALITY,
)


class Patches(ABC):
    """Patches of one slide, or of one folder or CSV of image files, in a fixed order."""

    _begun: tuple[tuple[int, int], Begun] | None = None
    _then: Callable[[], None] | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """The slide's id, or the folder's or CSV's name; names the output file of a stage."""

    @cached_property
    @abstractmethod
    def datasets(self) -> Datasets:
        """The arrays and lists with one entry per patch that stages copy on."""

    @cached_property
    @abstractmethod
    def attributes(self) -> dict[str, Any]:
        """The file attributes that stages copy on."""

    @cached_property
    @abstractmethod
    def pixels(self) -> GridPixels | ImageFiles:
        """Where the pixels come from; opened when first asked."""

    def close(self) -> None:
        """Give back what is open or in memory; all of it is there again when asked for."""
        self._drop_begun()
        self.__dict__.pop("labels", None)

    def patch(self, row: int) -> NDArray[np.uint8]:
        """Read pixels [H, W, 3] of one patch; PatchesError or SlideError if they cannot be had."""
        return self.pixels.read(row)

    def batches(
        self,
        batch_size: int = 64,
        threads: int = 2,
        rows: Sequence[int] | None = None,
        size_px: int | None = None,
    ) -> Iterator[Batch]:
        """Batches of pixels uint8 [B, H, W, 3] in the order of `rows` (default: all).

        A patch that cannot be read is white and marked. `size_px` resizes every patch.

        Raises:
            PatchesError: The slide or all files are gone; sizes differ and no `size_px` is given.
        """
        if rows is None and size_px is None:
            return self._all(batch_size, threads)
        chosen = range(len(self)) if rows is None else rows
        return self.pixels.batches(batch_size, threads, chosen, size_px)

    def begin(self, batch_size: int, threads: int) -> Begun:
        """Begin to read all patches, in threads; `batches` asked for the same goes on with them.

        An error of reading is raised there. Nothing happens where they have been begun so.
        """
        how = batch_size, threads
        if self._begun is None or self._begun[0] != how:
            self._drop_begun()
            self._begun = how, Begun(self.pixels.batches(*how, range(len(self)), None))
        return self._begun[1]

    def when_read(self, call: Callable[[], None]) -> None:
        """Have something called as soon as `batches` has no more of all patches to read."""
        self._then = call

    def _all(self, batch_size: int, threads: int) -> Iterator[Batch]:
        begun, left = self.begin(batch_size, threads), len(self)
        self._begun = None
        for batch in begun.batches():
            left -= len(batch.rows)
            if not left and self._then is not None:
                self._then()
            yield batch

    def _drop_begun(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            begun[1].close()

    def check_same(self) -> None:
        """Refuse what was read of a slide that was changed meanwhile: SlideError."""
        if isinstance(self.pixels, GridPixels):
            self.pixels.check_same()

    @property
    def problems(self) -> list[str]:
        """One line per image file that could not be read so far."""
        return list(self.pixels.problems)

    def stains(self) -> Stains | None:
        """The stains of the slide; None for image files, or where too little is stained."""
        return self.pixels.stains() if isinstance(self.pixels, GridPixels) else None

    @property
    def slide_id(self) -> str:
        """The name, under which `jobs.run.run` keeps the output."""
        return self.name

    def __len__(self) -> int:
        return len(self.datasets["coords" if "coords" in self.datasets else "paths"])

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """int64 [N]: index into `class_names`, -1 unknown."""
        if "labels" not in self.datasets:
            return np.full(len(self), -1, np.int64)
        return np.asarray(self.datasets["labels"], np.int64)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels; empty where none are known."""
        return tuple(self.attributes.get("labels.class_names", ()))

    @property
    def slide_ids(self) -> list[str]:
        """The slide of each patch, "" unknown."""
        return self._known("slide_ids", self.name)

    @property
    def slide_fingerprint(self) -> str:
        """Of the slide's file; "" for image files, and where nobody recorded it."""
        return (self.attributes.get("fingerprint") or "") if "coords" in self.datasets else ""

    @property
    def patient_ids(self) -> list[str]:
        """The patient of each patch, "" unknown."""
        if "patient_ids" in self.datasets:  # images are listed: none is opened to know whose it is
            return list(self.datasets["patient_ids"])
        return self._known("patient_ids", self.attributes.get("patient_id"))

    def _known(self, dataset: str, of_slide: str | None) -> list[str]:
        if dataset in self.datasets:
            return list(self.datasets[dataset])
        return [(of_slide or "") if "coords" in self.datasets else ""] * len(self)

    @property
    def splits(self) -> list[str]:
        """The CSV's split of each patch, "" where none is given."""
        return [""] * len(self)

    @property
    def coords(self) -> NDArray[np.int64] | None:
        """int64 [N, 2], (x, y) of the top left corner in level-0 px; None for image files."""
        return self.datasets.get("coords")

    @property
    def paths(self) -> list[str] | None:
        """Image files relative to their folder or CSV; None for a slide."""
        return self.datasets.get("paths")

    @property
    def patch_px(self) -> int | None:
        """Side of the patches, px; None for images that are not square or cannot be read."""
        return self.attributes.get("patch_px")

    @property
    def mpp(self) -> float | None:
        """µm/px of the patches; None where nobody recorded it."""
        return self.attributes.get("mpp")

    def carried(self) -> tuple[Datasets, dict[str, Any]]:
        """(datasets, attributes) that every stage writes on beside its own, the recipe aside."""
        from histocnn.patches.truth import recorded_rule  # needs shapely, which few stages do

        attributes = {k: v for k, v in self.attributes.items() if k != "recipe" and v is not None}
        rule = recorded_rule(self.attributes, Path(self.name))
        if rule is not None:  # version 0.1.0 said it in the recipe, which is not carried on
            attributes["truth"] = rule.stored()
        return dict(self.datasets), attributes

    def describe(self) -> dict[str, Any]:
        """What a recipe says of this input: the recipe of its file, or the hash of its images."""
        keys = ("fingerprint", "patch_px", "mpp", "stride_px", "recipe")
        return {k: self.attributes[k] for k in keys if self.attributes.get(k) is not None}
