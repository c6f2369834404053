"""One HTML file per slide: overview, score layers, and the patch under the pointer.

Bokeh's JavaScript travels inside the file, whose content security policy forbids every request, so
that a slide's scores can be looked at from a disk without a network and tell nobody.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from histocnn.pages import viewer_values as values
from histocnn.pages.viewer_key import keys, layers
from histocnn.pages.viewer_scene import OPACITY, Scene, scene, tissue_url
from histocnn.pages.viewer_script import EXPLAIN, FIT, PAINT, PAINT_SMOOTH, POINT
from histocnn.pictures import heat
from histocnn.pictures.heat import View
from histocnn.pictures.palette import NOVELTY_MAP, SCORE_MAP, map_table
from histocnn.pictures.sheet import FOOTNOTE
from histocnn.reference.cover import NOT_COVERED
from histocnn.scores.scored import ScoredSlide
from histocnn.storage.atomic import write_text

_PANEL_PX = 290

# Bokeh compiles its callbacks, hence unsafe-eval; with default-src 'none' nothing is ever fetched.
_TEMPLATE = """{% block preamble %}
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; font-src
data:; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'">
<style>body { font-family: system-ui, sans-serif; margin: 0; }</style>
{% endblock %}"""
# The window's height without margins, and never so little that nothing is seen.
_WHOLE = {"height": "calc(100vh - 20px)", "min-height": "480px"}
_PANEL_CSS = """
:host { font-size: 14px; }
td { padding: 1px 8px 1px 0; }
td i { display: inline-block; height: 9px; background: #0072b2; }
.bar { width: 250px; height: 14px; border: 1px solid #999; }
.ends { display: flex; justify-content: space-between; width: 250px; }
h2 { margin: 0 0 4px; }
.class { display: inline-block; width: 12px; height: 12px; margin-right: 6px; }
.line { display: inline-block; width: 22px; margin-right: 6px; vertical-align: middle; }
.hatched { background: repeating-linear-gradient(-45deg, currentColor 0 1px, white 1px 4px); }
.stippled { background: radial-gradient(currentColor 1.2px, white 1.3px) 0 0 / 6px 6px; }
"""


def write_viewer(view: View, overview: NDArray[np.uint8], path: Path) -> None:
    """Write the interactive page of one slide.

    Args:
        view: The scores, and how they are drawn.
        overview: The whole of level 0, uint8 [h, w, 3], as sharp as the page is to show it.
        path: The HTML file; whole or not there.

    Raises:
        StoreError: It cannot be written.
    """
    from bokeh.document import Document
    from bokeh.embed import file_html
    from bokeh.layouts import column, row

    shown, panel = scene(view, overview), _panel(view)
    scripts = _connect(view, shown, panel)
    beside = column(*panel[1:], width=_PANEL_PX, styles={"overflow-y": "auto"})
    below = row(shown.plot, beside, sizing_mode="stretch_both", styles={"min-height": "0"})
    document = Document()
    document.add_root(column(panel.heading, below, sizing_mode="stretch_width", styles=_WHOLE))
    document.js_on_event("document_ready", *scripts)
    html = file_html(
        document, "inline", title=view.slide.slide_id, template=_TEMPLATE,
        suppress_callback_warning=True,  # there are none in Python: nothing to look for
    )  # fmt: skip
    write_text(path, html)


class _Panel(NamedTuple):
    """What stands above and beside the slide, from top to bottom."""

    heading: Any
    choice: Any
    key: Any
    opacity: Any
    least: Any
    readout: Any


def _panel(view: View) -> _Panel:
    import bokeh.models

    models: Any = bokeh.models  # its type hints know neither widgets nor defaults
    css = {"stylesheets": [_PANEL_CSS]}
    inner = _PANEL_PX - 20
    share = {"start": 0, "end": 1, "width": inner}
    slide = view.slide
    return _Panel(
        heading=models.Div(text=_heading(slide), sizing_mode="stretch_width", **css),
        choice=models.Select(
            name="layer", title="Layer", value="classes", options=layers(slide), width=inner
        ),
        key=models.Div(text=keys(view)["classes"], width=inner, **css),
        opacity=models.Slider(title="Opacity", step=0.05, value=OPACITY, **share),
        least=models.Slider(name="threshold", title="Show from", step=0.01, value=0, **share),
        readout=models.Div(text=_nothing(slide), width=inner, **css),
    )


def _connect(view: View, shown: Scene, panel: _Panel) -> list[Any]:
    """Let the panel and the pointer act on the scene; gives the scripts that a page begins with."""
    import bokeh.models

    models: Any = bokeh.models
    slide, plot, mark = view.slide, shown.plot, shown.mark.data_source
    patches = models.ColumnDataSource(values.rows(slide))
    point = models.CustomJS(
        code=POINT,
        args={
            "patches": patches,
            "view": _reading(slide),
            "mark": mark,
            "readout": panel.readout,
            "names": [escape(name) for name in slide.class_names],
            "labels": [escape(name) for name in slide.label_names],
        },
    )
    explain = models.CustomJS(
        code=EXPLAIN,
        args={
            "choice": panel.choice,
            "key": panel.key,
            "keys": keys(view),
            "contours": shown.contours,
        },
    )
    ranges = {"plot": plot, "x_range": plot.x_range, "y_range": plot.y_range}
    sizes = {
        "size": list(slide.grid.size_l0),
        "mpp": list(slide.grid.slide_mpp),
        "footprint": list(slide.grid.footprint_l0),
    }
    fit = models.CustomJS(code=FIT, args={**ranges, **sizes, "mark": mark})
    paint = _painting(view, shown, panel, patches)
    for side in ("inner_width", "inner_height"):
        plot.js_on_change(side, fit)
    if slide.smooth:
        for range_ in (plot.x_range, plot.y_range):
            for end in ("start", "end"):
                range_.js_on_change(end, paint)
    panel.choice.js_on_change("value", explain, paint)
    panel.least.js_on_change("value", paint)
    panel.opacity.js_link("value", shown.layer.glyph, "global_alpha")
    plot.js_on_event("mousemove", point)
    plot.js_on_event("mouseleave", point)
    return [fit, paint]


def _painting(view: View, shown: Scene, panel: _Panel, patches: Any) -> Any:
    """The script that paints the layer: cells in plain colours, or smoothly over the tissue."""
    import bokeh.models

    models: Any = bokeh.models
    slide, plot = view.slide, shown.plot
    args = {
        "shape": list(slide.grid.shape),
        "layer": shown.layer.data_source,
        "choice": panel.choice,
        "threshold": panel.least,
        "tables": [map_table(name).tolist() for name in (SCORE_MAP, NOVELTY_MAP)],
        "colours": view.class_colours.tolist(),
        "class_count": len(slide.class_names),
    }
    if not slide.smooth:
        laid_over = slide.grid.overlap_px > 0  # else a cell is a patch, and stays its row
        cells = models.ColumnDataSource(values.cells(slide)) if laid_over else patches
        return models.CustomJS(code=PAINT, args={**args, "cells": cells})
    # The layer as a whole is as opaque as its slider says: what it multiplies is in proportion.
    tables = heat.OPACITY, heat.NOVELTY_OPACITY
    own = {
        "cells": models.ColumnDataSource(values.lattice(slide)),
        "stride": list(slide.grid.stride_l0),
        "size": list(slide.grid.size_l0),
        "plot": plot,
        "x_range": plot.x_range,
        "y_range": plot.y_range,
        "opacities": [(table / OPACITY).tolist() for table in tables],
        "class_opacity": heat.CLASS_OPACITY / OPACITY,
        "tissue": tissue_url(view),
        "kept": {},
    }
    return models.CustomJS(code=PAINT_SMOOTH, args=args | own)


def _reading(slide: ScoredSlide) -> dict[str, Any]:
    """Where each patch lies from where its cell begins, and which points of the slide it answers.

    The nearest of those that hold the point; a window those around its centre, as it is drawn.
    """
    grid = slide.grid
    offset, first, reach = np.zeros(2), np.zeros(2), np.array(grid.footprint_l0)
    if grid.window:
        stride = np.array(grid.stride_l0)
        px_l0 = stride / grid.stride_px
        offset, reach = grid.window.offset_px * px_l0, stride
        first = grid.window.centre_px * px_l0 - stride / 2
    return {
        "shape": list(grid.shape),
        "stride": list(grid.stride_l0),
        "footprint": list(grid.footprint_l0),
        "offset": offset.tolist(),
        "first": first.tolist(),
        "reach": reach.tolist(),
        "nothing": _nothing(slide),
        "word": _word(slide),
    }


def _word(slide: ScoredSlide) -> str:
    return "window" if slide.grid.window else "patch"


def _nothing(slide: ScoredSlide) -> str:
    return f"<i>Move the pointer over the {'tissue' if slide.grid.window else 'patches'}.</i>"


def _heading(slide: ScoredSlide) -> str:
    grid = slide.grid
    many = {"patch": "patches", "window": "windows"}[_word(slide)]
    scale = f"{len(grid):,} {many} of {grid.patch_px} px at {grid.mpp:g} µm/px"
    if grid.overlap_px:
        scale += f", one every {grid.stride_px} px"
    said = " · ".join(escape(part) for part in (scale, slide.origin, FOOTNOTE) if part)
    said = said.replace(NOT_COVERED, f"<b>{NOT_COVERED}</b>")
    return f"<h2>{escape(slide.slide_id)}</h2>{said}"
