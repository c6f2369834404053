"""Scores beside their truth: one table of all files, classes matched by name."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.cohort.seen import SEEN
from histocnn.cohort.sheet import read_cohort
from histocnn.errors import MetricError, UsageError
from histocnn.evaluation.judged import judge, parse_match
from histocnn.scores.scorefile import open_scores
from histocnn.storage import store
from tests.stages.judged_cohort import write_cohort


def write_images(path, scores, labels=None, *, names=("n", "t"), truth=("n", "t"), **datasets):
    """Scores of image files; `datasets` (patient_ids …) beside them."""
    arrays = {"paths": [f"{i}.png" for i in range(len(scores))], "scores": scores, **datasets}
    attributes = {"slide_id": path.stem, "scores.class_names": list(names)}
    if labels is not None:
        arrays["labels"] = np.array(labels)
        attributes["labels.class_names"] = list(truth)
    store.write(path, arrays, attributes)
    return path


def rows(*first):
    """Scores whose first column is told."""
    return np.array([[p, 1 - p] for p in first], np.float32)


def test_a_class_is_its_name_whatever_its_number(tmp_path):
    write_images(tmp_path / "a.h5", rows(0.9, 0.2), [0, 1])
    write_images(tmp_path / "b.h5", rows(0.7, 0.4), [0, -1], names=("t", "n"), truth=("t", "n"))
    judged = judge(open_scores(tmp_path))
    assert judged.class_names == judged.score_classes == ("n", "t")
    assert judged.scores[:, 1] == pytest.approx([0.1, 0.8, 0.7, 0.4])
    assert judged.labels.tolist() == [0, 1, 1, -1]
    assert judged.called.tolist() == [0, 1, 1, 0]
    assert judged.judged.tolist() == [True, True, True, False]
    assert (judged.file.tolist(), judged.row.tolist()) == ([0, 0, 1, 1], [0, 1, 0, 1])
    assert len(judged) == 4


def test_classes_that_mean_one_are_added_up(tmp_path):
    scores = np.array([[0.25, 0.25, 0.5], [0.125, 0.5, 0.375]], np.float32)
    write_images(tmp_path / "a.h5", scores, [0, 1], names=("AC", "AD", "H"), truth=("T", "N"))
    judged = judge(open_scores(tmp_path), match={"AC": "T", "AD": "T", "H": "N"})
    assert judged.class_names == ("T", "N")
    assert judged.score_classes == ("T", "T", "N")
    assert judged.scores.tolist() == [[0.5, 0.5], [0.625, 0.375]]


def test_what_cannot_be_matched_is_refused(tmp_path):
    write_images(tmp_path / "a.h5", rows(0.9), [1], truth=("n", "tumor"))
    with pytest.raises(MetricError, match="the truth has tumor") as error:
        judge(open_scores(tmp_path))
    assert "--match t=tumor" in error.value.remedy
    with pytest.raises(UsageError, match="no class 'x'"):
        judge(open_scores(tmp_path), match={"x": "tumor"})
    write_images(tmp_path / "b.h5", rows(0.9), [1], names=("n", "u"))
    with pytest.raises(MetricError, match=r"b\.h5 scores n, u, but a\.h5 n, t"):
        judge(open_scores(tmp_path))


def test_a_class_that_no_label_uses_needs_no_score(tmp_path):
    write_images(tmp_path / "a.h5", rows(0.9, 0.3), [2, -1], truth=("fat", "t", "n"))
    assert judge(open_scores(tmp_path)).labels.tolist() == [0, -1]


def test_patients_slides_and_the_seen_are_known_row_by_row(tmp_path):
    write_images(
        tmp_path / "a.h5", rows(0.9, 0.3, 0.2), [0, 1, 1],
        patient_ids=["p", "", ""], slide_ids=["s", "p", ""], seen=["train", "no", "unknown"],
    )  # fmt: skip
    judged = judge(open_scores(tmp_path))
    assert judged.unit == "patients and slides"
    assert [judged.patient_ids[i] if i >= 0 else None for i in judged.patient] == ["p", "p", None]
    assert judged.patient[0] != judged.patient[1]  # a patient and a slide of one name
    assert [SEEN[i] for i in judged.seen] == ["train", "no", "unknown"]


def test_slides_take_patients_and_truth_from_the_cohort(tmp_path):
    cohort = write_cohort(tmp_path, patients=2, drop=("labels", "coverage", "colour"))
    entries = {entry.slide_id: entry for entry in read_cohort(cohort.slides)}
    judged = judge(open_scores(cohort.scores), entries)
    assert judged.patient_ids[:2] == ("patient_00", "patient_01")
    assert judged.slide_ids == ("slide_00", "slide_01")
    assert np.bincount(judged.labels).tolist() == [2 * 300 - 16, 16]
    assert np.isnan(judged.colour).all()
    assert (judge(open_scores(cohort.scores)).labels == -1).all()


def test_the_most_confident_errors_come_first(tmp_path):
    write_images(tmp_path / "a.h5", rows(0.6, 0.9, 0.2, np.nan), [1, 1, 1, 0])
    assert judge(open_scores(tmp_path)).errors().tolist() == [1, 0]


def test_a_patch_at_an_outline_has_the_class_of_its_largest_part(tmp_path):
    coverage = np.array([[0, 0], [0, 0.4], [0.35, 0.45], [0, 0.5], [0, 0.8]], np.float32)
    store.write(
        tmp_path / "s.h5",
        {
            "coords": np.zeros((5, 2), int),
            "scores": rows(*[0.5] * 5),
            "labels": np.array([0, -1, -1, -1, 1]),
            "coverage": coverage,
        },
        {"slide_id": "s", "scores.class_names": ["n", "t"], "labels.class_names": ["n", "t"]},
    )
    # bare patches are class 0: 0.6 of the second is background; the fourth was excluded
    assert judge(open_scores(tmp_path)).border.tolist() == [0, 0, 1, -1, 1]


def test_match_is_pairs():
    assert parse_match("AC=Tumor, H = Normal,") == {"AC": "Tumor", "H": "Normal"}
    assert parse_match("") == {}
    for text in ("AC", "AC=", "=T", "a=b=c"):
        with pytest.raises(UsageError, match="is not SCORES=TRUTH"):
            parse_match(text)
