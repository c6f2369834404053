"""One HTML file per slide: overview, score layers, and the patch under the pointer.

Bokeh's JavaScript travels inside the file, whose content security policy forbids every request, so
that a slide's scores can be looked at from a disk without a network and tell nobody.
"""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.pages.viewer_script import PAINT, POINT
from histocnn.patches.grid import PatchGrid
from histocnn.pictures.palette import NOVELTY_MAP, SCORE_MAP, class_colours, map_table
from histocnn.pictures.sheet import FOOTNOTE
from histocnn.scores.scored import ScoredSlide
from histocnn.storage.atomic import write_text

OVERVIEW_PX = 3000  # the longest side of a thumbnail worth asking for
_LARGEST_JPEG = 6_000_000  # bytes
_FRAME_PX = (880, 700)
_PANEL_PX = 320
_OPACITY = 0.6
_OUTSIDE = "#eeeeee"
_NOT_SCORED = 65535
_STEPS = 65534  # of a probability from 0 to 1

# Bokeh compiles its callbacks, hence unsafe-eval; with default-src 'none' nothing is ever fetched.
_TEMPLATE = """{% block preamble %}
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; font-src
data:; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'">
<style>body { font-family: system-ui, sans-serif; margin: 16px; }</style>
{% endblock %}"""
_NOTHING = "<i>Move the pointer over a patch.</i>"
_PANEL_CSS = """
:host { font-size: 14px; }
td { padding: 1px 8px 1px 0; }
td i { display: inline-block; height: 9px; background: #0072b2; }
.bar { width: 310px; height: 14px; border: 1px solid #999; }
.ends { display: flex; justify-content: space-between; width: 310px; }
h2 { margin: 0 0 4px; }
.class { display: inline-block; width: 12px; height: 12px; margin-right: 6px; }
"""


def write_viewer(slide: ScoredSlide, overview: NDArray[np.uint8], path: Path) -> None:
    """Write the interactive page of one slide.

    Args:
        slide: The scores.
        overview: The whole of level 0, uint8 [h, w, 3].
        path: The HTML file; whole or not there.

    Raises:
        StoreError: It cannot be written.
    """
    from bokeh.document import Document
    from bokeh.embed import file_html
    from bokeh.layouts import column, row

    scene, panel = _scene(slide, overview), _panel(slide)
    paint = _connect(slide, scene, panel)
    document = Document()
    document.add_root(column(panel.heading, row(scene.plot, column(*panel[1:]))))
    document.js_on_event("document_ready", paint)
    html = file_html(document, "inline", title=slide.slide_id, template=_TEMPLATE)
    write_text(path, html)


class _Panel(NamedTuple):
    """What stands above and beside the slide, from top to bottom."""

    heading: Any
    choice: Any
    key: Any
    opacity: Any
    least: Any
    readout: Any


def _panel(slide: ScoredSlide) -> _Panel:
    import bokeh.models

    models: Any = bokeh.models  # its type hints know neither widgets nor defaults
    css = {"stylesheets": [_PANEL_CSS]}
    share = {"start": 0, "end": 1, "width": _PANEL_PX}
    return _Panel(
        heading=models.Div(text=_heading(slide), **css),
        choice=models.Select(
            name="layer", title="Layer", value="classes", options=_layers(slide), width=_PANEL_PX
        ),
        key=models.Div(text=_keys(slide)["classes"], width=_PANEL_PX, **css),
        opacity=models.Slider(title="Opacity", step=0.05, value=_OPACITY, **share),
        least=models.Slider(name="threshold", title="Show from", step=0.01, value=0, **share),
        readout=models.Div(text=_NOTHING, width=_PANEL_PX, **css),
    )


def _connect(slide: ScoredSlide, scene: _Scene, panel: _Panel) -> Any:
    """Let the panel and the pointer act on the scene; gives the script that paints the layer."""
    import bokeh.models

    models: Any = bokeh.models
    grid = slide.grid
    cells = models.ColumnDataSource(_cells(slide))
    patches = models.ColumnDataSource(_patches(slide)) if _is_laid_over(grid) else cells
    paint = models.CustomJS(
        code=PAINT,
        args={
            "cells": cells,
            "shape": list(grid.shape),
            "layer": scene.layer.data_source,
            "choice": panel.choice,
            "threshold": panel.least,
            "key": panel.key,
            "keys": _keys(slide),
            "tables": [map_table(name).tolist() for name in (SCORE_MAP, NOVELTY_MAP)],
            "colours": class_colours(slide.class_names).tolist(),
            "class_count": len(slide.class_names),
        },
    )
    view = {
        "shape": list(grid.shape),
        "stride": list(grid.stride_l0),
        "footprint": list(grid.footprint_l0 if _is_laid_over(grid) else grid.stride_l0),
        "nothing": _NOTHING,
    }
    point = models.CustomJS(
        code=POINT,
        args={
            "patches": patches,
            "view": view,
            "mark": scene.mark.data_source,
            "readout": panel.readout,
            "names": [escape(name) for name in slide.class_names],
        },
    )
    panel.choice.js_on_change("value", paint)
    panel.least.js_on_change("value", paint)
    panel.opacity.js_link("value", scene.layer.glyph, "global_alpha")
    scene.plot.js_on_event("mousemove", point)
    scene.plot.js_on_event("mouseleave", point)
    return paint


class _Scene(NamedTuple):
    """The plot, and its renderers that change: the layer and the mark of the pointed patch."""

    plot: Any
    layer: Any
    mark: Any


