"""The archive's nearest patches to one, of every patient one."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from histocnn.errors import FeaturesError
from histocnn.reference.apart import Exclude, left_out, units
from histocnn.reference.features import Features
from histocnn.reference.methods import ByNeighbours
from histocnn.reference.neighbours import UNKNOWN, Float, Int, Knn


class Nearest(NamedTuple):
    """The nearest rows of an archive, nearest first, each of another patient.

    Attributes:
        rows: int64 [M], of the archive.
        distances: float32 [M].
        patients: How many could have been found.
    """

    rows: Int
    distances: Float
    patients: int


def nearest_of_each(
    query: Features, archive: Features, knn: Knn, exclude: Exclude, each: Exclude = "patient"
) -> Nearest:
    """The nearest row of each of the `knn.k` nearest patients.

    A patient's distance is that of its nearest patch. Where the patient is unknown its slide counts
    in its place, and then the patch. Mean and scale are those of the rows that are not left out.

    Args:
        query: One row.
        archive: Rows, labelled or not.
        knn: How distances are measured; k is how many patients are asked for.
        exclude: What of the query is left out of the archive, as for k-NN.
        each: Of what one row is given: patient, slide, or none: all rows.

    Returns:
        Fewer than k where there are no more patients.

    Raises:
        FeaturesError: Nothing is left to compare with.
    """
    own = left_out(query, archive, exclude)[0]
    kept = np.flatnonzero(~((archive.groups == own) & (own != UNKNOWN)).any(axis=1))
    if not len(kept):
        raise FeaturesError(
            f"{archive.files[0].parent}: all of it is of the query's own patient or slide",
            "Give an archive of others, or --exclude none.",
        )
    rest = archive.only(kept)
    unit = np.arange(len(rest)) if each == "none" else units(rest, rest, each)[0]
    patients = len(np.unique(unit))
    wanted, k = min(knn.k, patients), min(len(rest), 4 * knn.k)
    while True:
        index = ByNeighbours(rest, replace(knn, k=k)).index
        found = index.search(query.values.copy(), np.full((1, 2), UNKNOWN))
        rows, distances = found.rows[0], found.distances[0]
        first = np.sort(np.unique(unit[rows], return_index=True)[1])[:wanted]
        if len(first) == wanted:
            return Nearest(kept[rows[first]], distances[first], patients)
        k = min(len(rest), 4 * k)


def owner_in(
    archive: Features, fingerprint: str, slide_id: str, patient_id: str = ""
) -> tuple[str, str]:
    """A slide's id and its patient ("" unknown), as an archive knows them if it holds its file.

    Args:
        archive: Rows.
        fingerprint: Of the slide's file, which may bear another name here.
        slide_id: The id outside.
        patient_id: As slides.csv says; it is right where it says something.
    """
    for number, known in enumerate(archive.fingerprints):
        rows = np.flatnonzero(archive.file == number)
        if known == fingerprint and len(rows):
            first = int(rows[0])
            return archive.slide_ids[first], patient_id or archive.patient_ids[first]
    return slide_id, patient_id
