"""Who took part in a network's training: known by patient, slide or file, else unknown."""

from __future__ import annotations

import pytest

from histocnn.cohort.seen import (
    NOT_SEEN,
    UNKNOWN,
    UNRECORDED,
    TrainingCohort,
    Verdict,
    hashed,
    seen_by,
    stored_ids,
    worst,
)
from histocnn.errors import StoreError


def cohort(salt: str | None = None, *, train: tuple[str, ...] = ("P1",)) -> TrainingCohort:
    def ids(*names: str) -> list[str]:
        return stored_ids(names, salt)

    parts = {
        "train": {"patients": ids(*train), "slides": ids("s1"), "fingerprints": ids("77-ab")},
        "val": {"patients": ids("P2"), "slides": ids("s2"), "fingerprints": ids("")},
    }
    return TrainingCohort(parts, salt)


@pytest.mark.parametrize("salt", [None, "pepper"])
def test_a_verdict_says_part_and_whether_the_slide_itself_took_part(salt: str | None) -> None:
    found = cohort(salt)
    assert found.verdict("s1", "P1") == Verdict("train", "slide")
    assert found.verdict("s9", "P1") == Verdict("train", "patient")
    assert found.verdict("s9", "P9", "77-ab") == Verdict("train", "slide")
    assert found.verdict("s9", "P2") == Verdict("val", "patient")
    assert found.verdict("s2", "") == Verdict("val", "slide")
    assert found.verdict("s9", "P9") == NOT_SEEN
    # an image of a known patient, whose slide nobody names, may be of the same slide
    assert found.verdict("", "P1") == Verdict("train", "slide")


def test_not_seen_needs_a_patient_on_both_sides() -> None:
    assert cohort().verdict("s9", "") == UNKNOWN
    assert cohort(train=("P1", "")).verdict("s9", "P9") == UNKNOWN  # one of them had no name
    assert cohort(train=()).verdict("s9", "P9") == UNKNOWN
    assert UNRECORDED.verdict("s9", "P9") == UNKNOWN


def test_of_several_trainings_the_worst_counts() -> None:
    earlier = TrainingCohort({"train": {"patients": ["P9"]}})
    assert seen_by((cohort("salt"), earlier), "s9", "P9").seen == "train"
    assert seen_by((cohort(), UNRECORDED), "s9", "P8") == UNKNOWN
    assert seen_by((), "s9", "") == NOT_SEEN
    assert seen_by(None, "s9", "P9") == UNKNOWN
    assert worst([Verdict("train", "patient"), Verdict("train", "slide")]).by == "slide"


def test_it_comes_back_from_text_and_nothing_else_does() -> None:
    assert TrainingCohort.from_json(cohort("salt").to_json()) == cohort("salt")
    for text in (
        "", "[]", "{}", '{"parts": {"test": {}}}', '{"parts": {"train": {"patients": "P1"}}}',
        '{"parts": {"train": {"patients": [1]}}}', '{"parts": {}, "salt": 3}',
    ):  # fmt: skip
        with pytest.raises(StoreError, match=r"no cohort of a network's training"):
            TrainingCohort.from_json(text)


def test_hashed_ids_do_not_tell_whose_they_are() -> None:
    assert hashed("P1", None) == "P1"
    assert stored_ids(["P1", ""], "salt") == ["", hashed("P1", "salt")]
