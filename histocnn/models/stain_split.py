"""Rows of a training whose patient nobody knows, with the stain groups that stand in for one."""

from __future__ import annotations

import logging
from dataclasses import replace

from histocnn.errors import CohortError
from histocnn.models.rows import Rows
from histocnn.patches.stain_groups import stain_groups
from histocnn.slides.geometry import Pixels

log = logging.getLogger(__name__)


def with_stain_groups(rows: Rows) -> Rows:
    """The rows with a stain group each; every picture is read once.

    Raises:
        CohortError: Of every row the patient or slide is known.
    """
    owners = [p or s for p, s in zip(rows.patient_ids, rows.slide_ids, strict=True)]
    if all(owners):
        raise CohortError(
            "split by stain: of every patch the patient or slide is known",
            "Use --data.split_by patient, which is neither optimistic nor pessimistic.",
        )

    def read(index: int) -> Pixels:
        source = rows.sources[rows.source[index]]
        pixels: Pixels = source.patch(int(rows.row[index]))
        return pixels

    groups = stain_groups(read, [rows.name(i) for i in range(len(rows))], owners)
    log.warning(
        "split by stain: %d groups of pictures of one stain stand in for patients, whom nobody "
        "knows; figures will be pessimistic",
        len(set(groups)),
    )
    return replace(rows, stain_groups=groups)
