"""Scores laid over a slide: one picture per class, the most likely class, novelty, quality.

The slide stays in its own colours: the surer the score, the more of its colour covers the tissue.
Glass and what was not scored stay clear.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from histocnn.patches.quality import flaws
from histocnn.pictures.grid_picture import flawed
from histocnn.pictures.lettering import short
from histocnn.pictures.overlay import Floats, Pixels, canvas, lay, paint, tissue_share
from histocnn.pictures.palette import NOVELTY_MAP, SCORE_MAP, Colours, class_colours, map_table
from histocnn.pictures.sheet import ColourBar, Entry, Key, write_sheet
from histocnn.pictures.strokes import (
    Points,
    Stroke,
    draw_lines,
    draw_outline,
    hatch,
    kept_lines,
    stipple,
)
from histocnn.regions.field import sample, under
from histocnn.scores.scored import ScoredSlide, most_likely

# How opaque the value of each of the map's 256 steps lies: what is unlikely hides nothing.
OPACITY = (0.6 * np.linspace(0, 1, 256) ** 1.5).astype(np.float32)
NOVELTY_OPACITY = np.linspace(0.05, 0.6, 256, dtype=np.float32)
CLASS_OPACITY = 0.45  # of a class that is certain
NEW = 95  # the percentile from which on a patch is unlike the reference
INK = (20, 20, 20)
MOSTLY = 0.5  # of the patches over a place are uncertain
HATCH = (70, 70, 70)
HATCHED = 0.7
LONGEST = 40  # letters of a class in a legend
NO_FLAW = Entry("blur, pen, fold, edge: no patch", INK, "dotted")
GLASS = 13  # of 255: surroundings with less tissue are glass
# Operating points as metrics.calibration names them: what people read, and how they are drawn.
_POINTS: Mapping[str, tuple[str, Stroke]] = {
    "sensitivity_95": ("sensitivity 95 %", "dotted"),
    "youden": ("Youden", "line"),
    "specificity_95": ("specificity 95 %", "dashed"),
}


class Drawn(NamedTuple):
    """A picture [h, w, 3] and what its colours mean."""

    pixels: Pixels
    key: Key


@dataclass(frozen=True, eq=False)
class View:
    """A scored slide as it is drawn; what its pictures share is made once.

    Attributes:
        slide: The scores.
        thumbnail: The whole of level 0, uint8 [h, w, 3].
        annotations: What somebody drew: class → polygons in level-0 px.
        colours: Chosen for classes; the palette's for others.
        threshold: Where contours run for scores without operating points of their own.
    """

    slide: ScoredSlide
    thumbnail: Pixels
    annotations: Mapping[str, BaseGeometry] = field(default_factory=dict)
    colours: Colours = field(default_factory=dict)
    threshold: float = 0.5
    _lines: dict[tuple[int, float], list[Points]] = field(default_factory=dict, init=False)

    @cached_property
    def picture(self) -> Pixels:
        """What is painted on."""
        grid = self.slide.grid
        return canvas(self.thumbnail, grid.size_l0, grid.slide_mpp)

    @cached_property
    def tissue(self) -> Pixels:
        """The share of each pixel that is not glass, of 255, [h, w]."""
        return tissue_share(self.picture)

    @cached_property
    def class_colours(self) -> NDArray[np.uint8]:
        """RGB of each class, [C, 3]."""
        return class_colours(self.slide.class_names, self.colours)

    @cached_property
    def scored(self) -> Pixels:
        """How much of each pixel is tissue with scores, of 255, [h, w]."""
        return self.tissue_in(self.slide.raster()[..., 0])

    @cached_property
    def new(self) -> NDArray[np.bool_] | None:
        """Which pixels of the tissue are unlike the reference, bool [h, w]; None: not known."""
        if self.novelty is None:
            return None
        values, tissue = self.novelty
        return (values >= NEW / 100) & (tissue > GLASS)

    @cached_property
    def uncertain(self) -> NDArray[np.bool_] | None:
        """Which pixels of the tissue are uncertain, bool [h, w]; None where nobody asked."""
        raster = self.slide.uncertain_raster()
        if raster is None:
            return None
        return (self.at_pixels(raster) >= MOSTLY) & (self.tissue_in(raster) > GLASS)

    @cached_property
    def novelty(self) -> tuple[Floats, Pixels] | None:
        """The novelty at each pixel, 0 to 1, and how much of it is tissue where it is known."""
        raster = self.slide.novelty_raster()
        return None if raster is None else (self.at_pixels(raster), self.tissue_in(raster))

    @cached_property
    def marks(self) -> list[tuple[Entry, NDArray[np.intp], Pixels]]:
        """What is marked as new or uncertain: the legend's entry, pixels [N], opacity [N]."""
        new = Entry(f"unlike the reference (novelty from {NEW})", HATCH, "hatched")
        uncertain = Entry("uncertain (no class, or several)", HATCH, "stippled")
        marks = []
        for where, pattern, entry in ((self.new, hatch, new), (self.uncertain, stipple, uncertain)):
            if where is not None and where.any():
                at = np.flatnonzero(where & pattern(where.shape))
                opacity = np.minimum(self.tissue.ravel()[at], np.uint8(255 * HATCHED))
                marks.append((entry, at, opacity))
        return marks

    def at_pixels(self, raster: Floats) -> Floats:
        """Values of cells at each pixel, [h, w], as finely as the grid allows; NaN is anything."""
        how = sample if self.slide.smooth else under
        return np.asarray(self._laid(how, raster), np.float32)

    def tissue_in(self, raster: Floats) -> Pixels:
        """How much of each pixel is tissue in a cell that is not NaN, of 255, [h, w]."""
        known = np.where(np.isnan(raster), np.uint8(0), np.uint8(255))
        return np.asarray(cv2.min(self.tissue, self._laid(under, known)), np.uint8)

    def _laid(self, how: Callable[..., Any], cells: NDArray[Any]) -> Any:
        grid, (height, width) = self.slide.grid, self.picture.shape[:2]
        return how(cells, grid.stride_l0, grid.size_l0, (width, height))

    @cached_property
    def near_tissue(self) -> NDArray[np.bool_]:
        """Which pixels have tissue within about half a cell; scores reach out over glass."""
        cells = zip(self.picture.shape[1::-1], self.slide.grid.shape[::-1], strict=True)
        width, height = (max(3, round(px / count)) for px, count in cells)
        return np.asarray(cv2.blur(self.tissue, (width, height)) > GLASS)

    @cached_property
    def flawed(self) -> list[tuple[Entry, BaseGeometry]]:
        """The legend's entry and the area of each flaw that any patch has, in level-0 px."""
        return flawed(self.slide.grid, flaws(self.slide.quality))

    def contours(self, index: int) -> list[tuple[str, Stroke, float]]:
        """Of a class: what each contour is called, how it is drawn, at which score."""
        own = self.slide.points.get(self.slide.class_names[index], {})
        named = [(*_POINTS[name], own[name]) for name in _POINTS if name in own]
        return named or [("threshold", "line", self.threshold)]

    def annotated(self) -> list[tuple[str, list[int], BaseGeometry]]:
        """Of each annotated class its name, its colour and what was drawn."""
        names = list(dict.fromkeys([*self.slide.class_names, *self.annotations]))
        colours = dict(zip(names, class_colours(names, self.colours).tolist(), strict=True))
        return [(name, colours[name], area) for name, area in self.annotations.items()]

    def lines(self, index: int, score: float) -> list[Points]:
        """A contour of a class as lines through level-0 points [N, 2].

        It has gaps where it would run over glass, along the slide's edge, or before the first
        windows' centres, up to where these only repeat themselves.
        """
        if (index, score) in self._lines:  # the page has those of the picture
            return self._lines[index, score]
        grid = self.slide.grid
        size_l0, shape = np.array(grid.size_l0), np.array(self.near_tissue.shape)
        centre_px = grid.window.centre_px if grid.window else 0
        near = np.array(grid.stride_l0) / 2
        first = 2 * near * centre_px / grid.stride_px

        def kept(ends: NDArray[np.float64]) -> NDArray[np.bool_]:
            at_px = ends.mean(axis=1) / size_l0 * shape[::-1]
            col, row = np.minimum(at_px.astype(np.intp), shape[::-1] - 1).T
            along = np.ptp(ends, axis=1) < near / 100
            on_edge = along & ((ends <= near) | (ends >= size_l0 - near)).all(axis=1)
            repeated = (ends < first).any(axis=(1, 2))
            return np.asarray(self.near_tissue[row, col] & ~on_edge.any(axis=1) & ~repeated)

        found = kept_lines(self.slide.areas_at(index, score), kept, min(grid.stride_l0) / 4)
        return self._lines.setdefault((index, score), found)

    def write(self, drawn: Drawn, path: Path, title: str) -> None:
        """Write a picture in its frame.

        Raises:
            StoreError: It cannot be written.
        """
        grid = self.slide.grid
        write_sheet(
            drawn.pixels,
            path,
            title=title,
            width_um=grid.size_l0[0] * grid.slide_mpp[0],
            key=drawn.key,
            note=self.slide.origin,
        )


