"""What the page is told: the slides of the shelf, and of one slide its frame and layers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from histocnn.errors import HistocnnError
from histocnn.pages.heatmaps import HeatmapOptions
from histocnn.pictures.palette import NOVELTY_MAP, SCORE_MAP, map_table
from histocnn.pictures.sheet import FOOTNOTE
from histocnn.scores.scored import ScoredSlide, summarise
from histocnn.viewing.frame import TILE_PX
from histocnn.viewing.layers import layers_of
from histocnn.viewing.opened import Opened
from histocnn.viewing.shelf import GRIDS, PLAIN, Shelf


def of_shelf(shelf: Shelf, *, teaching: bool = False) -> dict[str, Any]:
    """All slides by id with their scores, what all slides' pages share, and whether one teaches."""
    return {
        "title": shelf.title,
        "slides": [
            {
                "id": each.slide_id,
                "scores": dict(each.scores),
                "broken": "" if each.entry else each.failure,
            }
            for each in shelf.slides
        ],
        "maps": {name: map_table(name).tolist() for name in (SCORE_MAP, NOVELTY_MAP)},
        "tile": TILE_PX,
        "note": FOOTNOTE,
        "teaching": teaching,
    }


def of_slide(opened: Opened, shelf: Shelf) -> dict[str, Any]:
    """One slide's frame; its scores are not read yet, so that pixels come first."""
    frame, slide, entry = opened.frame, opened.slide, opened.listed.entry
    return {
        "id": opened.listed.slide_id,
        "size_l0": slide.size_l0,
        "size_px": frame.size_px,
        "px_l0": [frame.unit / mpp for mpp in frame.mpp],
        "unit_um": frame.unit if frame.known else None,
        "depth": frame.depth,
        "sources": _names(shelf),
        "annotated": entry is not None and entry.annotation_path is not None,
    }


def of_layers(opened: Opened, shelf: Shelf) -> dict[str, Any]:
    """What may be laid over a slide, what may not and why, its slide-level scores, what failed."""
    names = _names(shelf)
    refused = {names[number]: reason for number, reason in opened.refused.items()}
    layers: list[dict[str, Any]] = []
    origins: dict[int, str] = {}
    scores = dict(opened.listed.scores)
    for number in _laid(opened, shelf):
        try:
            found = layers_of(opened, number, shelf.sources[number].kind)
            if shelf.sources[number].kind == "scores":
                scored = opened.scored(number)
                origins[number] = scored.origin
                scores = scores or _scores(scored)
        except HistocnnError as error:
            refused[names[number]] = str(error)
            continue
        known = {layer["key"] for layer in layers}
        layers += [
            asdict(each) for each in found
            if each.key not in ("labels", "grid") or each.key not in known
        ]  # fmt: skip
    return {"layers": layers, "origins": origins, "refused": refused, "scores": scores,
            "failure": opened.listed.failure}  # fmt: skip


def _scores(slide: ScoredSlide) -> dict[str, float]:
    """Slide-level scores where no heatmap was drawn, as `heatmap` has them by default."""
    usual = HeatmapOptions()
    found = summarise(slide, top_percent=usual.top_percent, threshold=usual.threshold)
    return {name: value for name, value in found.items() if name not in PLAIN}


def _names(shelf: Shelf) -> dict[int, str]:
    return {number: source.name for number, source in enumerate(shelf.sources)}


def _laid(opened: Opened, shelf: Shelf) -> list[int]:
    """The sources that are laid over the slide: scores, or what shows the grid."""
    own = [number for number in range(len(shelf.sources)) if number in opened.files]
    scored = [number for number in own if shelf.sources[number].kind == "scores"]
    grids = [number for number in own if shelf.sources[number].kind == GRIDS]
    return scored or grids[:1] or own[:1]
