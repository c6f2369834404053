"""`histocnn doctor`: can these slides be trusted? A line each, before hours are spent on them.

>>> doctor("slides", min_tissue=1.2)
Traceback (most recent call last):
histocnn.errors.UsageError: --min_tissue 1.2 is not a share. Give a number between 0 and 1.
"""

from __future__ import annotations

from pathlib import Path

from histocnn.cohort.sheet import read_cohort
from histocnn.jobs.ranges import PositiveFloat, PositiveInt, Share
from histocnn.jobs.result import StageResult
from histocnn.patches.examination import examine
from histocnn.patches.findings import as_json, as_table
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
    findings = with_kin(entries, [examine(entry, options) for entry in entries])
    print(as_json(findings) if json else as_table(findings))
    return StageResult(
        failures={each.slide_id: "; ".join(each.problems) for each in findings if each.problems},
        rows=[each.to_dict() for each in findings],
    )
