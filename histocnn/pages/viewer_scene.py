"""The plot of a slide's page: overview, layer of scores, lines over it, in level-0 pixels."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from histocnn.pictures.heat import HATCH, HATCHED, INK, View
from histocnn.pictures.strokes import Points, Stroke
from histocnn.regions.raster import outline

OPACITY = 0.6  # of the layer, until somebody moves the slider
_LARGEST_JPEG = 6_000_000  # bytes
_OUTSIDE = "#eeeeee"
_DASHES: dict[Stroke, Any] = {"line": "solid", "dashed": [8, 5], "dotted": [2, 4]}


class Scene(NamedTuple):
    """The plot, and its renderers that change.

    Attributes:
        plot: The figure.
        layer: The picture of the scores.
        contours: The lines of each layer, which are shown with it.
        mark: The footprint of the pointed patch.
    """

    plot: Any
    layer: Any
    contours: dict[str, list[Any]]
    mark: Any


def scene(view: View, overview: NDArray[np.uint8]) -> Scene:
    """Overview, empty layer, lines and mark, y downwards."""
    import bokeh.plotting

    plotting: Any = bokeh.plotting  # its type hints know no defaults
    grid = view.slide.grid
    width, height = grid.size_l0
    plot = plotting.figure(
        name="slide",
        sizing_mode="stretch_both",
        x_range=(0, width),  # until the script FIT knows the frame
        y_range=(height, 0),
        background_fill_color=_OUTSIDE,
        tools="pan,wheel_zoom,reset",
        active_scroll="wheel_zoom",
        toolbar_location="right",
        x_axis_label="x (level-0 px)",
        y_axis_label="y (level-0 px)",
        min_border_left=90,  # wide enough for any tick, so that panning never shifts the frame
    )
    plot.grid.visible = False
    plot.toolbar.logo = None
    for axis in plot.axis:
        axis.formatter.use_scientific = False
    plot.image_url(url=[_jpeg_url(overview)], x=0, y=0, w=width, h=height, anchor="top_left")
    rows, columns = grid.shape
    layer = plot.image_rgba(
        image=[np.zeros((1, 1), dtype=np.uint32)],
        x=[0],
        y=[0],
        dw=[columns * grid.stride_l0[0]],
        dh=[rows * grid.stride_l0[1]],
        global_alpha=OPACITY,
    )
    _fill(plot, view, view.new, "right_diagonal_line")
    _fill(plot, view, view.uncertain, "dot")
    # Patches at the border reach over it; what lies outside the slide is covered again.
    over_x, over_y = width + grid.footprint_l0[0], height + grid.footprint_l0[1]
    outside = {"fill_color": _OUTSIDE, "line_color": None}
    plot.quad(left=width, right=over_x, top=0, bottom=over_y, **outside)
    plot.quad(left=0, right=over_x, top=height, bottom=over_y, **outside)
    for _, colour, area in view.annotated():
        _lines(plot, _rings(area), colour)
    contours = _contours(plot, view)
    mark = plot.quad(
        left=[], right=[], top=[], bottom=[], fill_alpha=0, line_color="black", line_width=2
    )
    return Scene(plot, layer, contours, mark)


def _contours(plot: Any, view: View) -> dict[str, list[Any]]:
    """Draw each class's contours and what is flawed, out of sight, as their pictures have them."""
    smooth = view.slide.smooth
    found: dict[str, list[Any]] = {}
    for index in range(len(view.slide.class_names)):
        found[f"s{index}"] = [
            renderer
            for _, stroke, score in view.contours(index)
            for renderer in _lines(
                plot, view.lines(index, score), INK, stroke, 1 + smooth, smooth, visible=False
            )
        ]
    found["quality"] = [
        renderer
        for entry, area in view.flawed
        for renderer in _lines(plot, _rings(area), entry.colour, visible=False)
    ]
    return found


def _lines(
    plot: Any,
    lines: Iterable[Points],
    colour: Sequence[int],
    stroke: Stroke = "line",
    width: float = 1.5,
    halo: bool = True,
    *,
    visible: bool = True,
) -> list[Any]:
    """Draw lines, a white seam below them; none where there are none."""
    import bokeh.models

    models: Any = bokeh.models
    x, y = _joined(lines)
    if not len(x):
        return []
    source = models.ColumnDataSource({"x": x, "y": y})
    dash = _DASHES[stroke]
    strokes = [("white", width + 2)] * halo + [(tuple(colour), width)]
    return [
        plot.line(
            "x", "y", source=source, line_color=ink, line_width=px, line_dash=dash, visible=visible
        )
        for ink, px in strokes
    ]


def _fill(plot: Any, view: View, where: NDArray[np.bool_] | None, pattern: str) -> None:
    """Fill it with lines or dots, as far apart however far one zooms."""
    if where is None:
        return
    px_l0 = np.divide(view.slide.grid.size_l0, where.shape[::-1])
    x, y = _joined(_rings(outline(where, (px_l0[0], px_l0[1]))))
    if len(x):
        plot.patch(
            x, y, fill_alpha=0, line_color=None, hatch_pattern=pattern,
            hatch_color=HATCH, hatch_alpha=HATCHED, hatch_weight=1,
        )  # fmt: skip


def _rings(area: BaseGeometry) -> list[Points]:
    rings = shapely.get_rings(shapely.get_parts(area))
    return [shapely.get_coordinates(ring) for ring in rings]


def _joined(lines: Iterable[Points]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lines as one, which NaN breaks: x and y."""
    gap = np.full((1, 2), np.nan)
    parts = [part for line in lines for part in (line, gap)]
    x, y = np.concatenate([np.empty((0, 2)), *parts]).astype(np.float32).T
    return x, y


def tissue_url(view: View) -> str:
    """How much of each pixel of the view's picture is tissue, as a grey PNG inside a URL."""
    return _url("png", cv2.imencode(".png", view.tissue)[1].tobytes())


def _jpeg_url(overview: NDArray[np.uint8]) -> str:
    """The overview as a JPEG inside a URL, no larger than `_LARGEST_JPEG`."""
    bgr = cv2.cvtColor(overview, cv2.COLOR_RGB2BGR)
    for quality in (88, 75, 60, 40):
        jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(jpeg) <= _LARGEST_JPEG:
            break
    return _url("jpeg", jpeg)


def _url(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
