"""Can a slide be trusted? Opened, read on every level, and judged by its scale and tissue."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import HistocnnError, SlideError
from histocnn.patches.findings import Findings
from histocnn.patches.tiling import MPP_TOLERANCE, Options, disagreement, grid_of, open_slide
from histocnn.regions.sections import section_of
from histocnn.regions.tissue import detect_tissue
from histocnn.slides.slide import Slide

POWER_TIMES_MPP = 10.0  # a ×40 objective gives about 0.25 µm/px, a ×20 about 0.5
POWER_TOLERANCE = 0.30  # scanners of one nominal power differ by a quarter
BYTES_PER_PATCH = 64  # coords, cell, tissue_fraction, coverage and label of one row
MICROMETRES = {"centimeter": 10_000.0, "inch": 25_400.0}


def examine(entry: SlideEntry, options: Options) -> Findings:
    """Find out what `tile` with these options could make of a slide; whatever fails is a finding.

    Args:
        entry: The slide.
        options: How it would be cut; annotations are not looked at.

    >>> from pathlib import Path
    >>> examine(SlideEntry("a", Path("a.svs")), Options()).problems
    ['a.svs: there is no such file. Check the path of the slide.']
    """
    findings = Findings(slide_id=entry.slide_id, slide_path=entry.slide_path.name)
    try:
        slide = open_slide(entry, options)
        findings = replace(findings, **_metadata(slide))
        findings = replace(findings, warnings=_doubts_about_scale(slide))
        findings = replace(findings, problems=_unreadable_levels(slide))
        if findings.problems:
            return findings
        return _with_contents(findings, slide, options)
    except HistocnnError as error:
        return replace(findings, problems=[*findings.problems, str(error)])


def _with_contents(findings: Findings, slide: Slide, options: Options) -> Findings:
    mask = detect_tissue(slide, options.tissue)
    findings = replace(findings, tissue_mm2=mask.area_um2 / 1e6, section=section_of(slide, mask))
    doubts = [*(["no tissue found"] * mask.is_empty), *mask.doubts]
    findings = replace(findings, warnings=[*findings.warnings, *doubts])
    try:
        grid = grid_of(slide, mask, None, options)
    except SlideError as error:  # too coarse or too small for these patches, and sound all the same
        return replace(findings, misfit=str(error))
    return replace(
        findings,
        patches=len(grid),
        grid_bytes=len(grid) * BYTES_PER_PATCH,
        pixel_bytes=len(grid) * grid.patch_px**2 * 3,
    )


def _metadata(slide: Slide) -> dict[str, Any]:
    return {
        "fingerprint": slide.fingerprint,
        "size_l0": slide.size_l0,
        "slide_mpp": slide.mpp,
        "file_mpp": slide.file_mpp,
        "objective_power": slide.objective_power,
        "vendor": slide.vendor,
        "reader": slide.reader.name,
        "bounds_l0": slide.bounds_l0,
        "levels": [_level(slide, level) for level in range(len(slide.level_sizes))],
    }


def _level(slide: Slide, level: int) -> dict[str, Any]:
    width, height = slide.level_sizes[level]
    tile = f"openslide.level[{level}].tile"
    sides = [slide.properties.get(f"{tile}-{side}") for side in ("width", "height")]
    return {
        "size_px": (width, height),
        "downsample": (slide.size_l0[0] / width, slide.size_l0[1] / height),
        "tile_px": [int(side) for side in sides if side],
    }


def _doubts_about_scale(slide: Slide) -> list[str]:
    mpp_x, mpp_y = slide.require_mpp()
    doubts = disagreement(slide)
    if not math.isclose(mpp_x, mpp_y, rel_tol=MPP_TOLERANCE):
        doubts.append(f"pixels are not square: {mpp_x:.4g} × {mpp_y:.4g} µm")
    power = slide.objective_power
    if power and not math.isclose(power * mpp_x, POWER_TIMES_MPP, rel_tol=POWER_TOLERANCE):
        doubts.append(
            f"×{power:g} objective does not go with {mpp_x:.4g} µm/px (about {10 / power:.2g} is)"
        )
    tagged = _tiff_mpp(slide)
    if tagged and not math.isclose(mpp_x, tagged, rel_tol=MPP_TOLERANCE):
        doubts.append(f"TIFF resolution tags say {tagged:.4g} µm/px, used is {mpp_x:.4g}")
    return doubts


def _tiff_mpp(slide: Slide) -> float | None:
    """µm/px by the TIFF's own resolution tags; None where absent or a printer's default."""
    unit = MICROMETRES.get(slide.properties.get("tiff.ResolutionUnit", ""))
    try:
        per_unit = float(slide.properties.get("tiff.XResolution", 0))
    except ValueError:
        return None
    if not unit or per_unit <= 300:  # 72 to 300 dpi is what software writes when it does not know
        return None
    return unit / per_unit


def _unreadable_levels(slide: Slide) -> list[str]:
    """Read a tile from the middle of every level; returns what went wrong."""
    mpp_x, _ = slide.require_mpp()
    problems = []
    for level, (width, height) in enumerate(slide.level_sizes):
        size = (min(256, width), min(256, height))
        scale = slide.size_l0[0] / width
        x, y = ((w - s) / 2 * scale for w, s in zip((width, height), size, strict=True))
        try:
            slide.read((x, y), size, mpp_x * scale)
        except HistocnnError as error:
            problems.append(f"level {level}: {error}")
    return problems
