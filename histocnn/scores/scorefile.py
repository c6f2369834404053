"""Score files as everybody reads them: checked once, when they are opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.seen import SEEN
from histocnn.errors import StoreError
from histocnn.patches import door
from histocnn.patches.grid import PatchGrid
from histocnn.patches.patch_set import QUALITY
from histocnn.patches.patches import id_of
from histocnn.storage import store
from histocnn.storage.hdf5 import check_is_hdf5

SCALE = ("size_l0", "slide_mpp", "patch_px", "mpp", "stride_px")  # what a grid is made of
MOST_CELLS = 2e8  # of a grid: 14,000 each way, a slide of 3 cm at 2 µm
MOST_OVERLAPS = 256  # patches along an axis that share a point
OFF_GRID_L0 = 1  # level-0 px that rounding explains
PLAIN = (
    "excluded", "labels", "novelty", "paths", "patient_ids", "seen", "seen_by", "slide_ids",
    "stain_groups", "state", *QUALITY,
)  # fmt: skip
ROW_SHAPES: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("coords", "cell"), (2,)),
    "colour": (6,),
    **dict.fromkeys(PLAIN, ()),
}


@dataclass(frozen=True, eq=False)
class ScoreFile:
    """One score file, opened by `open_score_file`: N patches, C classes; arrays are read on demand.

    Attributes:
        path: Where it is.
        attributes: What it says of slide, scale and making.
        shapes: Its datasets, and their shapes.
        class_names: The C classes of the scores; the file's own, matched with others by name.
    """

    path: Path
    attributes: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return self.shapes["scores"][0]

    @property
    def slide_id(self) -> str:
        """The slide, or the name of the folder of images."""
        return id_of(self.attributes, self.path)

    @property
    def is_slide(self) -> bool:
        """Whether its patches lie on one slide."""
        return "coords" in self.shapes

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """The classes that `labels` point into; None where the file has no truth."""
        names = self.attributes.get("labels.class_names")
        return None if names is None or "labels" not in self.shapes else tuple(map(str, names))

    def read(self, *names: str) -> dict[str, Any]:
        """Read those of the named datasets that the file has."""
        present = [name for name in names if name in self.shapes]
        return door.read(self.path, *present) if present else {}

    def scores(self) -> NDArray[np.float32]:
        """float32 [N, C]; a row of NaN was not scored."""
        return np.asarray(self.read("scores")["scores"], np.float32)

    def labels(self) -> NDArray[np.int64]:
        """int64 [N], index into `label_names`, -1 unknown.

        Raises:
            StoreError: One points at no class.
        """
        names = self.label_names
        if names is None:
            return np.full(len(self), -1, np.int64)
        labels = np.asarray(self.read("labels")["labels"], np.int64)
        if len(labels) and not -1 <= labels.min() <= labels.max() < len(names):
            raise StoreError(
                f"{self.path}: labels {labels.min()} to {labels.max()} of {len(names)} classes",
                "Make the grid and the scores again.",
            )
        return labels

    def colour(self) -> NDArray[np.float32]:
        """float32 [N, 6]: RGB mean and deviation, NaN where the file has none."""
        absent = np.full((len(self), 6), np.nan)
        return np.asarray(self.read("colour").get("colour", absent), np.float32)

    def quality(self) -> dict[str, NDArray[np.float32]]:
        """Blur and shares of pen, folds and edges, float32 [N] each; empty where not measured."""
        found = self.read(*QUALITY)
        return {name: np.asarray(values, np.float32) for name, values in found.items()}

    def novelty(self) -> NDArray[np.float32] | None:
        """float32 [N], percentile 0 to 100; None where nobody asked for it."""
        return self.read("novelty").get("novelty")

    def sets(self) -> NDArray[np.bool_] | None:
        """Bool [N, C], the classes that a patch may be; None without `predict --confidence`."""
        return self.read("sets").get("sets")

    def uncertain(self) -> NDArray[np.bool_] | None:
        """Bool [N]: scored patches whose set is empty or has several classes; None without sets."""
        sets = self.sets()
        if sets is None:
            return None
        scored = ~np.isnan(self.scores()).any(axis=1)
        return np.asarray((sets.sum(axis=1) != 1) & scored)

    def slide_ids(self) -> list[str]:
        """The slide of each patch, "" unknown."""
        own = self.slide_id if self.is_slide else ""
        return self.read("slide_ids").get("slide_ids") or [own] * len(self)

    def patient_ids(self, of_slide: str | None = None) -> list[str]:
        """The patient of each patch, "" unknown; `of_slide` knows better than the file."""
        own = (of_slide or self.attributes.get("patient_id") or "") if self.is_slide else ""
        return self.read("patient_ids").get("patient_ids") or [str(own)] * len(self)

    def stain_groups(self) -> list[str]:
        """What stands in for each patch's patient where nobody knows it, "" nothing."""
        return self.read("stain_groups").get("stain_groups") or [""] * len(self)

    def seen(self) -> NDArray[np.int64]:
        """int64 [N], index into SEEN: whether what scored had seen the patch's patient."""
        said = self.read("seen").get("seen") or [self.attributes.get("seen")] * len(self)
        unknown = SEEN.index("unknown")
        return np.array([SEEN.index(s) if s in SEEN else unknown for s in said], np.int64)

    def shared_patient(self) -> NDArray[np.bool_]:
        """Bool [N]: the patch's patient was seen, but not its slide, as far as is known."""
        said = self.read("seen_by").get("seen_by") or [self.attributes.get("seen_by")] * len(self)
        return np.array([by == "patient" for by in said], bool)

    def grid(self) -> PatchGrid:
        """The grid that the patches lie on; figures of single patches need none.

        Raises:
            StoreError: They are image files, the scale is not known, or they do not lie where a
                grid from (0, 0) has them, each in a cell of its own.
        """
        coords, grid = self._placed()
        off_px = int(np.abs(grid.coords - coords).max(initial=0))
        if off_px > OFF_GRID_L0:
            raise StoreError(
                f"{self.path}: patches lie up to {off_px} level-0 pixels off a grid that starts at "
                "(0, 0)",
                "Tile the slide with histocnn and score these patches, or pictures would not line "
                "up.",
            )
        if ((grid.cell < 0) | (grid.cell >= grid.shape)).any():
            raise StoreError(
                f"{self.path}: patches lie outside the slide's {grid.size_l0[0]} × "
                f"{grid.size_l0[1]} level-0 pixels",
                "Tile the slide with histocnn and score these patches.",
            )
        doubled = len(grid) - len(np.unique(grid.cell @ [grid.shape[1], 1]))
        if doubled:
            raise StoreError(
                f"{self.path}: {doubled} patches lie in the cell of another one",
                "Tile the slide with histocnn and score these patches.",
            )
        return grid

    def boxes_l0(self) -> NDArray[np.float64]:
        """Extent of each patch: float64 [N, 4], (minx, miny, maxx, maxy) in level-0 px.

        Exact on a grid of ours, else from the coordinates, which are whole pixels.

        Raises:
            StoreError: The patches are image files, or the scale is not known.
        """
        footprint = self.attributes.get("footprint_l0")  # foreign files know it, not their µm/px
        if footprint is not None:
            coords = self._coords()
        else:
            coords, grid = self._placed()
            if np.abs(grid.coords - coords).max(initial=0) <= OFF_GRID_L0:
                return grid.boxes_l0()
            footprint = grid.footprint_l0
        return np.hstack([coords, coords + np.asarray(footprint, np.float64)])

    @property
    def size_l0(self) -> tuple[int, int]:
        """Width and height of the slide's level 0, px.

        Raises:
            StoreError: The file does not say them.
        """
        self._check_said("size_l0")
        width, height = self.attributes["size_l0"]
        return int(width), int(height)

    def _placed(self) -> tuple[NDArray[np.int64], PatchGrid]:
        """The coordinates as they are, and the grid that comes nearest to them."""
        coords = self._coords()
        self._check_said(*SCALE)
        columns, rows = (
            size / (self.attributes["stride_px"] * self.attributes["mpp"] / own)
            for size, own in zip(self.size_l0, self.attributes["slide_mpp"], strict=True)
        )
        reach = self.attributes["patch_px"] / self.attributes["stride_px"]
        if columns * rows > MOST_CELLS or not 1 <= reach <= MOST_OVERLAPS:
            raise StoreError(
                f"{self.path}: its patches of {self.attributes['patch_px']} px at every "
                f"{self.attributes['stride_px']} px would need {columns * rows:.3g} cells",
                "Tile the slide again with histocnn.",
            )
        cell = self.read("cell").get("cell")
        return coords, PatchGrid.from_attributes(self.attributes, coords, cell)

    def _coords(self) -> NDArray[np.int64]:
        if not self.is_slide:
            raise StoreError(
                f"{self.path}: its patches are image files without a place on a slide",
                "Score the patches that `histocnn tile` cuts from a slide.",
            )
        return np.asarray(self.read("coords")["coords"])

    def _check_said(self, *names: str) -> None:
        missing = [name for name in names if name not in self.attributes]
        if missing:
            raise StoreError(
                f"{self.path}: does not say its {', '.join(missing)}",
                "Tile the slide again with histocnn, so that its scale is known.",
            )