def score_picture(view: View, index: int) -> Drawn:
    """The probability of class number `index`, with contours at its operating points."""
    name, slide = view.slide.class_names[index], view.slide
    contours = view.contours(index)
    marks = tuple(score for *_, score in contours)
    meaning = f"probability of {short(name, LONGEST)}"
    bar = ColourBar(SCORE_MAP, meaning, OPACITY, marks=marks)
    values = view.at_pixels(slide.raster()[..., index])
    pixels = paint(view.picture, values, view.scored, bar.opacity, map_table(bar.map_name))
    key: list[Entry | ColourBar] = [bar, *_marked(view, pixels)]
    for said, stroke, score in contours:
        draw_lines(
            pixels, view.lines(index, score), slide.grid.size_l0,
            colour=INK, stroke=stroke, width_px=1 + slide.smooth, halo=slide.smooth,
        )  # fmt: skip
        key.append(Entry(f"{said}: {score:.2g}", INK, stroke))
    return Drawn(pixels, [*key, *_annotated(view, pixels)])


def novelty_picture(view: View) -> Drawn:
    """How unlike the reference every patch is: 100 is farther than all of the reference.

    Raises:
        ValueError: Nobody asked for novelty.
    """
    if view.novelty is None:
        raise ValueError("no novelty was computed")
    bar = ColourBar(NOVELTY_MAP, "novelty (percentile in the reference)", NOVELTY_OPACITY, (0, 100))
    pixels = paint(view.picture, *view.novelty, bar.opacity, map_table(bar.map_name))
    return Drawn(pixels, [bar, *_marked(view, pixels), *_annotated(view, pixels)])


