"""What is kept apart: a row from itself, and from examples of its own patient or slide."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from histocnn.reference.features import Features, groups_of
from histocnn.reference.neighbours import UNKNOWN, codes, places

Exclude = Literal["patient", "slide", "none"]


def left_out(query: Features, reference: Features, exclude: Exclude) -> NDArray[np.int64]:
    """The query's groups [N, 2] that are kept from the reference; -1 keeps nothing from it."""
    groups = groups_of(query, reference)
    if exclude != "patient":
        groups[:, 0] = UNKNOWN
    if exclude == "none":
        groups[:, 1] = UNKNOWN
    return groups


def own_rows(query: Features, reference: Features) -> NDArray[np.int64]:
    """Which row of the reference each query row itself is, by its file's hash; -1 none."""
    own = np.full(len(query), UNKNOWN)
    for file, digest in enumerate(query.hashes):
        same = [i for i, other in enumerate(reference.hashes) if other == digest]
        if same:
            found = np.flatnonzero(np.isin(reference.file, same))
            place = dict(zip(reference.row[found].tolist(), found.tolist(), strict=True))
            asked = np.flatnonzero(query.file == file)
            own[asked] = [place.get(row, UNKNOWN) for row in query.row[asked].tolist()]
    return own


def units(
    rows: Features, reference: Features, exclude: Exclude
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What is left out together: patients (slides, then patches, where unknown), slides, patches.

    Returns:
        Codes of the reference [N] and of the rows [M]; -1 where the reference has no such unit.
    """
    patients = {}
    for part in (reference, rows):
        known = zip(part.slide_ids, part.patient_ids, strict=True)
        patients.update({slide: patient for slide, patient in known if slide and patient})

    def names(part: Features) -> list[str]:
        found = []
        for i, (patient, slide) in enumerate(zip(part.patient_ids, part.slide_ids, strict=True)):
            patient = patient or patients.get(slide, "")
            if exclude == "patient" and patient:
                found.append(f"patient {patient}")
            elif exclude != "none" and slide:
                found.append(f"slide {slide}")
            else:
                found.append(f"row {part.row[i]} of {part.hashes[part.file[i]]}")
        return found

    own = names(reference)
    numbers = places(own)
    return codes(own, numbers), codes(names(rows), numbers)
