"""`histocnn doctor`: can these slides be trusted? A line each, before hours are spent on them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from histocnn.cohort.sheet import SlideEntry, read_cohort
from histocnn.errors import HistocnnError
from histocnn.patches.grid import PatchGrid, build_grid, check_patch_options
from histocnn.patches.tiling import MPP_TOLERANCE, disagreement
from histocnn.regions.tissue import detect_tissue
from histocnn.slides.slide import Slide

POWER_TIMES_MPP = 10.0  # a ×40 objective gives about 0.25 µm/px, a ×20 about 0.5
POWER_TOLERANCE = 0.30  # scanners of one nominal power differ by a quarter
BYTES_PER_PATCH = 64  # coords, cell, tissue_fraction, coverage and label of one row
MICROMETRES = {"centimeter": 10_000.0, "inch": 25_400.0}


@dataclass
class Findings:
    """What was found out about one slide; `problems` stop it, `warnings` deserve a look."""

    slide_id: str
    slide_path: str
    size_l0: tuple[int, int] | None = None
    slide_mpp: tuple[float, float] | None = None
    file_mpp: tuple[float, float] | None = None
    objective_power: float | None = None
    vendor: str = ""
    reader: str = ""
    levels: list[dict[str, Any]] = field(default_factory=list)
    bounds_l0: tuple[int, int, int, int] | None = None
    tissue_mm2: float | None = None
    patches: int | None = None
    grid_bytes: int | None = None
    pixel_bytes: int | None = None
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """`unusable`, `look` or `ok`."""
        return "unusable" if self.problems else "look" if self.warnings else "ok"


def doctor(
    slides: Path,
    patch_px: int = 224,
    mpp: float = 0.5,
    min_tissue: float = 0.5,
    slide_mpp: float | None = None,
    allow_upsampling: bool = False,
    json: bool = False,
) -> int:
    """Check whether slides can be trusted: do they open, at which scale, with how much tissue?

    Args:
        slides: A slide, a folder of slides, or a slides.csv.
        patch_px: Side of the patches to estimate for.
        mpp: Resolution of the patches to estimate for, in µm per pixel.
        min_tissue: Share of a patch that must be tissue, 0 to 1.
        slide_mpp: Resolution of level 0 for slides that do not know their own.
        allow_upsampling: Accept slides whose finest level is coarser than --mpp.
        json: Print the findings for programs instead of the table for people.

    Returns:
        0, or 1 if a slide cannot be used.
    """
    check_patch_options(patch_px=patch_px, mpp=mpp, min_tissue=min_tissue)
    estimate = partial(
        build_grid,
        patch_px=patch_px,
        mpp=mpp,
        min_tissue=min_tissue,
        allow_upsampling=allow_upsampling,
    )
    found = [_examine(entry, slide_mpp, estimate) for entry in read_cohort(slides)]
    print(_as_json(found) if json else _as_table(found))
    return int(any(findings.problems for findings in found))


def _examine(
    entry: SlideEntry, slide_mpp: float | None, estimate: Callable[..., PatchGrid]
) -> Findings:
    findings = Findings(entry.slide_id, entry.slide_path.name)
    try:
        slide = Slide(entry.slide_path, mpp=entry.mpp or slide_mpp)
        _metadata(slide, findings)
        _resolution(slide, findings)
        _one_tile_per_level(slide, findings)
        if not findings.problems:
            _contents(slide, findings, estimate)
    except HistocnnError as error:
        findings.problems.append(str(error))
    return findings


def _contents(slide: Slide, findings: Findings, estimate: Callable[..., PatchGrid]) -> None:
    mask = detect_tissue(slide)
    findings.tissue_mm2 = mask.area_um2 / 1e6
    if mask.is_empty:
        findings.warnings.append("no tissue found")
    grid = estimate(slide.size_l0, slide.require_mpp(), tissue=mask)
    findings.patches = len(grid)
    findings.grid_bytes = len(grid) * BYTES_PER_PATCH
    findings.pixel_bytes = len(grid) * grid.patch_px**2 * 3


def _metadata(slide: Slide, findings: Findings) -> None:
    findings.size_l0 = slide.size_l0
    findings.slide_mpp, findings.file_mpp = slide.mpp, slide.file_mpp
    findings.objective_power, findings.vendor = slide.objective_power, slide.vendor
    findings.reader, findings.bounds_l0 = slide.reader.name, slide.bounds_l0
    for level, (width, height) in enumerate(slide.level_sizes):
        tile = [
            slide.properties.get(f"openslide.level[{level}].tile-{s}") for s in ("width", "height")
        ]
        findings.levels.append(
            {
                "size_px": (width, height),
                "downsample": (slide.size_l0[0] / width, slide.size_l0[1] / height),
                "tile_px": [int(side) for side in tile if side],
            }
        )


def _resolution(slide: Slide, findings: Findings) -> None:
    mpp_x, mpp_y = slide.require_mpp()
    warn = findings.warnings.append
    findings.warnings += disagreement(slide)
    if not math.isclose(mpp_x, mpp_y, rel_tol=MPP_TOLERANCE):
        warn(f"pixels are not square: {mpp_x:.4g} × {mpp_y:.4g} µm")
    power = slide.objective_power
    if power and not math.isclose(power * mpp_x, POWER_TIMES_MPP, rel_tol=POWER_TOLERANCE):
        warn(f"×{power:g} objective does not go with {mpp_x:.4g} µm/px (about {10 / power:.2g} is)")
    tagged = _tiff_mpp(slide)
    if tagged and not math.isclose(mpp_x, tagged, rel_tol=MPP_TOLERANCE):
        warn(f"TIFF resolution tags say {tagged:.4g} µm/px, used is {mpp_x:.4g}")


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


def _one_tile_per_level(slide: Slide, findings: Findings) -> None:
    mpp_x, _ = slide.require_mpp()
    for level, (width, height) in enumerate(slide.level_sizes):
        size = (min(256, width), min(256, height))
        scale = slide.size_l0[0] / width
        x, y = ((w - s) / 2 * scale for w, s in zip((width, height), size, strict=True))
        try:
            slide.read((x, y), size, mpp_x * scale)
        except HistocnnError as error:
            findings.problems.append(f"level {level}: {error}")


def _as_json(found: list[Findings]) -> str:
    return json.dumps([asdict(f) | {"verdict": f.verdict} for f in found], indent=2)


def _as_table(found: list[Findings]) -> str:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ["slide", "level 0", "µm/px", "power", "levels", "reader", "tissue", "patches", ""]:
        table.add_column(name, justify="left" if name in ("slide", "") else "right", no_wrap=True)
    for f in found:
        table.add_row(
            f.slide_id,
            "×".join(map(str, f.size_l0)) if f.size_l0 else "",
            f"{f.slide_mpp[0]:.4g}" if f.slide_mpp else "none",
            f"×{f.objective_power:g}" if f.objective_power else "",
            " ".join(f"{level['downsample'][0]:.4g}" for level in f.levels),
            f.reader,
            "" if f.tissue_mm2 is None else f"{f.tissue_mm2:.3g} mm²",
            "" if f.patches is None else f"{f.patches} ({decimal(f.pixel_bytes or 0)})",
            f.verdict,
        )
    console = Console()
    if not console.is_terminal:
        console.width = 200  # of a file or pipe nothing is known, and rows would break
    with console.capture() as capture:
        console.print(table)
        for f in found:
            for text in [*f.problems, *f.warnings]:
                console.print(
                    f"{f.slide_id}: {text}", highlight=False, markup=False, soft_wrap=True
                )
    return capture.get().rstrip()
