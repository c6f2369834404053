"""Scores laid over a slide: one picture per class, the most likely class, novelty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histocnn.pictures.overlay import blend, canvas, cell_layer, faded
from histocnn.pictures.palette import NOVELTY_MAP, SCORE_MAP, class_colours, paint_classes, shade
from histocnn.pictures.sheet import ColourBar, Entry, write_sheet
from histocnn.scores.scored import ScoredSlide, most_likely

OPACITY = 0.65


def score_picture(
    slide: ScoredSlide, thumbnail: NDArray[np.uint8], index: int, path: Path, title: str
) -> None:
    """Write the probability of class number `index` over the slide, from 0 to 1."""
    bar = ColourBar(SCORE_MAP, f"probability of {slide.class_names[index]}", opacity=OPACITY)
    values = slide.raster()[..., index]
    _write(slide, thumbnail, shade(values, bar.map_name), bar, path, title)


def novelty_picture(
    slide: ScoredSlide, thumbnail: NDArray[np.uint8], path: Path, title: str
) -> None:
    """Write how unlike the reference every patch is: 100 is farther than all of the reference."""
    values = slide.novelty_raster()
    if values is None:
        raise ValueError("no novelty was computed")
    bar = ColourBar(NOVELTY_MAP, "novelty (percentile in the reference)", (0, 100), OPACITY)
    _write(slide, thumbnail, shade(values, bar.map_name), bar, path, title)


def class_picture(slide: ScoredSlide, thumbnail: NDArray[np.uint8], path: Path, title: str) -> None:
    """Write the most likely class over the slide, with a legend that says how often it is that."""
    labels = most_likely(slide.raster())
    colours = class_colours(len(slide.class_names))
    count = np.bincount(labels[labels >= 0], minlength=len(colours))
    share = count / max(1, count.sum())
    legend = [
        Entry(f"{name}  ({part:.1%})", colour)
        for name, part, colour in zip(slide.class_names, share, colours.tolist(), strict=True)
    ]
    _write(slide, thumbnail, paint_classes(labels, colours), legend, path, title)


def _write(
    slide: ScoredSlide,
    thumbnail: NDArray[np.uint8],
    cells: NDArray[np.uint8],
    key: ColourBar | list[Entry],
    path: Path,
    title: str,
) -> None:
    grid = slide.grid
    picture = canvas(thumbnail, grid.size_l0, grid.slide_mpp)
    size_px = (picture.shape[1], picture.shape[0])
    layer = cell_layer(cells, grid.stride_l0, grid.size_l0, size_px)
    write_sheet(
        blend(faded(picture), layer, OPACITY),
        path,
        title=title,
        width_um=grid.size_l0[0] * grid.slide_mpp[0],
        key=key,
        note=slide.origin,
    )