def class_picture(view: View) -> Drawn:
    """The most likely class, the paler the less sure; its legend says how often it is that."""
    slide, colours, raster = view.slide, view.class_colours, view.slide.raster()
    best = view.at_pixels(raster[..., 0])
    called = np.zeros(best.shape, np.uint8)
    for index in range(1, len(colours)):
        values = view.at_pixels(raster[..., index])
        higher = np.asarray(cv2.compare(values, best, cv2.CMP_GT), np.uint8)  # 255 or 0
        cv2.max(called, higher & np.uint8(index), called)
        cv2.max(best, values, best)
    chance = 1 / len(colours) if len(colours) > 1 else 0.0
    sure = np.clip((np.linspace(0, 1, 256) - chance) / (1 - chance), 0, 1)
    table = np.zeros((256, 3), np.uint8)
    table[: len(colours)] = colours
    pixels = paint(view.picture, best, view.scored, CLASS_OPACITY * sure, table, called)
    labels = most_likely(raster)
    count = np.bincount(labels[labels >= 0], minlength=len(colours))
    shares = [f"{part / count.sum():.1%}" if count.any() else "nothing scored" for part in count]
    legend = [
        Entry(f"{short(name, LONGEST)}  ({part})", colour)
        for name, part, colour in zip(slide.class_names, shares, colours.tolist(), strict=True)
    ]
    return Drawn(pixels, [*legend, *_marked(view, pixels), *_annotated(view, pixels)])


def quality_picture(view: View) -> Drawn:
    """The slide with its patches that are blurred, or show pen, a fold or an edge, outlined."""
    pixels = view.picture.copy()
    for entry, area in view.flawed:
        draw_outline(pixels, area, view.slide.grid.size_l0, colour=entry.colour, stroke="dotted")
    found = [entry for entry, _ in view.flawed] or [NO_FLAW]
    return Drawn(pixels, found + _annotated(view, pixels))


def _marked(view: View, pixels: Pixels) -> list[Entry]:
    """Mark in place what is unlike the reference, or uncertain; the legend's entries of these."""
    flat = pixels.reshape(1, -1, 3)
    for _, at, opacity in view.marks:
        flat[:, at] = lay(flat[:, at], np.full((1, len(at), 3), HATCH, np.uint8), opacity[None])
    return [entry for entry, *_ in view.marks]


def _annotated(view: View, pixels: Pixels) -> list[Entry]:
    """Draw annotations in place; the legend's entries."""
    entries = []
    for name, colour, area in view.annotated():
        draw_outline(pixels, area, view.slide.grid.size_l0, colour=colour)
        entries.append(Entry(f"annotated {short(name, LONGEST)}", colour, "line"))
    return entries
