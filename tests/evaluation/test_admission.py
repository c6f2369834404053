from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histocnn.cohort.seen import SEEN
from histocnn.errors import MetricError
from histocnn.evaluation.admission import check_missing, check_seen, chosen_files, left_out, some


def test_the_first_three_names_stand_for_many() -> None:
    assert some("ab") == "a, b"
    assert some("abcde") == "a, b, c and 2 more"


def test_files_of_a_split_are_those_that_slides_csv_lists(judged, entries) -> None:
    one = {"slide_03": entries["slide_03"]}
    assert [file.slide_id for file in chosen_files(judged.files, one, "test")] == ["slide_03"]
    assert len(chosen_files(judged.files, one, None)) == 8
    with pytest.raises(MetricError, match="no score file belongs to split val"):
        chosen_files(judged.files, {}, "val")


def test_seen_patients_are_refused_or_said(judged) -> None:
    assert check_seen(judged, allow_seen=False) == []
    seen = np.where(judged.file == 2, SEEN.index("train"), judged.seen)
    with pytest.raises(MetricError, match="training or validation: slide_02"):
        check_seen(replace(judged, seen=seen), allow_seen=False)
    assert check_seen(replace(judged, seen=seen), allow_seen=True) == [
        "Includes patients seen in training or validation: optimistic (slide_02)."
    ]


def test_slides_without_scores_are_refused_or_said(judged, entries) -> None:
    assert check_missing(judged, entries, allow_missing=False) == []
    more = entries | {"other": entries["slide_00"]}
    with pytest.raises(MetricError, match=r"1 slide of slides\.csv without scores: other"):
        check_missing(judged, more, allow_missing=False)
    assert "other" in check_missing(judged, more, allow_missing=True)[0]


def test_what_is_left_out_is_said(judged) -> None:
    assert left_out(judged) == []
    scores = judged.scores.copy()
    scores[:2] = np.nan
    labels = np.where(judged.file == 1, -1, 0)
    assert left_out(replace(judged, scores=scores, labels=labels)) == [
        "Without truth for their patches: slide_01.",
        "All that is judged is normal: "
        "accuracy does not say whether other classes are told from it.",
        "2 patches without score (unreadable).",
    ]


def test_an_adapted_network_is_said(judged) -> None:
    training = {"patches": {"train": 9}, "adapted": {"slides": 2, "patches": 20, "weight": 0.24}}
    first, *others = judged.files
    adapted = replace(first, attributes={**first.attributes, "training": training})
    assert left_out(replace(judged, files=(adapted, *others))) == [
        "The network was adapted to slides without their labels: slide_00."
    ]


def test_slides_that_the_reference_does_not_cover_are_named(judged) -> None:
    files = [
        replace(file, attributes={**file.attributes, "cover": {"covered": i != 3}})
        for i, file in enumerate(judged.files)
    ]
    assert left_out(replace(judged, files=tuple(files))) == [
        "The reference does not cover 1 of 8 files: do not trust slide_03."
    ]
