from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from histocnn.cohort.seen import SEEN
from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import MetricError
from histocnn.evaluation.judged import Judged, judge
from histocnn.evaluation.options import Resampling
from histocnn.evaluation.transfer_report import AMONG, STORED, transfer_report
from histocnn.metrics.patch import Groups
from histocnn.metrics.plain import plain
from histocnn.metrics.sections import Figure
from histocnn.metrics.transfer import TransferReport
from histocnn.metrics.validation import Facts, facts
from histocnn.scores.scorefile import ScoreFile, open_scores
from histocnn.storage import store
from tests.stages.judged_cohort import Cohort

FEW = Resampling(20)
RIGHT = Figure(0.8, None, None)
Entries = Mapping[str, SlideEntry]


def section(
    judged: Judged, files: list[ScoreFile], entries: Entries, target: str | None = "tumour"
) -> TransferReport | str:
    return transfer_report(judged, files, entries, FEW, target=target, accuracy=RIGHT)


@pytest.fixture
def half(cohort: Cohort, entries: Entries) -> tuple[Judged, list[ScoreFile], Entries]:
    """Four slides that are judged, four of split val in the same folder."""
    files = open_scores(cohort.scores)
    said = {
        slide: replace(entry, split="test" if i < 4 else "val")
        for i, (slide, entry) in enumerate(sorted(entries.items()))
    }
    return judge(files[:4], said), files, said


def with_stored(folder: Path, files: list[ScoreFile], text: str) -> list[ScoreFile]:
    """The same files, which hold this of validation."""
    for file in files:
        written = store.read(file.path) | {"validation": [text]}
        store.write(folder / file.path.name, written, store.attributes(file.path))
    return open_scores(folder)


def test_validation_slides_in_the_same_folder(half) -> None:
    found = section(*half)
    assert isinstance(found, TransferReport)
    assert (found.source, found.validation_groups, found.groups) == (AMONG, 4, 4)
    assert (found.validation_patches, found.patches) == (1200, 1200)
    assert [point.point for point in found.points] == ["called"]
    judged = half[0]
    own = judged.labels == 1
    assert found.points[0].sensitivity.hits == (judged.called[own] == 1).sum()
    assert found.classes["tumour"].prevalence == pytest.approx(own.mean())


def test_what_the_scores_hold_of_validation_comes_first(half, tmp_path: Path) -> None:
    judged, files, entries = half
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 100)
    scores = np.stack([1 - labels, labels], 1)
    points = {"tumour": {"youden": {"threshold": 0.5}}}
    stored = facts(scores, labels, Groups(np.arange(100) % 7), judged.class_names, points)
    again = with_stored(tmp_path, files, json.dumps(plain(stored)))
    found = section(judge(again[:4], entries), again, entries)
    assert isinstance(found, TransferReport)
    assert (found.source, found.validation_groups) == (STORED, 7)
    assert found.classes["tumour"].validation_auroc == 1
    assert [point.point for point in found.points] == ["called"]  # the scores name no threshold


def test_classes_follow_their_names_and_sums_are_left_out(half, tmp_path: Path) -> None:
    judged, files, entries = half
    stored = facts(judged.scores, judged.labels, Groups(judged.patient), judged.class_names)
    again = with_stored(tmp_path, files, json.dumps(plain(stored)))
    summed = replace(judge(again[:4], entries), score_classes=("tumour", "tumour"))
    found = section(summed, again, entries)
    assert isinstance(found, TransferReport)
    assert found.classes == {}


def test_without_any_validation_the_reason_is_said(half) -> None:
    judged, files, _ = half
    found = section(judged, files, {})
    assert isinstance(found, str)
    assert found.startswith("validation is not known")


def test_seen_patients_are_not_set_beside_validation(half) -> None:
    judged, files, entries = half
    seen = replace(judged, seen=np.full_like(judged.seen, SEEN.index("val")))
    assert section(seen, files, entries) == (
        "patients of training or validation are among those judged"
    )


def test_a_validation_of_one_class_is_said(half, tmp_path: Path) -> None:
    judged, files, entries = half
    names = judged.class_names
    normal = facts(np.full((9, 2), 0.5), np.zeros(9, int), Groups(np.zeros(9, int)), names)
    again = with_stored(tmp_path, files, json.dumps(plain(normal)))
    found = section(judge(again[:4], entries), again, entries)
    assert isinstance(found, TransferReport)
    assert found.words[0] == (
        "Validation has patches of normal only: no operating point could be chosen on it, and no "
        "ranking measured."
    )


def test_no_judged_patch_in_validation_is_said(half, tmp_path: Path) -> None:
    _, files, entries = half
    empty = Facts(0, 0, "patients", {})
    again = with_stored(tmp_path, files, json.dumps(plain(empty)))
    assert section(judge(again[:4], entries), again, entries) == (
        "no patch of validation is both labelled and scored"
    )


@pytest.mark.parametrize("text", ["{}", "[", '{"patches": "many"}'])
def test_what_is_damaged_is_refused_by_its_file(half, tmp_path: Path, text: str) -> None:
    _, files, entries = half
    again = with_stored(tmp_path, files, text)
    with pytest.raises(MetricError, match=again[0].path.name):
        section(judge(again[:4], entries), again, entries)