def score_files(scores: Path) -> list[Path]:
    """The score files of a folder, or the one that is named.

    Raises:
        StoreError: There is none, or the one that is named is plainly something else.
    """
    if scores.is_file():
        check_is_hdf5(scores)
        return [scores]
    files = sorted(scores.glob("*.h5"))
    if not files:
        raise StoreError(f"{scores}: no score files", "Give the folder that predict or knn wrote.")
    return files


def open_scores(scores: Path) -> list[ScoreFile]:
    """Open every score file of a folder, or one file.

    Raises:
        StoreError: There is none, two are of one slide, or as `open_score_file`.
    """
    files = [open_score_file(path) for path in score_files(scores)]
    first: dict[str, ScoreFile] = {}
    for file in files:
        if (other := first.setdefault(file.slide_id, file)) is not file:
            raise StoreError(
                f"{file.path}: scores of {file.slide_id}, as {other.path.name} beside it",
                "Keep one of them, or every patch would count twice.",
            )
    return files


def open_score_file(path: Path) -> ScoreFile:
    """Open a file that predict, knn, probe or train wrote, and check that its parts fit.

    Raises:
        StoreError: It is not whole, holds no scores, or its datasets do not fit each other.
    """
    attributes = door.attributes(path)  # says what is wrong with a file that is not whole
    shapes = store.shapes(path)
    names = attributes.get("scores.class_names")
    if "scores" not in shapes or not names:
        raise StoreError(f"{path}: holds no scores", "Give the folder that predict or knn wrote.")
    if len(set(names)) < len(names):
        raise StoreError(f"{path}: two of its classes bear one name", "Score the slide again.")
    place = next((name for name in ("coords", "paths") if name in shapes), "scores")
    rows = shapes[place][0] if shapes[place] else 0
    if shapes["scores"] != (rows, len(names)):
        raise StoreError(
            f"{path}: scores {shapes['scores']} do not fit {rows} patches and {len(names)} classes",
            "Score the slide again.",
        )
    for name, shape in {**ROW_SHAPES, "sets": (len(names),)}.items():
        if shapes.get(name, (rows, *shape)) != (rows, *shape):
            raise StoreError(
                f"{path}: {name} {shapes[name]} do not fit {rows} patches", "Score the slide again."
            )
    return ScoreFile(path, attributes, shapes, tuple(map(str, names)))
