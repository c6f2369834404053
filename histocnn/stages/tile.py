"""`histocnn tile`: slides in; a grid of labelled patches and a picture of it per slide out."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

from histocnn.cohort.sheet import SlideEntry, read_cohort
from histocnn.errors import UsageError
from histocnn.jobs import run as runs
from histocnn.patches.grid import PatchGrid, check_patch_options
from histocnn.patches.labels import area_report
from histocnn.patches.tiling import (
    Labels,
    Options,
    disagreement,
    grid_of,
    label_patches,
    lost_area,
    stains_of,
)
from histocnn.regions.annotations import read_annotations
from histocnn.regions.tissue import TissueMask, TissueSettings, detect_tissue
from histocnn.regions.tissue_file import load_tissue
from histocnn.slides.slide import Slide
from histocnn.storage import store
from histocnn.storage.hashing import sha256


def tile(
    slides: Path,
    out: Path,
    patch_px: int = 224,
    mpp: float = 0.5,
    overlap_px: int = 0,
    min_tissue: float = 0.5,
    slide_mpp: float | None = None,
    allow_upsampling: bool = False,
    roi: str | None = None,
    label_coverage: float = 0.5,
    max_background_coverage: float = 0.0,
    frame: Literal["bounds", "slide"] = "bounds",
    tissue: TissueSettings = TissueSettings(),  # noqa: B008 - frozen
    export: Literal["png", "jpeg"] | None = None,
    workers: int = 1,
    threads: int = 2,
) -> int:
    """Cut slides into a grid of patches at an exact physical scale.

    Writes OUT/<slide_id>.h5 (the grid, with labels where the slide has annotations),
    OUT/<slide_id>.png (thumbnail, tissue outline, patches by label: look at it first) and
    OUT/<slide_id>.tissue.geojson (edit it in QuPath and give it back as tissue_path).

    Args:
        slides: A slide, a folder of slides, or a slides.csv.
        out: Folder for the grids.
        patch_px: Side of a patch in pixels.
        mpp: Resolution of the patches in µm per pixel.
        overlap_px: Pixels that neighbouring patches share.
        min_tissue: Share of a patch that must be tissue, 0 to 1.
        slide_mpp: Resolution of level 0 for slides that do not know their own.
        allow_upsampling: Accept slides whose finest level is coarser than --mpp.
        roi: Keep only patches that lie, by at least --label_coverage, in this annotated class.
        label_coverage: Share of a patch that a class must cover to give it its label.
        max_background_coverage: Annotated share up to which a patch is still background.
        frame: Origin of GeoJSON coordinates where a slide has bounds: QuPath's, or level 0.
        tissue: How tissue is told from glass and pen.
        export: Write the patches too, as OUT/<slide_id>/<label>/<slide_id>_x<X>_y<Y>.<export>.
        workers: Slides in parallel processes.
        threads: Readers per slide, for --export.

    Returns:
        0, or 1 if a slide failed.
    """
    check_patch_options(patch_px=patch_px, mpp=mpp, overlap_px=overlap_px, min_tissue=min_tissue)
    for name, share in [
        ("label_coverage", label_coverage),
        ("max_background_coverage", max_background_coverage),
    ]:
        if not 0 <= share <= 1:
            raise UsageError(f"--{name} {share} is not a share", "Give a number between 0 and 1.")
    options = Options(
        patch_px,
        mpp,
        overlap_px,
        min_tissue,
        slide_mpp,
        allow_upsampling,
        roi,
        label_coverage,
        max_background_coverage,
        frame,
        tissue,
        export,
    )
    summary = runs.run(
        read_cohort(slides),
        out=out,
        command="tile",
        recipe=partial(recipe_of, options=options),
        work=partial(tile_slide, options=options, threads=threads),
        workers=workers,
    )
    return summary.exit_code


def recipe_of(entry: SlideEntry, options: Options) -> dict[str, Any]:
    """The options and hashes of all that decides what a slide's grid holds."""
    slide = _open(entry, options)
    return {
        **asdict(options),
        "stage": "tile",
        "slide": slide.fingerprint,
        "slide_mpp": slide.require_mpp(),
        "patient_id": entry.patient_id,
        "background": entry.background,
        "annotation": _sha256(entry.annotation_path),
        "tissue_path": _sha256(entry.tissue_path),
    }


