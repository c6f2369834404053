"""Every tile of a slide decoded, as a finding: what of it cannot be read or was damaged since."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import HistocnnError
from histocnn.patches.findings import Findings
from histocnn.patches.tiling import Options, open_slide
from histocnn.slides.soundness import Level, decode_all


def with_every_tile(
    findings: Findings,
    entry: SlideEntry,
    options: Options,
    threads: int,
    tick: Callable[[int, int], None],
) -> Findings:
    """The findings, and what decoding every tile of every level found; a slide never opened stays.

    Args:
        findings: Of the slide so far.
        entry: The slide.
        options: As for `examine`.
        threads: Threads that read and decode.
        tick: Is told how many tiles are done, and of how many.
    """
    if findings.size_l0 is None:
        return findings
    try:
        slide = open_slide(entry, options)
        levels = decode_all(slide.reader, threads, tick)
        slide.close()
    except HistocnnError as error:  # it has gone meanwhile
        return replace(findings, problems=[*findings.problems, str(error)])
    return replace(
        findings,
        tiles=[asdict(level) for level in levels],
        problems=[*findings.problems, *problems_of(levels)],
    )


def problems_of(levels: Sequence[Level]) -> list[str]:
    """What is wrong with the tiles, a sentence per level and fault.

    >>> problems_of([Level(1, 900, 0, 2, None, (512, 0), 10**6, 1.0)])  # doctest: +ELLIPSIS
    ['level 1: 2 of 900 tiles are not what was written (flat grey, ... the first at (512, 0)']
    """
    problems = []
    for each in levels:
        for count, place, what in (
            (each.unreadable, each.first_unreadable_l0, "cannot be decoded"),
            (
                *(each.damaged, each.first_damaged_l0),
                "are not what was written (flat grey, torn or of another colour: damaged bytes)",
            ),
        ):
            if count:
                problems.append(
                    f"level {each.level}: {count:,} of {each.tiles:,} tiles {what}, "
                    f"the first at {place}"
                )
    return problems


def speed_of(findings: Findings) -> str:
    """How many tiles were decoded, and how fast; empty where none were.

    >>> tiles = [asdict(Level(0, 900, 0, 0, None, None, 50_000_000, 2.0))]
    >>> speed_of(Findings(slide_id="a", slide_path="a.svs", tiles=tiles))
    'a: 900 tiles, 50 MPixel in 2.0 s: 25 MPixel/s'
    """
    if not findings.tiles:
        return ""
    tiles, pixels, seconds = (
        sum(level[name] for level in findings.tiles) for name in ("tiles", "pixels", "seconds")
    )
    mpx = pixels / 1e6
    rate = mpx / max(seconds, 1e-9)
    return (
        f"{findings.slide_id}: {tiles:,} tiles, {mpx:,.0f} MPixel in {seconds:.1f} s: "
        f"{rate:,.0f} MPixel/s"
    )
