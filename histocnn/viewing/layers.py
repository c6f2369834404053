"""What may be laid over a slide: values of cells as whole numbers, and how the page colours them.

The page is given every cell once, two bytes each, and colours them itself: a new threshold or
opacity is a new table of 65,536 colours, and asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import StoreError
from histocnn.pages.viewer_key import layers as named_layers
from histocnn.pages.viewer_values import NOT_SCORED, STEPS, steps
from histocnn.patches.grid import PatchGrid
from histocnn.pictures import heat
from histocnn.pictures.heat import View
from histocnn.pictures.palette import NOVELTY_MAP, SCORE_MAP, class_colours
from histocnn.scores.scored import ScoredSlide, most_likely
from histocnn.viewing.opened import Opened

Kind: TypeAlias = Literal["map", "classes", "kinds", "grid"]
Values: TypeAlias = NDArray[np.uint16]
MOST_CELLS = 32_000_000  # that a browser is given: 64 MB
SURE = 1023  # steps of how sure a class is, beside its number in 16 bits
MOST_CLASSES = 63
RIGHT, WRONG = 0.15, 0.6  # opacity of what is right, and wrong, against truth


@dataclass(frozen=True)
class Layer:
    """A layer to choose from.

    Attributes:
        source: Number of the source; "taught" of a map that somebody teaches.
        key: Its name: classes, s0 …, novelty, uncertain, labels, errors, grid.
        title: What people read.
        kind: "map": a value is a share in `pages.viewer_values.STEPS`; "classes": a class's
            number × 1024 + how sure it is; "kinds": a number; "grid": 1 where a patch begins.
        facts: Colours, names and marks, as the page wants them.
    """

    source: int | str
    key: str
    title: str
    kind: Kind
    facts: Mapping[str, Any] = field(default_factory=dict)


def layers_of(opened: Opened, source: int, kind: str) -> list[Layer]:
    """The layers that one source gives to a slide.

    Args:
        opened: The slide.
        source: Number of the source.
        kind: Of the source: "scores", or what has places alone.

    Raises:
        StoreError: There is no such file of the slide, or it cannot be placed.
    """
    found: list[Layer] = []
    if kind == "scores":
        slide = opened.scored(source)
        found += of_scores(source, slide, class_colours(slide.class_names))
        labels, names, grid = slide.labels, slide.label_names, slide.grid
    else:
        file = opened.file(source)
        labels, names, grid = file.labels, file.class_names, _grid(opened, source)
    if names and (labels >= 0).any():
        found.append(_kinds(source, "labels", "labels (truth)", names))
    found.append(Layer(source, "grid", "grid of patches", "grid", _footprint(grid)))
    return placed(found, *grid_of(opened, source))


def placed(layers: Sequence[Layer], grid: PatchGrid, smooth: bool) -> list[Layer]:
    """The same layers, each with its cells' place; and whether to read between their centres."""
    place = {"shape": list(grid.shape), "stride": list(grid.stride_l0), "smooth": smooth}
    return [replace(each, facts={**place, **each.facts}) for each in layers]


def of_scores(source: int | str, slide: ScoredSlide, colours: NDArray[np.uint8]) -> list[Layer]:
    """The layers of scores, not yet placed; classes have these colours [C, 3]."""
    view = View(slide, np.zeros((1, 1, 3), np.uint8))
    found = []
    for key, title in named_layers(slide):
        if key == "classes" and len(colours) <= MOST_CLASSES:
            chance = 1 / len(colours) if len(colours) > 1 else 0.0
            facts = {"colours": colours.tolist(), "names": slide.class_names, "chance": chance,
                     "opacity": heat.CLASS_OPACITY}  # fmt: skip
            found.append(Layer(source, key, title, "classes", facts))
        elif key.startswith("s"):
            points = [{"name": n, "at": at} for n, _, at in view.contours(int(key[1:]))]
            facts = {"map": SCORE_MAP, "opacity": heat.OPACITY.tolist(), "points": points}
            found.append(Layer(source, key, title, "map", facts))
        elif key == "novelty":
            points = [{"name": "unlike the reference", "at": heat.NEW / 100}]
            opacity = heat.NOVELTY_OPACITY.tolist()
            facts = {"map": NOVELTY_MAP, "opacity": opacity, "points": points}
            found.append(Layer(source, key, title, "map", facts))
    if slide.uncertain is not None:
        said = ["uncertain (no class, or several)"]
        facts = {"names": said, "colours": [list(heat.HATCH)], "opacities": [heat.HATCHED]}
        found.append(Layer(source, "uncertain", "uncertain", "kinds", facts))
    pairs = len(slide.label_names) * len(slide.class_names)
    if pairs <= STEPS and (slide.labels >= 0).any():
        found.append(Layer(source, "errors", "errors against truth", "kinds", _pairs(slide)))
    return found


def _kinds(source: int, key: str, title: str, names: Sequence[str]) -> Layer:
    facts = {"names": list(names), "colours": class_colours(names).tolist(),
             "opacities": [heat.CLASS_OPACITY] * len(names)}  # fmt: skip
    return Layer(source, key, title, "kinds", facts)


