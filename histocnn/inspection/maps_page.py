"""The section of inspect.html about maps of a class: pictures, checks, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from histocnn.inspection.localisation import Pointing
from histocnn.inspection.map_facts import ClassMaps, MapFacts, SlideFacts
from histocnn.inspection.sanity import FLAG, Likeness, Sanity
from histocnn.pages.embedded import Picture

NAMES = {"grad_cam": "Grad-CAM", "cam": "CAM", "occlusion": "occlusion"}
Bounds = tuple[float, float] | None
Table = tuple[str, Sequence[str], list[list[Any]]]
SANITY_HEADER = ("random from the outputs down to", "layers", "|Spearman|", "SSIM", "pairs",
                 "undefined")  # fmt: skip
LOCATED_HEADER = ("method", "crops", "points into the region", "share of the map inside",
                  "hit rate above chance", "undefined")  # fmt: skip


class Section(NamedTuple):
    """What the template shows: sentences, warnings, galleries and tables."""

    words: list[str]
    flags: list[str]
    galleries: list[tuple[str, list[Picture]]]
    tables: list[Table]


def maps_section(maps: ClassMaps, shown: Callable[..., Picture]) -> Section:
    """The section.

    Args:
        maps: What was found.
        shown: Makes a picture of the page of a file's name and the lines below it.
    """
    made = ", ".join(["the image", *(NAMES[method] for method in maps.methods)])
    words = [f"From left to right: {made}. Each map on its own scale; crossed out: undefined."]
    words += [f"No {NAMES[method]}: {why}." for method, why in maps.refused.items()]
    galleries = [("Over the image", [shown(each.picture, *_of_map(each)) for each in maps.maps])]
    if maps.slides:
        own = [shown(each.picture, *_of_slide(each)) for each in maps.slides]
        galleries.append(("Over the slide: its probability, and what each place adds", own))
    flags, tables = list[str](), list[Table]()
    if maps.sanity is not None:
        words.append(verdict(maps.sanity, maps.of_class))
        if maps.sanity.flagged:
            flags.append(words.pop())
        rows = [_step(step) for step in maps.sanity.steps]
        tables.append(("Sanity check of Grad-CAM", SANITY_HEADER, rows))
    if maps.located:
        title = f"How right the maps of {maps.of_class} are, on crops of known truth"
        tables.append((title, LOCATED_HEADER, [_located(row) for row in maps.located]))
        if maps.located[0].note:
            words.append(f"Intervals of the last table: {maps.located[0].note}.")
    return Section(words, flags, galleries if maps.maps else galleries[1:], tables)


def verdict(sanity: Sanity, of_class: str) -> str:
    """What the sanity check found, in a sentence."""
    whole = sanity.whole
    figures = (
        f"median |Spearman| {with_bounds(whole.spearman, whole.spearman_bounds)}, SSIM "
        f"{with_bounds(whole.ssim, whole.ssim_bounds)} over {whole.pairs:,} pairs of "
        f"{sanity.images} patches and {sanity.seeds} seeds; {whole.undefined:,} undefined"
    )
    said = "stays as it is" if sanity.flagged else "changes"
    return (
        f"Sanity check (Adebayo et al. 2018): Grad-CAM of {of_class} {said} when weights are made "
        f"random layer by layer ({figures}; flagged above {FLAG:g})."
    )


def with_bounds(value: float, bounds: Bounds) -> str:
    """A figure with its interval.

    >>> with_bounds(0.5, (0.25, 0.75)), with_bounds(float("nan"), None)
    ('0.50 (0.25 to 0.75)', 'undefined')
    """
    if value != value:
        return "undefined"
    said = f"{value:.2f}"
    return said if bounds is None else f"{said} ({bounds[0]:.2f} to {bounds[1]:.2f})"


def _of_map(facts: MapFacts) -> list[str]:
    largest = [
        f"{NAMES[method]} {'undefined' if value is None else f'up to {value:.3g}'}"
        for method, value in facts.largest.items()
    ]
    return [f"{facts.of_class} ({facts.probability:.1%}), {facts.image}", ", ".join(largest)]


def _of_slide(facts: SlideFacts) -> list[str]:
    low, high = facts.attribution
    return [
        f"{facts.of_class} over {facts.slide_id}, {facts.windows:,} windows; probability "
        f"{facts.score[0]:.2f} to {facts.score[1]:.2f} (viridis, 0 to 1)",
        f"attribution {low:.3g} to {high:.3g}: vermillion speaks for it, blue against it",
    ]


def _step(step: Likeness) -> list[Any]:
    return [
        step.layer,
        step.layers,
        with_bounds(step.spearman, step.spearman_bounds),
        with_bounds(step.ssim, step.ssim_bounds),
        step.pairs,
        step.undefined,
    ]


def _located(row: Pointing) -> list[Any]:
    return [
        NAMES.get(row.method, row.method),
        row.images,
        with_bounds(row.hit, row.bounds.get("hit")),
        "" if row.energy is None else with_bounds(row.energy, row.bounds.get("energy")),
        with_bounds(row.gain, row.bounds.get("gain")),
        row.undefined,
    ]