def tile_slide(
    entry: SlideEntry,
    target: Path,
    recipe: dict[str, Any],
    tick: runs.Tick,
    *,
    options: Options,
    threads: int,
) -> dict[str, Any]:
    """Write one slide's grid and its pictures; the grid last, because it says "done"."""
    slide = _open(entry, options)
    mask = (
        load_tissue(entry.tissue_path, slide, frame=options.frame)
        if entry.tissue_path
        else detect_tissue(slide, options.tissue)
    )
    annotations = (
        read_annotations(entry.annotation_path, slide.size_l0, slide.bounds_l0, frame=options.frame)
        if entry.annotation_path
        else None
    )
    grid = grid_of(slide, mask, annotations, options)
    labels = label_patches(grid, annotations, entry.background, options)
    notes = [*disagreement(slide), *(annotations.notes if annotations else ())]
    areas = {}
    if annotations:
        areas = area_report(annotations, mask, grid.boxes_l0(), grid.slide_mpp)
        notes += lost_area(areas)
    stains = stains_of(slide, mask)
    mask.to_geojson(target.with_suffix(".tissue.geojson"), options.frame)
    _picture(slide, mask, grid, labels, target)
    if options.export:
        notes += export_patches(slide, grid, labels, target.with_suffix(""), options, threads, tick)
    tick(len(grid), len(grid))
    store.write(
        target,
        {
            "coords": grid.coords,
            "cell": grid.cell,
            "tissue_fraction": grid.tissue_fraction,
            "coverage": labels.coverage,
            "labels": labels.index,
        },
        {
            **grid.attributes(),
            **_slide_attributes(slide, entry),
            "labels.class_names": labels.names,
            "annotation_areas": areas,
            "tissue_um2": mask.area_um2,
            "stains": stains.to_dict() if stains else None,
            "recipe": recipe,
        },
    )
    outcome = "no tissue" if mask.is_empty else "ok" if len(grid) else "no patches"
    if outcome != "ok":
        notes.append(f"{outcome}: look at {target.with_suffix('.png').name}")
    return {"patches": len(grid), "outcome": outcome, "notes": notes}


def export_patches(
    slide: Slide,
    grid: PatchGrid,
    labels: Labels,
    folder: Path,
    options: Options,
    threads: int,
    tick: runs.Tick,
) -> list[str]:
    """Write every readable patch as an image below its label's folder, all or nothing.

    Returns:
        A note on the patches that could not be read, if any.
    """
    from histocnn.patches.patch_files import write_patch_folder
    from histocnn.slides.stream import stream

    # A class may be named with a slash; -1, the unknown, comes last.
    names = [*(name.replace("/", "_") for name in labels.names), "unlabelled"]
    batches = stream(slide, grid.coords, grid.patch_px, grid.mpp, threads=threads)

    def images() -> Any:
        done = 0
        for batch in batches:
            for row, pixels, readable in zip(*batch, strict=True):
                x, y = grid.coords[row]
                name = f"{names[labels.index[row]]}/{folder.name}_x{x}_y{y}.{options.export}"
                yield name, pixels if readable else None
            done += len(batch.rows)
            tick(done, len(grid))

    unreadable = write_patch_folder(folder, images())
    return [f"{unreadable} patches could not be decoded and were not exported"] * bool(unreadable)


def _open(entry: SlideEntry, options: Options) -> Slide:
    return Slide(entry.slide_path, mpp=entry.mpp or options.slide_mpp)


def _picture(slide: Slide, mask: TissueMask, grid: PatchGrid, labels: Labels, target: Path) -> None:
    from histocnn.pictures.overlay import tile_overview

    tile_overview(
        slide.thumbnail(max_px=2048),
        slide.size_l0,
        grid.slide_mpp,
        boxes_l0=grid.boxes_l0(),
        labels=labels.index if labels.names else None,
        class_names=labels.names,
        outline=mask.polygons(),
        title=f"{target.stem}: {len(grid)} patches of {grid.patch_px} px at {grid.mpp:g} µm/px",
        path=target.with_suffix(".png"),
    )


def _slide_attributes(slide: Slide, entry: SlideEntry) -> dict[str, Any]:
    known = {
        "slide_id": entry.slide_id,
        "patient_id": entry.patient_id,
        "slide_path": str(slide.path.resolve()),
        "fingerprint": slide.fingerprint,
        "bounds_l0": slide.bounds_l0,
    }
    return {name: value for name, value in known.items() if value is not None}


def _sha256(path: Path | None) -> str | None:
    return sha256(path) if path else None
