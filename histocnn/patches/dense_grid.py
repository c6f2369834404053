"""The dense grid over a slide: which windows are wanted, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import PatchesError
from histocnn.patches.grid import PatchGrid, Window
from histocnn.patches.grid_files import outline_path
from histocnn.patches.labels import area_report
from histocnn.patches.patch_set import Datasets
from histocnn.patches.patches import FilePatches, Patches
from histocnn.patches.truth import STATES, TruthRule, patch_truth, recorded_rule
from histocnn.regions.tissue import TissueMask, TissueSettings
from histocnn.regions.tissue_file import load_tissue
from histocnn.storage.hashing import sha256

if TYPE_CHECKING:
    from histocnn.regions.annotations import Annotations

AT_ONCE = 1 << 18  # windows whose tissue is measured at once
OF_PATCHES = ("labels.class_names", "coverage.class_names", "state.class_names", "annotation_areas")
BY_CENTRE = (
    "windows lie where the grid's patches do, because no tissue lies beside the grid: "
    "give the folder that tile wrote to have them by its min_tissue"
)
NO_TRUTH = (
    "windows have no labels, because the annotation is not at hand: give --slides slides.csv, or "
    "evaluate with it"
)


@dataclass(frozen=True, eq=False)
class DenseGrid:
    """Windows over a slide with what a file of them carries.

    Attributes:
        grid: Where they lie.
        datasets: What is known of each.
        attributes: What is said of all.
        notes: What the user should hear.
    """

    grid: PatchGrid
    datasets: Datasets
    attributes: dict[str, Any]
    notes: list[str]


def placed(patches: Patches) -> FilePatches:
    """The patches, if they are a slide's.

    Raises:
        PatchesError: They are image files, or nobody recorded their scale.
    """
    wanted = ("size_l0", "slide_mpp", "patch_px", "mpp")
    if not isinstance(patches, FilePatches) or patches.coords is None:
        raise _of_images(patches)
    if "footprint_l0" in patches.attributes or any(
        patches.attributes.get(name) is None for name in wanted
    ):
        raise PatchesError(
            f"{patches.file}: does not say at which µm/px its patches lie, so no network can slide "
            "over them",
            "Tile the slide with histocnn, or leave --dense out.",
        )
    return patches


def check_places(items: Sequence[Patches]) -> None:
    """Refuse folders and CSVs of images before work begins: PatchesError; no file is read."""
    for patches in items:
        if not isinstance(patches, FilePatches):
            raise _of_images(patches)


def _of_images(patches: Patches) -> PatchesError:
    return PatchesError(
        f"{patches.name}: image files have no place on a slide that a network could slide over",
        "Give the grids that histocnn tile writes, or leave --dense out.",
    )


def inputs_of(patches: Patches) -> dict[str, Any]:
    """The hashes of what decides a dense grid beside the patches, for a recipe."""
    file = placed(patches)
    outline = outline_path(file.file)
    rule = _rule(file)
    return {
        "tissue": sha256(outline) if _is_tiled(file) and outline.is_file() else None,
        "annotation": rule.annotation if rule else None,
        "background": rule.background if rule else None,
    }


def dense_grid(patches: Patches, window: Window, stride_px: int) -> DenseGrid:
    """The windows over a slide, by the tissue rule of its grid, labelled as its patches were.

    Args:
        patches: The slide's.
        window: What a network sees at once.
        stride_px: From window to window, px of the patches.

    Raises:
        PatchesError: As `placed`, or the slide is gone.
        AnnotationError: The tissue beside the grid, or the annotation, cannot be read.
    """
    file = placed(patches)
    attributes = file.attributes
    whole = PatchGrid.from_attributes(
        {**attributes, "stride_px": stride_px}, np.zeros((0, 2), np.int64)
    )
    whole = replace(whole, window=window)
    tissue, least = _tissue(file)
    if tissue is not None:
        grid = _with_tissue(whole, tissue, least)
    else:
        grid = _laid(whole, _covered(whole, window, file))
    if tissue is not None and attributes["recipe"].get("roi") is not None:
        grid = grid.select(_covered(whole, window, file)[tuple(grid.cell.T)])
    datasets: Datasets = {"coords": grid.coords, "cell": grid.cell}
    datasets["tissue_fraction"] = grid.tissue_fraction
    notes = [] if tissue is not None else [BY_CENTRE]
    labels, said, unlabelled = _labels(file, grid, tissue)
    carried = {k: v for k, v in file.carried()[1].items() if k not in OF_PATCHES}
    return DenseGrid(
        grid, datasets | labels, {**carried, **grid.attributes(), **said}, notes + unlabelled
    )


def _laid(grid: PatchGrid, wanted: NDArray[np.bool_]) -> PatchGrid:
    """The grid with the wanted cells of a raster bool [rows, cols]."""
    cell = np.argwhere(wanted).astype(np.int64)
    return replace(grid, cell=cell, tissue_fraction=np.full(len(cell), np.nan, np.float32))


def _with_tissue(whole: PatchGrid, tissue: TissueMask, least: float) -> PatchGrid:
    """Every window of which at least this share is tissue."""
    cells, shares = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    for part in _strips(whole, *(_near(whole, tissue, axis, least) for axis in (1, 0))):
        fraction = tissue.fraction(part.boxes_l0())
        keep = fraction >= least
        cells.append(part.cell[keep])
        shares.append(fraction[keep])
    return replace(whole, cell=np.concatenate(cells), tissue_fraction=np.concatenate(shares))


def _near(whole: PatchGrid, tissue: TissueMask, axis: int, least: float) -> NDArray[np.int64]:
    """Columns (axis 0) or rows (1) of windows that reach any tissue; all if none is asked for."""
    count = whole.shape[1 - axis]
    if least <= 0:
        return np.arange(count)
    line = replace(whole, cell=np.repeat(np.arange(count), 2).reshape(-1, 2))
    edges = line.boxes_l0()[:, [axis, axis + 2]] / tissue.pixel_l0[axis]
    any_tissue: NDArray[np.bool_] = np.asarray(tissue.mask.any(axis=axis))
    before = np.concatenate([[0], any_tissue.cumsum()])
    first, last = np.clip([np.floor(edges[:, 0]), np.ceil(edges[:, 1])], 0, len(any_tissue))
    return np.flatnonzero(before[last.astype(int)] > before[first.astype(int)])


def _strips(
    whole: PatchGrid, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> Iterator[PatchGrid]:
    """The crossings of rows and columns, a bounded number at once."""
    for start in range(0, len(rows) * len(columns), AT_ONCE):
        index = np.arange(start, min(start + AT_ONCE, len(rows) * len(columns)))
        row, column = np.divmod(index, len(columns))
        cell = np.stack([rows[row], columns[column]], axis=1)
        yield replace(whole, cell=cell, tissue_fraction=np.full(len(cell), np.nan, np.float32))


def _covered(whole: PatchGrid, window: Window, file: FilePatches) -> NDArray[np.bool_]:
    """Which windows have the centre of their footprint in one of the patches; [rows, cols]."""
    rows, columns = whole.shape
    stride = np.array(whole.stride_l0)
    px_l0 = stride / whole.stride_px
    centre = (window.offset_px + window.side_px / 2) * px_l0
    coords = file.datasets["coords"]
    side = file.attributes.get("window_px", file.attributes["patch_px"]) * px_l0
    # Cells c with start <= c × stride + centre < end, but for the rounding of coordinates.
    first = np.ceil((coords - centre) / stride - 1e-6).astype(np.int64)
    last = np.ceil((coords + side - centre) / stride - 1e-6).astype(np.int64)
    x0, y0 = first.clip(0, (columns, rows)).T
    x1, y1 = last.clip(0, (columns, rows)).T
    steps = np.zeros((rows + 1, columns + 1), np.int32)
    for y, x, sign in ((y0, x0, 1), (y1, x0, -1), (y0, x1, -1), (y1, x1, 1)):
        np.add.at(steps, (y, x), sign)
    covered: NDArray[np.bool_] = steps.cumsum(axis=0).cumsum(axis=1)[:rows, :columns] > 0
    return covered


def _is_tiled(file: FilePatches) -> bool:
    recipe = file.attributes.get("recipe") or {}
    return recipe.get("stage") == "tile" and "min_tissue" in recipe


def _tissue(file: FilePatches) -> tuple[TissueMask | None, float]:
    """The tissue that tile wrote beside the grid, and the share that it asked of a patch."""
    outline = outline_path(file.file)
    if not _is_tiled(file) or not outline.is_file():
        return None, 0.0
    recipe = file.attributes["recipe"]
    mpp = (recipe.get("tissue") or {}).get("mpp", TissueSettings.mpp)
    frame = recipe.get("frame", "bounds")
    return load_tissue(outline, file.slide, frame=frame, mpp=float(mpp)), recipe["min_tissue"]


def _rule(file: FilePatches) -> TruthRule | None:
    """By which options windows are labelled: as the patches were, slides.csv decides the inputs."""
    rule, entry = recorded_rule(file.attributes, file.file), file.entry
    if rule is None or entry is None or not (entry.annotation_path or entry.background):
        return rule
    path = entry.annotation_path
    return replace(rule, annotation=sha256(path) if path else None, background=entry.background)


def _labels(
    file: FilePatches, grid: PatchGrid, tissue: TissueMask | None
) -> tuple[Datasets, dict[str, Any], list[str]]:
    """(datasets, attributes, notes) of what is true of the windows, by the one truth function."""
    rule = _rule(file)
    if rule is None or (rule.annotation is None and rule.background is None):
        return {}, {}, []
    drawn: Annotations | None = None
    if rule.annotation is not None:
        path = file.annotation_path
        if path is None:
            return {}, {}, [NO_TRUTH]
        drawn = rule.read(path, grid.size_l0, file.attributes.get("bounds_l0"))
    truth = patch_truth(grid.boxes_l0(), drawn, rule)
    names = {key: list(truth.names) for key in OF_PATCHES[:2]} | {OF_PATCHES[2]: STATES}
    said: dict[str, Any] = {**names, "truth": rule.stored()}
    if drawn is not None:
        said["annotation_areas"] = area_report(drawn, tissue, grid.boxes_l0(), grid.slide_mpp)
    datasets: Datasets = {
        "coverage": truth.coverage,
        "labels": truth.index,
        "excluded": truth.excluded,
        "state": truth.state,
    }
    return datasets, said, []
