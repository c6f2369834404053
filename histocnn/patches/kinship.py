"""Which slides of a cohort are one slide, or neighbouring sections, under two names?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from histocnn.cohort.sheet import SlideEntry
from histocnn.patches.findings import Findings
from histocnn.regions.sections import alike


def with_kin(entries: Sequence[SlideEntry], findings: Sequence[Findings]) -> list[Findings]:
    """The findings, and which other slides show the same.

    Two files of the same bytes are a problem where slides.csv has them in two splits or of two
    patients, else a warning; overviews that look like neighbouring sections are a warning, unless
    slides.csv has them of one patient.

    Args:
        entries: The slides.
        findings: Of each.
    """
    problems: defaultdict[int, list[str]] = defaultdict(list)
    warnings: defaultdict[int, list[str]] = defaultdict(list)
    first: dict[str, int] = {}
    for i, found in enumerate(findings):
        j = first.setdefault(found.fingerprint, i) if found.fingerprint else i
        if j != i:
            apart = _differ(entries[j], entries[i], "split", "patient_id")
            said = problems if apart else warnings
            where = f", and of another {' and '.join(apart)} there" if apart else ""
            said[i].append(f"the same bytes as {entries[j].slide_id}{where}")
    for i, j, likeness in alike([found.section for found in findings]):
        same_file = findings[i].fingerprint == findings[j].fingerprint
        patient = entries[i].patient_id
        if not same_file and (patient is None or patient != entries[j].patient_id):
            warnings[j].append(
                f"looks like a section of the same tissue as {entries[i].slide_id} (correlation "
                f"{likeness:.2f}): if it is, give both the same patient_id"
            )
    return [
        replace(
            found,
            problems=[*found.problems, *problems[i]],
            warnings=[*found.warnings, *warnings[i]],
        )
        for i, found in enumerate(findings)
    ]


def _differ(a: SlideEntry, b: SlideEntry, *columns: str) -> list[str]:
    """Name those of the columns in which both have a value, and not the same."""
    pairs = {column: (getattr(a, column), getattr(b, column)) for column in columns}
    return [c.removesuffix("_id") for c, (x, y) in pairs.items() if x and y and x != y]
