"""A slide's grid with what is known of its patches: tissue, labels, stains; no file is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.errors import AnnotationError
from histocnn.patches.grid import PatchGrid, build_grid
from histocnn.patches.labels import coverage, labels_of, touches
from histocnn.regions.annotations import Annotations
from histocnn.regions.tissue import TissueMask, TissueSettings
from histocnn.slides.slide import Slide
from histocnn.slides.stain import THUMBNAIL_MPP, Stains, estimate

MPP_TOLERANCE = 0.05
LOST_AREA_WARNING = 0.98  # an annotated class that loses more than 2 % deserves a look


@dataclass(frozen=True)
class Options:
    """What changes the content of a grid: the recipe, but for the hashes of its inputs."""

    patch_px: int
    mpp: float
    overlap_px: int
    min_tissue: float
    slide_mpp: float | None
    allow_upsampling: bool
    roi: str | None
    label_coverage: float
    max_background_coverage: float
    frame: Literal["bounds", "slide"]
    tissue: TissueSettings
    export: Literal["png", "jpeg"] | None


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
        found = ", ".join(annotations.classes) if annotations else "no annotation"
        raise AnnotationError(
            f"{slide.path.name} has no region of class {options.roi!r} (found: {found})",
            "Give --roi one of these, or give the slide an annotation_path.",
        )
    inside = coverage(annotations, grid.boxes_l0(), [options.roi])[:, 0]
    return grid.select((inside >= options.label_coverage) & (inside > 0))


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of a grid's patches: index [N] into names, -1 unknown; coverage [N, C]."""

    names: list[str]
    index: NDArray[np.int64]
    coverage: NDArray[np.float32]


def label_patches(
    grid: PatchGrid, annotations: Annotations | None, background: str | None, options: Options
) -> Labels:
    """Label patches by the annotated class that covers them, or as background where none does."""
    classes = set(annotations.classes) if annotations else set()
    names = sorted(classes | ({background} if background else set()))
    boxes = grid.boxes_l0()
    if annotations:
        share = coverage(annotations, boxes, names)
        excluded = touches(annotations.exclusion, boxes)
    else:
        share = np.zeros((len(grid), len(names)), np.float32)
        excluded = np.zeros(len(grid), bool)
    index = labels_of(
        share,
        names,
        excluded=excluded,
        background=background,
        label_coverage=options.label_coverage,
        max_background_coverage=options.max_background_coverage,
    )
    return Labels(names, index, share)


def stains_of(slide: Slide, mask: TissueMask) -> Stains | None:
    """The stains of a slide's tissue, pen left out; None where too little is stained."""
    thumbnail = slide.thumbnail(mpp=max(THUMBNAIL_MPP, *slide.require_mpp()))
    height, width = thumbnail.shape[:2]
    tissue = cv2.resize(mask.mask.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return estimate(thumbnail[tissue > 0][None])


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
