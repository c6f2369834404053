"""The layers of a slide's page, and the words and samples that explain what each shows."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from histocnn.pictures.heat import (
    HATCH,
    INK,
    NEW,
    NO_FLAW,
    NOVELTY_OPACITY,
    OPACITY,
    View,
)
from histocnn.pictures.palette import NOVELTY_MAP, SCORE_MAP, map_table
from histocnn.scores.scored import ScoredSlide

_SAMPLES = {"line": "solid", "dashed": "dashed", "dotted": "dotted"}


def layers(slide: ScoredSlide) -> list[tuple[str, str]]:
    """The layers to choose from: the name of a column, and what people read."""
    found = [("classes", "most likely class")]
    found += [(f"s{i}", f"probability of {name}") for i, name in enumerate(slide.class_names)]
    if slide.novelty is not None:
        found.append(("novelty", "novelty (percentile in the reference)"))
    if slide.quality:
        found.append(("quality", "quality (blur, pen, folds, edges)"))
    return found


def keys(view: View) -> dict[str, str]:
    """Make for each layer the HTML that explains its colours and lines."""
    slide = view.slide
    boxes = "".join(
        f'<div><span class="class" style="background:{_rgb(colour)}"></span>{escape(name)}</div>'
        for name, colour in zip(slide.class_names, view.class_colours.tolist(), strict=True)
    )
    found = {"classes": boxes}
    for index in range(len(slide.class_names)):
        lines = [
            _line(f"{said}: {at:.2g}", INK, stroke) for said, stroke, at in view.contours(index)
        ]
        found[f"s{index}"] = _bar(view, SCORE_MAP, OPACITY, ("0", "1")) + "".join(lines)
    if slide.novelty is not None:
        found["novelty"] = _bar(view, NOVELTY_MAP, NOVELTY_OPACITY, ("0 %", "100 %"))
    if slide.quality:
        entries = [entry for entry, _ in view.flawed] or [NO_FLAW]
        found["quality"] = "".join(_line(each.name, each.colour) for each in entries)
    over_all = "".join(_line(f"annotated {name}", colour) for name, colour, _ in view.annotated())
    if view.new is not None and view.new.any():
        over_all += _filled("hatched", f"unlike the reference (novelty from {NEW})")
    if view.uncertain is not None and view.uncertain.any():
        over_all += _filled("stippled", "uncertain (no class, or several)")
    return {layer: key + over_all for layer, key in found.items()}


def _bar(view: View, name: str, opacity: NDArray[np.float32], ends: tuple[str, str]) -> str:
    """A colour map, in smooth pictures as opaque as each of its steps lies over the slide."""
    alpha = opacity[::15] if view.slide.smooth else np.ones(18)
    steps = zip(map_table(name)[::15].tolist(), alpha.tolist(), strict=True)
    stops = ",".join(f"rgba({r},{g},{b},{a:.3f})" for (r, g, b), a in steps)
    return (
        f'<div class="bar" style="background:linear-gradient(90deg,{stops})"></div>'
        f'<div class="ends"><span>{ends[0]}</span><span>{ends[1]}</span></div>'
    )


def _filled(how: str, said: str) -> str:
    return f'<div><span class="class {how}" style="color:{_rgb(HATCH)}"></span>{said}</div>'


def _line(said: str, colour: Sequence[int], stroke: str = "line") -> str:
    style = f"border-top:2px {_SAMPLES[stroke]} {_rgb(colour)}"
    return f'<div><span class="line" style="{style}"></span>{escape(said)}</div>'


def _rgb(colour: Sequence[int]) -> str:
    r, g, b = colour
    return f"rgb({r},{g},{b})"
