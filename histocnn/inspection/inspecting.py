"""Everything that `histocnn inspect` looks at, one part after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from histocnn.errors import ModelError
from histocnn.inspection.architecture import Architecture, Layer, receptive_fields
from histocnn.inspection.choosing import candidates, chosen, evenly
from histocnn.inspection.effective import effective_fields
from histocnn.inspection.exciting import Exciting, most_exciting, spread, where
from histocnn.inspection.filters import first_filters
from histocnn.inspection.naming import full_name
from histocnn.inspection.opening import Subject
from histocnn.inspection.patterns import STEPS, Ascent, Patterns, excite
from histocnn.inspection.report import (
    ActivationFacts,
    ChannelFacts,
    FieldFacts,
    FilterFacts,
    LayerFacts,
)
from histocnn.inspection.sanity import PATCHES
from histocnn.inspection.shown import Shown
from histocnn.inspection.watching import activations, dead_channels, outputs
from histocnn.patches.patches import Patches
from histocnn.pictures.mosaic import field_picture, filters_picture, mosaic, tiles

Pixels = NDArray[np.uint8]
PATTERN_PX = 112  # side of patterns, where the network takes images of any size
BRIGHTEST = 0.999  # share of a layer's values that its colour scale holds
THUMB_PX = 72  # of patterns and patches on a sheet


@dataclass(frozen=True)
class Options:
    """How much is looked at.

    Attributes:
        layers: Named by the user; empty: four, evenly from first to last.
        patterns: Nine channels of each, or all channels of all layers.
        steps: Of gradient ascent.
        most: Patches among which the most exciting are sought.
        seed: Of noise.
        class_name: Whose maps are made and checked; None: of each, and checked of the last.
        slide: Over which a class is mapped.
        checked: Patches of the sanity check.
    """

    layers: tuple[str, ...] = ()
    patterns: Literal["few", "all"] = "few"
    steps: int = STEPS
    most: int = 1000
    seed: int = 0
    class_name: str | None = None
    slide: str | None = None
    checked: int = PATCHES


@dataclass
class Looking:
    """What has been found so far: facts for the page, and pictures by file name."""

    subject: Subject
    options: Options
    table: Architecture
    layers: list[str]
    mpp: float | None
    pictures: dict[str, Pixels] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Count the seconds that the block takes."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = round(time.perf_counter() - start, 2)


def begin(subject: Subject, options: Options, mpp: float | None) -> Looking:
    """The architecture, and which layers are looked at.

    Raises:
        UsageError: A named layer is none of the network's.
        ModelError: The network does not take an image of its input's size.
    """
    start = time.perf_counter()
    table = receptive_fields(subject.network, subject.input_px, mpp)
    named = [full_name(subject.network, name) for name in options.layers]
    looking = Looking(subject, options, table, named or chosen(table), mpp)
    looking.seconds["architecture"] = round(time.perf_counter() - start, 2)
    return looking


def filters(looking: Looking) -> FilterFacts | None:
    """The first layer's weights as pictures."""
    with looking.timed("filters"):
        try:
            found = first_filters(looking.subject.network, looking.table)
        except ModelError as error:
            looking.notes.append(f"No filters are shown: {error.message}.")
            return None
        name = "filters.png"
        looking.pictures[name] = filters_picture(found.weights)
    count, *shape = found.weights.shape
    low, high = float(found.weights.min()), float(found.weights.max())
    return FilterFacts(found.layer, count, (shape[0], shape[1], shape[2]), low, high, name)


def fields(looking: Looking, shown: Sequence[Shown]) -> tuple[FieldFacts, ...]:
    """Effective fields of those of the layers that give maps."""
    rows = {row.name: row for row in reversed(looking.table.layers)}
    maps = [n for n in looking.layers if n not in rows or len(rows[n].output_shape) == 3]
    if not shown or not maps:
        return ()
    with looking.timed("fields"):
        images = torch.cat([each.tensor for each in shown])
        found = effective_fields(looking.subject.network, images, maps)
        facts = []
        for one in found:
            row, name = rows.get(one.layer), f"field_{one.layer}.png"
            theory = row.receptive_px if row else None
            looking.pictures[name] = field_picture(
                one.gradient, theory, one.width_px, _centre_px(row)
            )
            scaled = None
            if one.width_px is not None and looking.mpp is not None:
                scaled = (one.width_px[0] * looking.mpp, one.width_px[1] * looking.mpp)
            facts.append(FieldFacts(one.layer, len(images), one.width_px, scaled, theory, name))
    return tuple(facts)


def _centre_px(row: Layer | None) -> tuple[float, float] | None:
    """Where the field of the unit in the middle of a layer's map has its own middle."""
    if row is None or row.offset_px is None or row.jump_px is None:
        return None
    units = row.output_shape[2] // 2, row.output_shape[1] // 2
    at = [o + u * j for o, u, j in zip(row.offset_px, units, row.jump_px, strict=True)]
    return at[0], at[1]


def excited(looking: Looking, cohort: Sequence[Patches]) -> tuple[tuple[LayerFacts, ...], int]:
    """Patterns and patches that excite channels; and among how many patches they were sought."""
    every = looking.options.patterns == "all"
    layers = looking.layers
    if every and not looking.options.layers:
        layers = [row.name for row in candidates(looking.table)]
    strongest: Mapping[str, Exciting] = {}
    rows = spread(cohort, looking.options.most) if cohort else []
    with looking.timed("most exciting patches"):
        if cohort:
            strongest = most_exciting(
                looking.subject.network, cohort, layers, looking.subject.prepare, rows=rows
            )
    with looking.timed("patterns"):
        facts = tuple(_layer(looking, name, strongest.get(name), cohort, every) for name in layers)
    return facts, sum(map(len, rows))


