"""A slide's scores, read back from the file that predict, knn or probe wrote, ready to be drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from histocnn.cohort.seen import SEEN, Verdict
from histocnn.errors import UsageError
from histocnn.metrics.terms import Terms
from histocnn.patches.grid import PatchGrid
from histocnn.reference.cover import NOT_COVERED, is_covered
from histocnn.regions.field import level_set
from histocnn.regions.raster import outline
from histocnn.scores.scorefile import open_score_file
from histocnn.storage.json import count_of

Points: TypeAlias = Mapping[str, Mapping[str, float]]  # class → operating point → threshold


@dataclass(frozen=True, eq=False)
class ScoredSlide:
    """Patches of one slide with a score per class.

    Attributes:
        slide_id: The slide.
        grid: Where the patches lie.
        scores: float32 [N, C]; a row of NaN was not scored.
        class_names: The C classes.
        novelty: float32 [N], percentile 0 to 100, NaN where unknown; None where nobody asked.
        bounds_l0: (x, y, w, h) where the slide has `openslide.bounds-*`.
        origin: What gave the scores, and whether it has seen the slide; for people.
        points: Operating points that came with the scores; empty where there are none.
        uncertain: bool [N]: scored, and the prediction set is empty or has several classes; None
            where nobody asked.
        labels: int64 [N], index into `label_names`, -1 unknown.
        label_names: The classes of the truth; empty where the file has none.
        quality: Blur and shares of pen, folds and edges, float32 [N] each; empty: not measured.
    """

    slide_id: str
    grid: PatchGrid
    scores: NDArray[np.float32]
    class_names: tuple[str, ...]
    novelty: NDArray[np.float32] | None = None
    bounds_l0: tuple[int, int, int, int] | None = None
    origin: str = ""
    points: Points = field(default_factory=dict)
    uncertain: NDArray[np.bool_] | None = None
    labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    label_names: tuple[str, ...] = ()
    quality: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def smooth(self) -> bool:
        """Whether scores may be read between the centres of cells.

        Each place then lies in 2 × 2 patches at the least, as on a dense grid; between single
        patches nothing was seen.
        """
        return 2 * self.grid.stride_px <= self.grid.patch_px

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Which patches have a score, bool [N]."""
        return np.asarray(~np.isnan(self.scores).any(axis=1))

    def only(self, class_name: str | None) -> list[int]:
        """Numbers of the wanted classes: all of them for None.

        Raises:
            UsageError: There is no such class; its names are offered.
        """
        if class_name is None:
            return list(range(len(self.class_names)))
        if class_name not in self.class_names:
            raise UsageError(
                f"{self.slide_id} has no scores for class {class_name!r}",
                f"Give --class_name one of: {', '.join(self.class_names)}.",
            )
        return [self.class_names.index(class_name)]

    def raster(self) -> NDArray[np.float32]:
        """The scores on the grid of cells, [rows, cols, C]; NaN where nothing was scored."""
        return self._raster

    @cached_property
    def _raster(self) -> NDArray[np.float32]:
        return self.grid.raster(self.scores)

    def areas_at(self, index: int, threshold: float) -> list[shapely.Polygon]:
        """Where class number `index` has at least this score, in level-0 px, with holes.

        On a smooth grid along the line where the score crosses the threshold between the centres of
        cells, else along the cells' edges; cut at the slide's edge.
        """
        values, size_l0 = self.raster()[..., index], self.grid.size_l0
        if self.smooth:
            return level_set(values, threshold, self.grid.stride_l0, size_l0)
        cells = outline(values >= threshold, self.grid.stride_l0)  # NaN is not
        return list(shapely.get_parts(shapely.clip_by_rect(cells, 0, 0, *size_l0)))

    def novelty_raster(self) -> NDArray[np.float32] | None:
        """The novelty on the grid of cells, 0 to 1, [rows, cols]; None where there is none."""
        return None if self.novelty is None else self.grid.raster(self.novelty / 100)

    def uncertain_raster(self) -> NDArray[np.float32] | None:
        """The share of uncertain patches over each cell, [rows, cols]; None where nobody asked."""
        if self.uncertain is None:
            return None
        return self.grid.raster(np.where(self.scored, self.uncertain, np.nan))

    def cell_areas_mm2(self) -> NDArray[np.float64]:
        """Area of every cell of the grid that lies on the slide, mm², [rows, cols]."""
        sides = []
        for axis, count in ((1, self.grid.shape[0]), (0, self.grid.shape[1])):
            edges = np.arange(count + 1) * self.grid.stride_l0[axis]
            inside_l0 = np.diff(np.minimum(edges, self.grid.size_l0[axis]))
            sides.append(inside_l0 * self.grid.slide_mpp[axis] / 1000)
        return np.outer(*sides)


