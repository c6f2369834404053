"""`histocnn doctor`: can these slides be trusted? A line each, before hours are spent on them.

>>> doctor("slides", min_tissue=1.2)
Traceback (most recent call last):
histocnn.errors.UsageError: --min_tissue 1.2 is not a share. Give a number between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from histocnn.cohort.sheet import SlideEntry, read_cohort
from histocnn.jobs.progress import Bars
from histocnn.jobs.ranges import PositiveFloat, PositiveInt, Share
from histocnn.jobs.result import StageResult
from histocnn.patches.every_tile import speed_of, with_every_tile
from histocnn.patches.examination import examine
from histocnn.patches.findings import Findings, as_json, as_table
from histocnn.patches.kinship import with_kin
from histocnn.patches.tiling import Options


def doctor(
    slides: str | Path,
    patch_px: PositiveInt = 224,
    mpp: PositiveFloat = 0.5,
    min_tissue: Share = 0.5,
    slide_mpp: PositiveFloat | None = None,
    allow_upsampling: bool = False,
    json: bool = False,
    deep: bool = False,
    threads: PositiveInt = 2,
) -> StageResult:
    """Check whether slides can be trusted: do they open, at which scale, with how much tissue?

    It also says which of them are the same file, or look like sections of the same tissue.

    Args:
        slides: A slide, a folder of slides, or a slides.csv.
        patch_px: Side of the patches to estimate for.
        mpp: Resolution of the patches to estimate for, in µm per pixel.
        min_tissue: Share of a patch that must be tissue, 0 to 1.
        slide_mpp: Resolution of level 0 for slides that do not know their own.
        allow_upsampling: Accept slides whose finest level is coarser than --mpp.
        json: Print the findings for programs instead of the table for people.
        deep: Decode every tile of every level too, and say which cannot be decoded or are not what
            was written; a slide that has such tiles is unusable: copy it again, or leave it out.
        threads: Threads that decode, for --deep.

    Returns:
        A row of findings per slide; the slides that cannot be used are its failures.
    """
    options = Options(
        patch_px=patch_px,
        mpp=mpp,
        min_tissue=min_tissue,
        slide_mpp=slide_mpp,
        allow_upsampling=allow_upsampling,
    )
    entries = read_cohort(slides)
    findings = [examine(entry, options) for entry in entries]
    if deep:
        findings = _deeply(entries, findings, options, threads)
    findings = with_kin(entries, findings)
    print(as_json(findings) if json else as_table(findings))
    return StageResult(
        failures={each.slide_id: "; ".join(each.problems) for each in findings if each.problems},
        rows=[each.to_dict() for each in findings],
    )


def _deeply(
    entries: Sequence[SlideEntry], findings: Sequence[Findings], options: Options, threads: int
) -> list[Findings]:
    """The findings with those of every tile; a line for each slide on standard error."""
    found = []
    with Bars("doctor", len(entries), unit="tiles") as bars:
        for entry, each in zip(entries, findings, strict=True):
            tick = partial(bars.tick, entry.slide_id)
            found.append(with_every_tile(each, entry, options, threads, tick))
            bars.advance()
            if said := speed_of(found[-1]):
                bars.say(said)
    return found
