"""What is known of whole slides: labels of a grid, lesions, and the slide's class."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import HistocnnError, StoreError
from histocnn.metrics import froc
from histocnn.patches.grid import PatchGrid
from histocnn.patches.labels import area_report
from histocnn.patches.truth import (
    BORDER,
    UNKNOWN,
    PatchTruth,
    TruthRule,
    patch_truth,
    recorded_rule,
)
from histocnn.regions.annotations import Annotations
from histocnn.regions.geojson import Bounds
from histocnn.scores.scorefile import ScoreFile
from histocnn.slides.slide import Slide
from histocnn.storage.hashing import sha256

AREAS = ("annotated_um2", "in_tissue_um2", "in_patches_um2")  # as `tile` stores them of a class
SAME_AREA = 1e-6  # relative; what stored areas and measured ones may differ by

MADE = "Labelled again from slides.csv, because"
EDITED = f"{MADE} the annotation was edited after tiling"
TILED_BEFORE = f"{MADE} they were tiled without this annotation"
NO_ANNOTATION = f"{MADE} it names no annotation any more"
BACKGROUND = f"{MADE} it names another background than at tiling"
NO_LABELS = f"{MADE} the score files hold no labels"
OTHER_OUTLINES = f"{MADE} the grid's annotated areas are not those of the annotation"
DEFAULTS = (
    "Labelled from slides.csv with tile's defaults (label_coverage 0.5, max_background_coverage "
    "0, frame bounds), because the score files record no others"
)
REMADE = (EDITED, TILED_BEFORE, NO_ANNOTATION, BACKGROUND, NO_LABELS, OTHER_OUTLINES, DEFAULTS)
INFERRED = (
    "Border patches may include some that touch an exclusion region, because the score files do "
    "not say which do; with slides.csv they are left out"
)
UNRECORDED = (
    "Labels as stored, though they are not what slides.csv gives with tile's defaults and the "
    "score files do not say how they were made"
)


@dataclass(frozen=True, eq=False)
class SlideTruth:
    """The truth of one score file: as its grid stored it, or made again from slides.csv.

    The annotation is read at most once, when it is first asked for; labels, border patches, areas
    and lesions come from these same regions.

    Attributes:
        file: The scores.
        entry: The slide's row of slides.csv.
    """

    file: ScoreFile
    entry: SlideEntry | None = None

    @cached_property
    def recorded(self) -> TruthRule | None:
        """The options by which the stored truth was made; None where the file does not say."""
        return recorded_rule(self.file.attributes, self.file.path)

    @cached_property
    def rule(self) -> TruthRule:
        """The options by which the truth is made today: slides.csv decides the inputs."""
        rule = self.recorded or TruthRule()
        if self.entry is None or not self._is_told:
            return rule
        path = self.entry.annotation_path
        annotation = sha256(path) if path else None
        return replace(rule, annotation=annotation, background=self.entry.background)

    @cached_property
    def drawn(self) -> Annotations | None:
        """What is drawn on the slide by slides.csv, or None.

        Raises:
            AnnotationError: The annotation cannot be read or does not fit the slide.
        """
        if self.entry is None or self.entry.annotation_path is None:
            return None
        return self.rule.read(self.entry.annotation_path, self.file.size_l0, self._bounds_l0)

    @property
    def patches(self) -> PatchTruth | None:
        """What is known of the patches; None where nothing is."""
        return self._decided[0]

    @property
    def remark(self) -> str:
        """Why the truth is not as stored, or why that is doubtful; empty as a rule."""
        return self._decided[1]

    @property
    def border(self) -> NDArray[np.int64]:
        """The labels, border patches by their largest part; int64 [N]."""
        if self.patches is None:
            return np.full(len(self.file), -1, np.int64)
        background = self.rule.background
        if self.recorded is None and not self._is_told:
            background = _shown_background(self.patches)
        return self.patches.with_border(background)

    def areas(self) -> Mapping[str, Mapping[str, float]]:
        """Annotated area of each class and its parts, as `area_report`.

        As `tile` stored them, with the part inside tissue, or measured again.
        """
        stored = self._stored_areas
        remade = self._is_told and self.remark in REMADE
        if stored is not None and not remade:
            return stored
        if not {"slide_mpp", "size_l0"} <= self.file.attributes.keys() or self.drawn is None:
            return {}
        mpp_x, mpp_y = self.file.attributes["slide_mpp"]
        with suppress(StoreError):  # what does not say where its patches lie has none
            return area_report(self.drawn, None, self.file.boxes_l0(), (mpp_x, mpp_y))
        return {}

    @cached_property
    def _stored_areas(self) -> Mapping[str, Mapping[str, float]] | None:
        """What `tile` stored of areas; None where the file holds nothing of the kind."""
        stored = self.file.attributes.get("annotation_areas")
        if not isinstance(stored, Mapping):
            return None
        sound = all(
            isinstance(own, Mapping)
            and own.keys() >= set(AREAS)
            and all(isinstance(own[key], int | float) for key in AREAS)
            for own in stored.values()
        )
        return stored if sound else None

    @property
    def _is_told(self) -> bool:
        """Whether slides.csv says anything of the truth of this slide's patches."""
        entry = self.entry
        named = entry is not None and (entry.annotation_path or entry.background)
        return bool(named) and self.file.is_slide

    @cached_property
    def _decided(self) -> tuple[PatchTruth | None, str]:
        stored = _stored(self.file, self.rule)
        if not self._is_told:
            return stored, self._inferred(stored)
        if self.recorded is None:
            return self._unrecorded(stored)
        if stored is None or self.recorded != self.rule:
            return self._made, _difference(self.recorded, self.rule)
        if "excluded" not in self.file.shapes:  # version 0.1.0 did not store it
            stored = replace(stored, excluded=self._made.excluded)
        return stored, ""

    def _inferred(self, stored: PatchTruth | None) -> str:
        """What to say of border patches where the file does not say which are excluded."""
        if stored is None or "excluded" in self.file.shapes:
            return ""
        return INFERRED if (stored.state == BORDER).any() else ""

    def _unrecorded(self, stored: PatchTruth | None) -> tuple[PatchTruth | None, str]:
        """Beside a file that does not say how its labels were made, if it has any."""
        if stored is None or not (stored.state != UNKNOWN).any():
            return self._made, DEFAULTS
        try:
            if self._is_of_other_outlines:
                return self._made, OTHER_OUTLINES
            made = self._made
        except StoreError:  # no scale, so nothing to compare them with
            return stored, UNRECORDED
        same = _named(made) == _named(stored)
        return (made, "") if same else (stored, UNRECORDED)

    @property
    def _is_of_other_outlines(self) -> bool:
        """Whether version 0.1.0 stored areas that are not those of today's annotation."""
        stored = self._stored_areas
        if stored is None:
            return False
        mpp_x, mpp_y = self.file.attributes["slide_mpp"]
        classes = self.drawn.classes if self.drawn else {}
        today = {name: area.area * mpp_x * mpp_y for name, area in classes.items()}
        return stored.keys() != today.keys() or not all(
            np.isclose(stored[name]["annotated_um2"], today[name], rtol=SAME_AREA) for name in today
        )

    @cached_property
    def _made(self) -> PatchTruth:
        return patch_truth(self.file.boxes_l0(), self.drawn, self.rule)

    @property
    def _bounds_l0(self) -> Bounds | None:
        """The slide's bounds; foreign files do not know them, the slide does."""
        bounds: Bounds | None = self.file.attributes.get("bounds_l0")
        if bounds is None and self.recorded is None and self.entry is not None:
            with suppress(HistocnnError):
                return Slide(self.entry.slide_path).bounds_l0
        return bounds