def most_likely(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """The class of the highest score along the last axis; -1 where nothing was scored."""
    scored = ~np.isnan(scores).any(axis=-1)
    return np.where(scored, np.argmax(np.where(np.isnan(scores), -1, scores), axis=-1), -1)


def read_scored(path: Path) -> ScoredSlide:
    """Read the scores of one slide.

    Raises:
        StoreError: As `open_score_file` and `ScoreFile.grid`.
    """
    file = open_score_file(path)
    bounds = file.attributes.get("bounds_l0")
    return ScoredSlide(
        slide_id=file.slide_id,
        grid=file.grid(),
        scores=file.scores(),
        class_names=file.class_names,
        novelty=file.novelty(),
        uncertain=file.uncertain(),
        bounds_l0=None if bounds is None else (bounds[0], bounds[1], bounds[2], bounds[3]),
        origin=_origin(file.attributes),
        points=_points(file.attributes.get("thresholds"), file.class_names),
        labels=file.labels(),
        label_names=file.label_names or (),
        quality=file.quality(),
    )


def _points(stored: Any, class_names: Sequence[str]) -> dict[str, dict[str, float]]:
    """The operating points that a file names, those that are thresholds."""
    found: dict[str, dict[str, float]] = {}
    for name in class_names if isinstance(stored, Mapping) else ():
        own = stored.get(name)
        for point, facts in own.items() if isinstance(own, Mapping) else ():
            threshold = facts.get("threshold") if isinstance(facts, Mapping) else None
            if isinstance(threshold, int | float) and 0 <= threshold <= 1:
                found.setdefault(name, {})[str(point)] = float(threshold)
    return found


def _origin(stored: Mapping[str, Any]) -> str:
    """What the file says of its making: how large the training cohort or reference was, `seen`."""
    recipe, said = stored.get("recipe") or {}, []
    training = stored.get("training") or {}
    trained_on = training.get("patches", {}).get("train")
    if trained_on is not None:
        also = ", then adapted to slides without labels" * ("adapted" in training)
        said.append(f"model trained on {trained_on:,} patches{also}")
    elif "reference" in recipe:
        files = count_of(recipe["reference"])
        said.append(f"{recipe.get('stage')} on {files} reference file{'s' * (files != 1)}")
    if (terms := Terms.stored_in(stored)).forbids:
        said.append(f"{terms.encoder}: {', '.join(terms.forbids)} forbidden")
    if stored.get("seen") in SEEN:
        said.append(Verdict(stored["seen"], stored.get("seen_by") or "").stamp)
    if is_covered(stored) is False:
        said.append(NOT_COVERED)
    return " · ".join(filter(None, said))


def summarise(slide: ScoredSlide, *, top_percent: float, threshold: float) -> dict[str, float]:
    """The slide-level scores: one row of slides.csv.

    Its patches, and of these the scored ones and those that are uncertain. For every class the mean
    of the highest `top_percent` of the patches' scores (one patch at the least), their maximum, and
    the area of the cells at or above `threshold` in mm², the part outside the slide not counted.
    """
    scores = slide.scores[slide.scored]
    raster, areas = slide.raster(), slide.cell_areas_mm2()
    row: dict[str, float] = {"patches": len(slide.scores), "scored": len(scores)}
    if slide.uncertain is not None:
        row["uncertain"] = int(slide.uncertain.sum())
    if not len(scores):
        return row
    top = max(1, math.ceil(len(scores) * top_percent / 100))
    for index, name in enumerate(slide.class_names):
        ordered = np.sort(scores[:, index])[::-1].astype(np.float64)
        above = raster[..., index] >= threshold  # NaN is not
        row[f"top_mean_{name}"] = float(ordered[:top].mean())
        row[f"max_{name}"] = float(ordered[0])
        row[f"area_mm2_{name}"] = float(areas[above].sum())
    return row
