"""`histocnn tile`: slides in; a grid of labelled patches and a picture of it per slide out.

>>> tile("slides", "grids", overlap_px=224)  # doctest: +ELLIPSIS
Traceback (most recent call last):
histocnn.errors.UsageError: --overlap_px 224 does not lie between 0 and the patch's 224 px. Give ...
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal

from histocnn.cohort.sheet import SlideEntry, read_cohort
from histocnn.jobs import run as runs
from histocnn.jobs.ranges import NonNegativeInt, PositiveFloat, PositiveInt, Share
from histocnn.jobs.result import StageResult
from histocnn.patches.grid_files import is_given, outline_path, write_grid
from histocnn.patches.tiling import Options, recipe_of, tile_slide
from histocnn.regions.tissue import TissueSettings


def tile(
    slides: str | Path,
    out: str | Path,
    patch_px: PositiveInt = 224,
    mpp: PositiveFloat = 0.5,
    overlap_px: NonNegativeInt = 0,
    min_tissue: Share = 0.5,
    slide_mpp: PositiveFloat | None = None,
    allow_upsampling: bool = False,
    roi: str | None = None,
    label_coverage: Share = 0.5,
    max_background_coverage: Share = 0.0,
    frame: Literal["bounds", "slide"] = "bounds",
    tissue: TissueSettings = TissueSettings(),  # noqa: B008 - frozen
    export: Literal["png", "jpeg"] | None = None,
    quality: bool = False,
    min_sharpness: PositiveFloat | None = None,
    workers: PositiveInt = 1,
    threads: PositiveInt = 2,
) -> StageResult:
    """Cut slides into a grid of patches at an exact physical scale.

    Writes OUT/<slide_id>.h5 (the grid, with labels where the slide has annotations),
    OUT/<slide_id>.png (outlines of tissue, patches by label, annotations: look at it first) and
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
        quality: Read every patch, and store and draw how blurred it is and its shares of pen, folds
            and edges of bubbles; predict and embed measure this without being asked.
        min_sharpness: Leave out patches less sharp than the slide's sharpest tenth after a Gaussian
            blur of this deviation, µm; patches are then read as for --quality.
        workers: Slides in parallel processes.
        threads: Readers per slide, for --export and --quality.

    Returns:
        The grids, and why a slide has none.
    """
    options = Options(
        patch_px=patch_px,
        mpp=mpp,
        overlap_px=overlap_px,
        min_tissue=min_tissue,
        slide_mpp=slide_mpp,
        allow_upsampling=allow_upsampling,
        roi=roi,
        label_coverage=label_coverage,
        max_background_coverage=max_background_coverage,
        frame=frame,
        tissue=tissue,
        export=export,
        quality=quality,
        min_sharpness=min_sharpness,
    )
    return runs.run(
        read_cohort(slides),
        out=Path(out),
        command="tile",
        recipe=partial(recipe_of, options=options),
        work=partial(_tile_slide, options=options, threads=threads),
        workers=workers,
        files=runs.Files(beside=partial(_beside, options=options)),
        source=slides,
    )


def _beside(entry: SlideEntry, target: Path, options: Options) -> list[Path]:
    """What is written beside a grid; an outline that was edited in its place is left alone."""
    outline = outline_path(target)
    own = [target.with_suffix(".png")] + [outline] * (not is_given(entry, outline))
    return [*own, target.with_suffix("")] if options.export else own


def _tile_slide(
    entry: SlideEntry,
    target: Path,
    recipe: dict[str, Any],
    tick: runs.Tick,
    *,
    options: Options,
    threads: int,
) -> dict[str, Any]:
    """Write one slide's picture, then its grid: that it is there says "done"."""
    from histocnn.patches.quality import flaws
    from histocnn.pictures.grid_picture import tile_overview
    from histocnn.pictures.overlay import PICTURE_PX

    tiled = tile_slide(entry, options, threads)
    grid = tiled.grid
    name = target.stem + " (look!)" * bool(tiled.tissue.doubts)
    tile_overview(
        tiled.slide.thumbnail(max_px=PICTURE_PX),
        grid,
        tiled.labels,
        target.with_suffix(".png"),
        tissue=tiled.tissue.polygons(),
        annotations=tiled.annotations.classes if tiled.annotations else {},
        flaws=flaws(tiled.quality),
        title=f"{name}: {len(grid):,} patches of {grid.patch_px} px at {grid.mpp:g} µm/px",
    )
    tiled.slide.check_same(recipe["slide"])
    return write_grid(tiled, target, recipe, tick, threads=threads)