def _stored(file: ScoreFile, rule: TruthRule) -> PatchTruth | None:
    """The truth that the file holds; None if it has no labels."""
    names = file.label_names
    if names is None:
        return None
    index, found = file.labels(), file.read("coverage", "excluded")
    columns = file.attributes.get("coverage.class_names") or names
    share = np.asarray(found.get("coverage", np.empty(0)), np.float32)
    if share.shape != (len(index), len(columns)):
        columns, share = names, np.zeros((len(index), len(names)), np.float32)
    everything = [*names, *sorted(set(columns) - set(names))]
    coverage = np.zeros((len(index), len(everything)), np.float32)
    coverage[:, [everything.index(name) for name in columns]] = share
    if "excluded" in found:
        excluded = np.asarray(found["excluded"], bool)
    else:  # what covers enough of a patch names it, unless the patch is excluded
        most = coverage.max(axis=1, initial=0)
        excluded = (index < 0) & (most >= rule.label_coverage) & (most > 0)
    return PatchTruth(everything, index, coverage, excluded)


def _shown_background(truth: PatchTruth) -> str | None:
    """The class of labelled patches that no polygon covers, where nobody recorded it."""
    bare = truth.index[(truth.coverage.sum(axis=1) == 0) & (truth.index >= 0)]
    return truth.names[bare[0]] if len(bare) else None


def _named(truth: PatchTruth) -> list[str]:
    names = [*truth.names, ""]
    return [names[index] for index in truth.index]


def _difference(recorded: TruthRule, today: TruthRule) -> str:
    """What slides.csv says today that the grid was not made with."""
    if recorded.annotation == today.annotation:
        return BACKGROUND if recorded.background != today.background else NO_LABELS
    if recorded.annotation is None:
        return TILED_BEFORE
    return EDITED if today.annotation else NO_ANNOTATION


def lesions_of(file: ScoreFile, drawn: Annotations | None, target: str) -> froc.Lesions:
    """The lesions of a slide on a mask of about 7.8 µm/px; none without annotation."""
    from histocnn.regions.raster import rasterise, touched

    width, height = file.size_l0
    mpp_x, mpp_y = file.attributes["slide_mpp"]
    l0_per_px = (froc.MASK_MPP / mpp_x, froc.MASK_MPP / mpp_y)
    shape = (int(np.ceil(height / l0_per_px[1])), int(np.ceil(width / l0_per_px[0])))
    if drawn is None or target not in drawn.classes:
        return froc.Lesions(np.zeros(shape, np.int32), np.zeros(1, bool), l0_per_px)
    region = drawn.classes[target]
    return froc.lesions(
        rasterise(region, shape, l0_per_px), (froc.MASK_MPP, froc.MASK_MPP), l0_per_px,
        touched=touched(region, shape, l0_per_px),
    )  # fmt: skip


def cells_of(
    file: ScoreFile, grid: PatchGrid, scores: NDArray[np.float32]
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """One class's scores on the grid of cells [rows, cols], and a cell's (x, y) size in µm."""
    size_um = grid.stride_px * grid.mpp
    if not len(grid):
        return np.full(grid.shape, np.nan, np.float32), (size_um, size_um)
    return grid.raster(scores), (size_um, size_um)