def _scene(slide: ScoredSlide, overview: NDArray[np.uint8]) -> _Scene:
    """Overview, empty layer and mark in level-0 pixels, y downwards, in the slide's proportions."""
    import bokeh.models
    import bokeh.plotting

    models: Any = bokeh.models
    plotting: Any = bokeh.plotting
    grid = slide.grid
    (width, height), (mpp_x, mpp_y) = grid.size_l0, grid.slide_mpp
    # As much of the frame as the slide's proportions allow, and the slide in the middle.
    um_per_px = max(width * mpp_x / _FRAME_PX[0], height * mpp_y / _FRAME_PX[1])
    spare_x = (_FRAME_PX[0] * um_per_px / mpp_x - width) / 2
    spare_y = (_FRAME_PX[1] * um_per_px / mpp_y - height) / 2
    plot = plotting.figure(
        name="slide",
        frame_width=_FRAME_PX[0],
        frame_height=_FRAME_PX[1],
        x_range=models.Range1d(-spare_x, width + spare_x),
        y_range=models.Range1d(height + spare_y, -spare_y),
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
    plot.image_url(url=[_data_url(overview)], x=0, y=0, w=width, h=height, anchor="top_left")
    rows, columns = grid.shape
    layer = plot.image_rgba(
        image=[np.zeros((1, 1), dtype=np.uint32)],
        x=0,
        y=0,
        dw=columns * grid.stride_l0[0],
        dh=rows * grid.stride_l0[1],
        global_alpha=_OPACITY,
    )
    # Patches at the border reach over it; what lies outside the slide is covered again.
    over_x, over_y = width + grid.footprint_l0[0], height + grid.footprint_l0[1]
    outside = {"fill_color": _OUTSIDE, "line_color": None}
    plot.quad(left=width, right=over_x, top=0, bottom=over_y, **outside)
    plot.quad(left=0, right=over_x, top=height, bottom=over_y, **outside)
    mark = plot.quad(
        left=[], right=[], top=[], bottom=[], fill_alpha=0, line_color="black", line_width=2
    )
    return _Scene(plot, layer, mark)


def _is_laid_over(grid: PatchGrid) -> bool:
    """Whether patches are larger than cells, and no windows, of which a cell shows its own."""
    return grid.overlap_px > 0 and grid.window is None


def _cells(slide: ScoredSlide) -> dict[str, NDArray[Any]]:
    """Columns of the cells that hold anything: their place `at` in the raster, their values."""
    if slide.grid.overlap_px == 0:  # then a cell is a patch, and stays its row
        return _patches(slide)
    scores, novelty = slide.raster(), slide.novelty_raster()
    known = ~np.isnan(scores).any(axis=2)
    if novelty is not None:
        known |= ~np.isnan(novelty)
    at = np.flatnonzero(known).astype(np.uint32)
    return _columns(at, scores[known], None if novelty is None else novelty[known])


def _patches(slide: ScoredSlide) -> dict[str, NDArray[Any]]:
    """Columns of the patches, in their order."""
    row, column = slide.grid.cell.T
    at = (row * slide.grid.shape[1] + column).astype(np.uint32)
    return _columns(at, slide.scores, None if slide.novelty is None else slide.novelty / 100)


def _columns(
    at: NDArray[np.uint32], scores: NDArray[np.float32], novelty: NDArray[np.floating] | None
) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {"at": at}
    for index in range(scores.shape[1]):
        found[f"s{index}"] = _steps(scores[:, index])
    if novelty is not None:
        found["novelty"] = _steps(novelty)
    return found


def _steps(values: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Shares as whole numbers, 0 to 65534, and 65535 for NaN: half the bytes, exact to 1e-5."""
    known = np.isfinite(values)
    steps = np.rint(np.clip(np.where(known, values, 0), 0, 1) * _STEPS)
    return np.where(known, steps, _NOT_SCORED).astype(np.uint16)


def _layers(slide: ScoredSlide) -> list[tuple[str, str]]:
    """The layers to choose from: the name of a column, and what people read."""
    found = [("classes", "most likely class")]
    found += [(f"s{i}", f"probability of {name}") for i, name in enumerate(slide.class_names)]
    if slide.novelty is not None:
        found.append(("novelty", "novelty (percentile in the reference)"))
    return found


def _keys(slide: ScoredSlide) -> dict[str, str]:
    """Make for each layer the HTML that explains its colours."""
    colours = class_colours(slide.class_names).tolist()
    lines = [
        f'<div><span class="class" style="background:rgb({r},{g},{b})"></span>{escape(name)}</div>'
        for name, (r, g, b) in zip(slide.class_names, colours, strict=True)
    ]
    keys = {"classes": "".join(lines)}
    for layer, _ in _layers(slide)[1:]:
        novelty = layer == "novelty"
        table = map_table(NOVELTY_MAP if novelty else SCORE_MAP)[::15].tolist()
        stops = ",".join(f"rgb({r},{g},{b})" for r, g, b in table)
        ends = ("0 %", "100 %") if novelty else ("0", "1")
        keys[layer] = (
            f'<div class="bar" style="background:linear-gradient(90deg,{stops})"></div>'
            f'<div class="ends"><span>{ends[0]}</span><span>{ends[1]}</span></div>'
        )
    return keys


def _heading(slide: ScoredSlide) -> str:
    grid = slide.grid
    scale = f"{len(grid):,} patches of {grid.patch_px} px at {grid.mpp:g} µm/px"
    said = " · ".join(escape(part) for part in (scale, slide.origin, FOOTNOTE) if part)
    return f"<h2>{escape(slide.slide_id)}</h2>{said}"


def _data_url(overview: NDArray[np.uint8]) -> str:
    """The overview as a JPEG inside a URL, no larger than `_LARGEST_JPEG`."""
    bgr = cv2.cvtColor(overview, cv2.COLOR_RGB2BGR)
    for quality in (88, 75, 60, 40):
        jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(jpeg) <= _LARGEST_JPEG:
            break
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
