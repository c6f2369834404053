from __future__ import annotations

import pytest

from histocnn.errors import MetricError, UsageError
from histocnn.evaluation.cases import choose_target, is_positive, read_cases
from histocnn.evaluation.options import LesionOptions


def test_of_two_classes_the_target_is_the_one_that_is_no_background(judged, entries) -> None:
    assert choose_target(judged, entries, None) == "tumour"
    assert choose_target(judged, {}, None) is None
    assert choose_target(judged, entries, "normal") == "normal"
    with pytest.raises(UsageError, match="--target Tumor"):
        choose_target(judged, entries, "Tumor")


@pytest.mark.parametrize(
    ("label", "annotation", "background", "annotated", "expected"),
    [
        ("negative", None, None, False, False),
        ("itc", None, None, False, True),
        ("tumour", None, "normal", False, True),
        ("other", "a.xml", None, True, False),
        (None, "a.xml", None, True, True),
        (None, "a.xml", "normal", False, False),
        (None, None, "normal", False, False),
        (None, None, "tumour", False, None),
        (None, None, None, False, None),
    ],
)
def test_what_makes_a_slide_positive(
    entries, label, annotation, background, annotated, expected
) -> None:
    from dataclasses import replace

    entry = replace(
        entries["slide_00"], label=label, annotation_path=annotation, background=background
    )
    assert is_positive(entry, "tumour", annotated=annotated) is expected


def test_each_slide_is_a_case(judged, entries) -> None:
    cases = read_cases(judged, entries, "tumour", LesionOptions())
    assert [case.positive for case in cases] == [False, True] * 4
    for i, case in enumerate(cases):
        assert case.score == judged.scores[judged.file == i, 1].max()
        assert case.prob.shape == (15, 20)
        assert case.cell_um == (100, 100)
        assert case.hits.lesions == i % 2


def test_own_detections_must_be_there(judged, entries, tmp_path) -> None:
    with pytest.raises(MetricError, match=r"slide_00\.csv is missing"):
        read_cases(judged, entries, "tumour", LesionOptions(detections=tmp_path))
