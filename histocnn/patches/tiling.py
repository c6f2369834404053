"""A slide's grid with what is known of its patches: tissue, labels, stains; no file is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import AnnotationError
from histocnn.jobs.ranges import (
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
    check_ranges,
)
from histocnn.patches.grid import PatchGrid, build_grid, check_patch_options
from histocnn.patches.labels import area_report, coverage
from histocnn.patches.quality import Quality, flaws
from histocnn.patches.truth import PatchTruth, TruthRule, patch_truth
from histocnn.regions.annotations import Annotations
from histocnn.regions.geojson import Frame
from histocnn.regions.tissue import TissueMask, TissueSettings, detect_tissue
from histocnn.regions.tissue_file import load_tissue
from histocnn.slides.slide import Slide
from histocnn.slides.stain import Pixels, Sampled, sample
from histocnn.slides.stream import stream
from histocnn.storage.hashing import sha256

MPP_TOLERANCE = 0.05
LOST_AREA_WARNING = 0.98  # an annotated class that loses more than 2 % deserves a look


@dataclass(frozen=True, kw_only=True)
class Options:
    """What changes the content of a grid: the recipe, but for the hashes of its inputs.

    `tile` explains them; its flags have these names.

    Raises:
        UsageError: One that no slide can satisfy; its name, its value and its range are said.
    """

    patch_px: PositiveInt = 224
    mpp: PositiveFloat = 0.5
    overlap_px: NonNegativeInt = 0
    min_tissue: Share = 0.5
    slide_mpp: PositiveFloat | None = None
    allow_upsampling: bool = False
    roi: str | None = None
    label_coverage: Share = 0.5
    max_background_coverage: Share = 0.0
    frame: Frame = "bounds"
    tissue: TissueSettings = TissueSettings()  # noqa: RUF009 - frozen
    export: Literal["png", "jpeg"] | None = None
    quality: bool = False
    min_sharpness: PositiveFloat | None = None

    def __post_init__(self) -> None:
        check_ranges(self)
        check_patch_options(patch_px=self.patch_px, mpp=self.mpp, overlap_px=self.overlap_px)


@dataclass(frozen=True, eq=False, kw_only=True)
class Tiled:
    """A slide, its grid, and all that is known of the grid's patches.

    Attributes:
        entry: The slide's row of slides.csv.
        options: How it was cut.
        slide: The slide.
        tissue: Its tissue, detected or edited.
        grid: The kept patches.
        annotations: What was drawn on it; None where nothing is.
        rule: By which options its truth is made.
        labels: The truth of these patches.
        areas: Of each annotated class, as `area_report`; empty without annotations.
        stains: Its two stains, or why it has none.
        notes: What the user should hear of it.
        quality: Blur and shares of pen, folds and edges of its patches; empty: not measured.
    """

    entry: SlideEntry
    options: Options
    slide: Slide
    tissue: TissueMask
    grid: PatchGrid
    annotations: Annotations | None
    rule: TruthRule
    labels: PatchTruth
    areas: dict[str, dict[str, float]]
    stains: Sampled
    notes: list[str]
    quality: Mapping[str, NDArray[np.float32]]

    @property
    def outcome(self) -> Literal["no tissue", "no patches", "ok"]:
        """Why there are no patches, or "ok"."""
        if self.tissue.is_empty:
            return "no tissue"
        return "ok" if len(self.grid) else "no patches"


def recipe_of(entry: SlideEntry, options: Options) -> dict[str, Any]:
    """The options and hashes of all that decides what a slide's grid holds.

    Raises:
        SlideError: The slide cannot be opened, or its resolution is not known.
    """
    slide = open_slide(entry, options)
    return {
        **_decisive(options),
        "stage": "tile",
        "slide": slide.fingerprint,
        "slide_mpp": slide.require_mpp(),
        "patient_id": entry.patient_id,
        "background": entry.background,
        "annotation": _hash(entry.annotation_path),
        "tissue_path": _hash(entry.tissue_path),
    }


def _decisive(options: Options) -> dict[str, Any]:
    """The options by name; one that came later is left out where it changes nothing."""
    said = asdict(options)
    if not options.tissue.keep_fat:
        del said["tissue"]["keep_fat"]
    for name in ("quality", "min_sharpness"):
        if not said[name]:
            del said[name]
    return said


def tile_slide(entry: SlideEntry, options: Options, threads: int = 2) -> Tiled:
    """Find a slide's tissue, lay the grid over it and label its patches.

    Raises:
        AnnotationError: An annotation or tissue file is malformed or does not fit the slide.
        SlideError: The slide cannot be opened, read or cut at this scale.
    """
    slide = open_slide(entry, options)
    tissue = (
        load_tissue(entry.tissue_path, slide, frame=options.frame)
        if entry.tissue_path
        else detect_tissue(slide, options.tissue)
    )
    rule = rule_of(entry, options)
    annotations = (
        rule.read(entry.annotation_path, slide.size_l0, slide.bounds_l0)
        if entry.annotation_path
        else None
    )
    grid, quality, said = sharp_enough(
        slide, grid_of(slide, tissue, annotations, options), options, threads
    )
    areas, notes = {}, [*(f"look: {doubt}" for doubt in tissue.doubts), *disagreement(slide), *said]
    if annotations:
        areas = area_report(annotations, tissue, grid.boxes_l0(), grid.slide_mpp)
        notes += [*annotations.notes, *lost_area(areas)]
    stains = stains_of(slide, grid)
    if len(grid) and not stains.stains:
        notes.append(f"no stains to normalise by: {stains.none}")
    return Tiled(
        entry=entry,
        options=options,
        slide=slide,
        tissue=tissue,
        grid=grid,
        annotations=annotations,
        rule=rule,
        labels=patch_truth(grid.boxes_l0(), annotations, rule),
        areas=areas,
        stains=stains,
        notes=notes,
        quality=quality,
    )


def rule_of(entry: SlideEntry, options: Options) -> TruthRule:
    """By which options the truth of a slide is made: those of its row and those of tile."""
    return TruthRule(
        annotation=_hash(entry.annotation_path),
        background=entry.background,
        frame=options.frame,
        label_coverage=options.label_coverage,
        max_background_coverage=options.max_background_coverage,
    )


def open_slide(entry: SlideEntry, options: Options) -> Slide:
    """The slide at its row's µm/px, else at that of the options, else at its own."""
    return Slide(entry.slide_path, mpp=entry.mpp or options.slide_mpp)


