"""inspect.html: what was found in a network, as tables and pictures in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.inspection.architecture import Layer, Pair
from histocnn.inspection.maps_page import maps_section
from histocnn.inspection.report import FieldFacts, InspectReport, LayerFacts
from histocnn.pages.embedded import Picture, thumbnail
from histocnn.pages.templating import render
from histocnn.storage.atomic import write_text

Pixels = NDArray[np.uint8]
SIDES_PX = (1000, 700, 480, 320)  # longest side of a picture on the page: the largest that fits
TIMES = "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}"
MOST_BYTES = 28_000_000
MICRONS = "field, µm"
HEADER = ("layer", "type", "input", "output", "kernel", "stride", "parameters", "share",
          "multiply-adds", "share", "field, px", MICRONS, "jump, px", "offset, px")  # fmt: skip
PLACES = ("channel", "from", "to", "the strongest patches: slide, place, value")


def write_page(path: Path, report: InspectReport, pictures: Mapping[str, Pixels]) -> int:
    """Write the page, its pictures as large as the page's limit allows.

    Args:
        path: inspect.html.
        report: Every number of it.
        pictures: uint8 [H, W, 3] by file name.

    Returns:
        The longest side of its pictures, px.
    """
    for side in SIDES_PX:
        page = _page(report, pictures, side)
        if len(page.encode()) <= MOST_BYTES or side == SIDES_PX[-1]:
            break
    write_text(path, page)
    return side


def _page(report: InspectReport, pictures: Mapping[str, Pixels], side: int) -> str:
    def shown(name: str, *caption: str) -> Picture:
        return thumbnail(pictures[name], *caption, longest_px=side)

    return render(
        "inspect.html.j2",
        title=f"Inside {report.title}",
        report=report,
        header=[name for name in HEADER if report.mpp or name != MICRONS],
        rows=[row_of(layer, scaled=report.mpp is not None) for layer in report.architecture],
        filters=[shown(report.filters.picture)] if report.filters else [],
        fields=[shown(each.picture, *_of_field(each)) for each in report.fields],
        excited=[
            (layer, _said(layer, report), [shown(layer.picture)], places(layer))
            for layer in report.excited
        ],
        places_header=PLACES,
        images=[shown(f"image_{number}.png", name) for number, name in enumerate(report.images)],
        activations=[
            (each, shown(each.picture, *_of_activation(each))) for each in report.activations
        ],
        maps=maps_section(report.maps, shown) if report.maps else None,
    )


def row_of(layer: Layer, *, scaled: bool = True) -> list[Any]:
    """A row of the architecture's table, as texts; without micrometres where there is no scale."""
    name = layer.name + (f" (call {layer.call})" if layer.call > 1 else "")
    seen = "" if layer.receptive_um is None else pair_text(layer.receptive_um, "{:.1f}")
    field = "unknown" if layer.receptive_px is None else pair_text(layer.receptive_px)
    return [
        name,
        layer.kind,
        shape_text(layer.input_shape),
        shape_text(layer.output_shape),
        pair_text(layer.kernel_px),
        pair_text(layer.stride_px),
        layer.parameters or None,
        f"{layer.parameter_share:.1%}" if layer.parameters else "",
        layer.multiply_adds or None,
        f"{layer.multiply_add_share:.1%}" if layer.multiply_adds else "",
        f"{field}\N{NO-BREAK SPACE}(whole)" if layer.whole else field,
        *([seen] if scaled else []),
        pair_text(layer.jump_px),
        pair_text(layer.offset_px),
    ]


def shape_text(shape: Sequence[int]) -> str:
    """A shape as people write it.

    >>> shape_text((64, 55, 55)).replace(chr(160), " ")  # they stay on one line
    '64 × 55 × 55'
    """
    return TIMES.join(map(str, shape))


def pair_text(pair: Pair | None, form: str = "{:g}") -> str:
    """A length along x and y, once where they are equal.

    >>> pair_text((7, 7)), pair_text((7, 1)).replace(chr(160), " "), pair_text(None)
    ('7', '7 × 1', '')
    """
    if pair is None:
        return ""
    texts = [form.format(value) for value in pair]
    return texts[0] if texts[0] == texts[1] else TIMES.join(texts)


def _of_field(field: FieldFacts) -> list[str]:
    if field.width_px is None:
        return [field.layer, "nothing moves its centre unit"]
    lines = [field.layer, f"effective {pair_text(field.width_px, '{:.1f}')} px"]
    if field.width_um is not None:
        lines.append(f"effective {pair_text(field.width_um, '{:.1f}')} µm")
    if field.receptive_px is not None:
        lines.append(f"theoretical {pair_text(field.receptive_px)} px")
    return lines


def _said(layer: LayerFacts, report: InspectReport) -> str:
    row = next((row for row in report.architecture if row.name == layer.layer), None)
    said = (
        f"{len(layer.shown)} of its {layer.channels:,} channels; patterns of {layer.pattern_px} px"
    )
    if row is not None and row.receptive_px is not None:
        said += f"; a unit sees {pair_text(row.receptive_px)} px"
        if row.receptive_um is not None:
            said += f", {pair_text(row.receptive_um, '{:.0f}')} µm"
    return f"{said}."


def places(layer: LayerFacts) -> list[list[Any]]:
    """Each channel with where its strongest patches lie."""
    return [
        [
            each.channel,
            f"{each.begun:.3g}",
            f"{each.reached:.3g}",
            "; ".join(place_text(patch) for patch in each.patches),
        ]
        for each in layer.shown
    ]


def place_text(patch: Mapping[str, Any]) -> str:
    """Slide, place in level-0 px (or file), and value.

    >>> place_text({"slide_id": "s1", "row": 3, "x_l0": 10, "y_l0": 20, "value": 1.25})
    's1 at 10, 20: 1.25'
    """
    where = patch.get("path", f"row {patch['row']}")
    if "x_l0" in patch:
        where = f"{patch['slide_id']} at {patch['x_l0']}, {patch['y_l0']}"
    return f"{where}: {patch['value']:.3g}"


def _of_activation(facts: Any) -> list[str]:
    dead = len(facts.dead)
    channels = facts.shape[0] if len(facts.shape) == 3 else facts.shape[-1]
    units = shape_text(facts.shape[1:]) if len(facts.shape) == 3 else str(facts.shape[0])
    said = f"{channels:,} channels of {units} units; {dead:,} dead on this image"
    return [f"{facts.layer}, {facts.image}", f"{said}, {facts.dead_everywhere:,} on all images"]