def _pairs(slide: ScoredSlide) -> dict[str, Any]:
    """Names of what may be called what, colours by what is called; the right ones pale grey."""
    colours = class_colours(slide.class_names).tolist()
    names, shown, opacities = [], [], []
    for truth in slide.label_names:
        for called, colour in zip(slide.class_names, colours, strict=True):
            right = truth == called
            names.append(f"{truth}, called so" if right else f"{truth}, called {called}")
            shown.append(list(heat.HATCH) if right else colour)
            opacities.append(RIGHT if right else WRONG)
    return {"names": names, "colours": shown, "opacities": opacities}


def _grid(opened: Opened, source: int) -> PatchGrid:
    """The grid of a file without scores.

    Raises:
        StoreError: Its scale is not known.
    """
    file = opened.file(source)
    needed = ("size_l0", "slide_mpp", "patch_px", "mpp", "stride_px")
    if file.coords is None or not all(file.attributes.get(name) for name in needed):
        raise StoreError(f"{file.file}: does not say its scale", "Tile the slide with histocnn.")
    return PatchGrid.from_attributes(file.attributes, file.coords, file.datasets.get("cell"))


def _footprint(grid: PatchGrid) -> dict[str, Any]:
    offset = grid.window.offset_px if grid.window else 0.0
    px_l0 = [side / grid.stride_px for side in grid.stride_l0]
    return {"offset": [offset * px for px in px_l0], "footprint": list(grid.footprint_l0)}


def grid_of(opened: Opened, source: int) -> tuple[PatchGrid, bool]:
    """The grid of a source, and whether its values may be read between the centres of cells.

    Raises:
        StoreError: It cannot be placed.
    """
    if opened.has_scores(source):
        slide = opened.scored(source)
        return slide.grid, slide.smooth
    grid: PatchGrid = opened.once(("grid", source), lambda: _grid(opened, source))
    return grid, False


def values_of(opened: Opened, source: int, key: str) -> Values:
    """The values of a layer's cells, uint16 [rows, cols]; 65535 where there is none.

    Raises:
        StoreError: There is no such layer, or it has more cells than a browser takes.
    """
    grid, _ = grid_of(opened, source)
    rows, columns = grid.shape
    if rows * columns > MOST_CELLS:
        raise StoreError(
            f"{opened.listed.slide_id}: {rows * columns:,} cells are more than a browser takes",
            "Score it at a coarser scale, or use histocnn heatmap.",
        )
    if key == "grid":
        laid = np.full(grid.shape, NOT_SCORED, np.uint16)
        laid[grid.cell[:, 0], grid.cell[:, 1]] = 1
        return laid
    if key == "labels" and not opened.has_scores(source):
        file = opened.file(source)
        return _coded(label_raster(grid, file.labels, len(file.class_names)))
    return score_values(opened.scored(source), key)


def score_values(slide: ScoredSlide, key: str) -> Values:
    """The values of a layer of scores, as `values_of`.

    Raises:
        StoreError: There is no such layer.
    """
    if key == "classes":
        return _coded_classes(slide.raster())
    if key.startswith("s") and key[1:].isdecimal() and int(key[1:]) < len(slide.class_names):
        return steps(slide.raster()[..., int(key[1:])])
    if key == "novelty" and (novelty := slide.novelty_raster()) is not None:
        return steps(novelty)
    if key == "uncertain" and (share := slide.uncertain_raster()) is not None:
        return np.where(share >= heat.MOSTLY, 0, NOT_SCORED).astype(np.uint16)
    if key in ("labels", "errors") and slide.label_names:
        labels = label_raster(slide.grid, slide.labels, len(slide.label_names))
        if key == "labels":
            return _coded(labels)
        called = most_likely(slide.raster())
        pair = labels * len(slide.class_names) + called
        return _coded(np.where((labels >= 0) & (called >= 0), pair, -1))
    raise StoreError(f"{slide.slide_id}: has no layer {key!r}")


def _coded_classes(raster: NDArray[np.float32]) -> Values:
    """The most likely class of each cell × 1024 + how sure it is, from scores [rows, cols, C]."""
    called = most_likely(raster)
    sure = np.nan_to_num(raster).max(axis=2)
    coded = called * (SURE + 1) + np.rint(np.clip(sure, 0, 1) * SURE).astype(np.int64)
    return np.where(called >= 0, coded, NOT_SCORED).astype(np.uint16)


def label_raster(grid: PatchGrid, labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """The label of each cell, [rows, cols], -1 unknown: most of the patches over its centre."""
    shares = np.full((len(grid), max(classes, 1)), np.nan, np.float32)
    known = labels >= 0
    shares[known] = np.eye(max(classes, 1), dtype=np.float32)[labels[known]]
    return most_likely(grid.raster(shares))


def _coded(kinds: NDArray[np.int64]) -> Values:
    return np.where(kinds >= 0, kinds, NOT_SCORED).astype(np.uint16)