def _layer(
    looking: Looking, name: str, best: Exciting | None, cohort: Sequence[Patches], every: bool
) -> LayerFacts:
    side, total = _pattern_px(looking, name)
    channels = range(total) if every else evenly(total)
    spec = looking.subject.spec
    how = Ascent(side, looking.options.steps, looking.options.seed, spec.mean, spec.std)
    made = excite(looking.subject.network, name, channels, how)
    facts, sheet = [], []
    for number, channel in enumerate(channels):
        patches, pixels = _of_channel(best, channel, cohort)
        facts.append(
            ChannelFacts(channel, float(made.begun[number]), float(made.reached[number]), patches)
        )
        sheet.append((made.pixels[number], pixels))
    picture = f"patterns_{name}.png"
    looking.pictures[picture] = _sheet(made, [pixels for _, pixels in sheet], every)
    if not every and best is not None:
        looking.pictures[f"alone_{picture}"] = tiles(list(made.pixels), len(channels))
    return LayerFacts(name, total, side, looking.options.steps, tuple(facts), picture)


def _of_channel(
    best: Exciting | None, channel: int, cohort: Sequence[Patches]
) -> tuple[tuple[Mapping[str, Any], ...], list[Pixels]]:
    if best is None:
        return (), []
    facts, pixels = [], []
    for value, source, row in zip(
        best.values[channel], best.sources[channel], best.rows[channel], strict=True
    ):
        if source >= 0:
            facts.append({**where(cohort[source], int(row)), "value": float(value)})
            pixels.append(cohort[source].patch(int(row)))
    return tuple(facts), pixels


def _sheet(made: Patterns, patches: Sequence[Sequence[Pixels]], every: bool) -> Pixels:
    """A channel's pattern, and beside it its patches; without patches all patterns in rows."""
    import cv2

    def small(pixels: Pixels) -> Pixels:
        how = cv2.INTER_AREA if len(pixels) > THUMB_PX else cv2.INTER_NEAREST
        return np.asarray(cv2.resize(pixels, (THUMB_PX, THUMB_PX), interpolation=how), np.uint8)

    blank = np.full((THUMB_PX, THUMB_PX, 3), 255, np.uint8)
    if not any(patches):
        if not every and made.pixels.shape[1] > THUMB_PX:
            return tiles(list(made.pixels), len(made.pixels))
        return tiles([small(pixels) for pixels in made.pixels], 12)
    most = max(map(len, patches))
    cells = []
    for pattern, own in zip(made.pixels, patches, strict=True):
        cells += [small(pattern), *map(small, own), *[blank] * (most - len(own))]
    return tiles(cells, 1 + most)


def _pattern_px(looking: Looking, layer: str) -> tuple[int, int]:
    """Side of a layer's patterns, and how many channels it has."""
    subject = looking.subject
    for side in (min(PATTERN_PX, subject.input_px), subject.input_px):
        image = torch.zeros(1, 3, side, side, device=subject.device)
        try:
            with torch.no_grad():
                shape = outputs(subject.network, image, [layer])[layer].shape
        except ModelError:
            if side == subject.input_px:
                raise
            continue
        return side, int(shape[1] if len(shape) == 4 else shape[-1])
    raise AssertionError("the last side either passes or raises")


def shown_activations(looking: Looking, shown: Sequence[Shown]) -> tuple[ActivationFacts, ...]:
    """Every channel of the layers for each image, on one colour scale per layer."""
    if not shown:
        return ()
    facts = []
    for number, each in enumerate(shown):
        looking.pictures[f"image_{number}.png"] = each.pixels
    with looking.timed("activations"):
        found = activations(
            looking.subject.network, torch.cat([each.tensor for each in shown]), looking.layers
        )
        for layer, values in found.items():
            low, high = float(values.min()), float(np.quantile(values, BRIGHTEST))
            if high <= low:  # few units of a sparse layer answer
                high = float(values.max())
            everywhere = int(dead_channels(values).sum())
            for number, each in enumerate(shown):
                dead = dead_channels(values[number : number + 1])
                name = f"activations_{number}_{layer}.png"
                looking.pictures[name] = mosaic(as_maps(values[number]), low, high, dead=dead)
                facts.append(
                    ActivationFacts(
                        each.name, layer, tuple(values.shape[1:]), low, high,
                        tuple(int(i) for i in np.flatnonzero(dead)), everywhere, name,
                    )
                )  # fmt: skip
    return tuple(facts)


def as_maps(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A layer's output for one image as maps [F, h, w].

    Tokens [N, D] are laid out as the square of patches that they are of, without what stands
    before them (class token, registers); where they are no square, as rows. A vector's values are
    maps of one cell.

    >>> as_maps(np.zeros((197, 8), np.float32)).shape, as_maps(np.zeros(5, np.float32)).shape
    ((8, 14, 14), (5, 1, 1))
    """
    if values.ndim == 1:
        return values[:, None, None]
    if values.ndim == 2:
        for before in (0, 1, 2, 4, 5):
            side = round((len(values) - before) ** 0.5)
            if side > 1 and side**2 == len(values) - before:
                return values[before:].T.reshape(-1, side, side)
        return values.T[:, None, :]
    return values
