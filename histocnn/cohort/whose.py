"""Whose a patch is: its patient by slides.csv, and what intervals resample."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.sheet import SlideEntry

NOBODY = -1
STAIN_GROUPS = "stain groups"
PESSIMISTIC = f"{STAIN_GROUPS.capitalize()} stand in for patients, whom nobody knows: pessimistic."
UNITS = ("patients", "slides", STAIN_GROUPS)  # the first that is known of a row


def patients_of(
    slide_ids: Sequence[str],
    patient_ids: Sequence[str],
    entries: Mapping[str, SlideEntry] | None = None,
) -> list[str]:
    """The patient of each row, "" unknown.

    As slides.csv has it, where it does; else as the row itself says; else the patient of its
    slide's other rows, where these name one alone (a slide of a tissue array has many).

    Args:
        slide_ids: [N], "" unknown.
        patient_ids: [N], "" unknown.
        entries: Rows of slides.csv by slide id.

    >>> patients_of(["s1", "s1", "s2", ""], ["P1", "", "", ""])
    ['P1', 'P1', '', '']
    """
    listed = {slide: e.patient_id for slide, e in (entries or {}).items() if e.patient_id}
    said = [listed.get(s, p) for s, p in zip(slide_ids, patient_ids, strict=True)]
    of_slide = defaultdict(set)
    for slide, patient in set(zip(slide_ids, said, strict=True)):
        if slide and patient:
            of_slide[slide].add(patient)
    alone = {slide: next(iter(found)) for slide, found in of_slide.items() if len(found) == 1}
    return [p or alone.get(s, "") for s, p in zip(slide_ids, said, strict=True)]


@dataclass(frozen=True, eq=False)
class Owners:
    """What rows belong to and intervals resample: patients, or what stands in for them.

    Attributes:
        of_row: int64 [N], index into `names`; NOBODY where neither is known.
        names: Patients, then slides, then stain groups that stand in for one.
        unit: What they are: "patients", "slides", "patients and slides", "stain groups" …
    """

    of_row: NDArray[np.int64]
    names: tuple[str, ...]
    unit: str


def owners(
    slide_ids: Sequence[str], patient_ids: Sequence[str], stain_groups: Sequence[str] = ()
) -> Owners:
    """Group rows by patient, by slide where no patient is known; a slide is never a patient.

    Args:
        slide_ids: [N], "" unknown.
        patient_ids: [N], "" unknown.
        stain_groups: [N], what stands in where neither is known, "" nothing; or none at all.

    >>> found = owners(["s1", "s2", ""], ["P1", "", ""])
    >>> found.of_row.tolist(), found.names, found.unit
    ([0, 1, -1], ('P1', 's2'), 'patients and slides')
    """
    rows = list(zip(patient_ids, slide_ids, stain_groups or [""] * len(slide_ids), strict=True))
    owner_of = {
        row: next(((kind, name) for kind, name in enumerate(row) if name), None)
        for row in set(rows)
    }
    known = sorted({owner for owner in owner_of.values() if owner})
    index = {owner: i for i, owner in enumerate(known)} | {None: NOBODY}
    unit = " and ".join(UNITS[kind] for kind in sorted({kind for kind, _ in known}))
    return Owners(
        np.fromiter((index[owner_of[row]] for row in rows), np.int64, len(rows)),
        tuple(name for _, name in known),
        unit or "slides",
    )