def grid_of(
    slide: Slide, mask: TissueMask, annotations: Annotations | None, options: Options
) -> PatchGrid:
    """The grid over a slide's tissue, restricted to the region of interest where one is asked.

    Raises:
        AnnotationError: The slide has no region of that class.
        ResolutionError, SlideError: As `build_grid`.
    """
    grid = build_grid(
        slide.size_l0,
        slide.require_mpp(),
        patch_px=options.patch_px,
        mpp=options.mpp,
        overlap_px=options.overlap_px,
        tissue=mask,
        min_tissue=options.min_tissue,
        allow_upsampling=options.allow_upsampling,
    )
    if options.roi is None:
        return grid
    if annotations is None or options.roi not in annotations.classes:
        drawn = ", ".join(annotations.classes) if annotations else "no annotation"
        raise AnnotationError(
            f"{slide.path.name} has no region of class {options.roi!r} (found: {drawn})",
            "Give --roi one of these, or give the slide an annotation_path.",
        )
    inside = coverage(annotations, grid.boxes_l0(), [options.roi])[:, 0]
    return grid.select((inside >= options.label_coverage) & (inside > 0))


def sharp_enough(
    slide: Slide, grid: PatchGrid, options: Options, threads: int
) -> tuple[PatchGrid, dict[str, NDArray[np.float32]], list[str]]:
    """The grid without blurred patches, the quality of those that stay, and what to say of both.

    Nothing is read where nobody asked. A patch that shows nothing that could be sharp stays.
    """
    if not (options.quality or options.min_sharpness):
        return grid, {}, []
    measured = Quality(len(grid), grid.mpp)
    for batch in stream(slide, grid.coords, grid.patch_px, grid.mpp, threads=threads):
        measured.see(batch)
    quality, notes = measured.columns(), []
    if options.min_sharpness is not None:
        kept = ~(quality["blur_um"] > options.min_sharpness)
        notes = [
            f"{(~kept).sum():,} of {len(grid):,} patches blurred by more than "
            f"{options.min_sharpness:g} µm left out"
        ]
        grid = grid.select(kept)
        quality = {name: values[kept] for name, values in quality.items()}
    shares = [f"{rows.mean():.0%} {name}" for name, rows in flaws(quality).items() if rows.any()]
    return grid, quality, [*notes, *[f"quality: {', '.join(shares)}"] * bool(shares)]


def stains_of(slide: Slide, grid: PatchGrid) -> Sampled:
    """The stains of a slide, from some of its patches as they will be read."""

    def read(row: int) -> Pixels:
        x, y = grid.coords[row]
        return slide.read((float(x), float(y)), grid.patch_px, grid.mpp)

    return sample(read, grid.tissue_fraction)


def disagreement(slide: Slide) -> list[str]:
    """Say where the resolution in use is more than 5 % from what the file itself says."""
    used, own = slide.require_mpp(), slide.file_mpp
    if own is None or np.allclose(used, own, rtol=MPP_TOLERANCE):
        return []
    return [f"given {used[0]:.4g} µm/px, but the file says {own[0]:.4g}"]


def lost_area(areas: dict[str, dict[str, float]]) -> list[str]:
    """Say for each class of an `area_report` how much of it no patch will ever show."""
    notes = []
    for name, area in areas.items():
        for where, key in [("tissue", "in_tissue_um2"), ("kept patches", "in_patches_um2")]:
            share = area[key] / area["annotated_um2"] if area["annotated_um2"] else 1.0
            if share < LOST_AREA_WARNING:
                notes.append(f"only {share:.1%} of the area annotated {name!r} lies in {where}")
    return notes


def _hash(path: Path | None) -> str | None:
    return sha256(path) if path else None
