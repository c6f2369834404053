from __future__ import annotations

from dataclasses import replace

import pytest

from histocnn.metrics.rates import Change, Rate
from histocnn.metrics.transfer import ClassTransfer, PointTransfer, Shift, TransferReport
from histocnn.metrics.transfer_words import fallen, ranks, words

NOTHING = Shift(None, None, None)
SAME = Change(0.0, -0.1, 0.1, 0.9, "no loss shown")


def report(before: float | None, after: float | None, *points: PointTransfer) -> TransferReport:
    own = ClassTransfer(0.5, 0.5, before, after, None, None, NOTHING, NOTHING)
    return TransferReport(
        source="x", unit="patients", validation_groups=30, groups=30, validation_patches=9,
        patches=9, classes={"tumour": own}, points=points, majority="tumour",
        majority_accuracy=0.5, accuracy=0.5, target="tumour",
    )  # fmt: skip


def point(sensitivity: Change, specificity: Change = SAME) -> PointTransfer:
    share = Rate(900, 1000, 30, 0.001)
    return PointTransfer(
        "tumour", "sensitivity_95", None, share, replace(share, hits=400), sensitivity,
        share, share, specificity,
    )  # fmt: skip


LOST = Change(-0.5, -0.6, -0.4, 0.9, "lost")


@pytest.mark.parametrize(
    ("found", "start"),
    [
        (report(0.97, 0.96, point(LOST)), "The ranking transfers, the thresholds do not"),
        (report(0.97, 0.96, point(SAME)), "Ranking and thresholds look as in validation"),
        (report(0.97, 0.70, point(LOST)), "The ranking does not transfer"),
        (report(0.97, 0.96), "The ranking of patches transfers"),
        (report(0.55, 0.52, point(SAME)), "The scores hardly order patches"),
        (report(0.97, None), "Whether the ranking of patches transfers is unknown"),
    ],
)
def test_the_story(found: TransferReport, start: str) -> None:
    assert words(found)[0].startswith(start)


def test_what_is_lost_is_named_with_its_interval() -> None:
    line = words(report(0.97, 0.96, point(LOST)))[1]
    assert line == (
        "At the threshold chosen to find 95 %, 40% of the patches that are tumour are found; in "
        "validation 90%, -0.500 (-0.600 to -0.400) (sensitivity lost)."
    )


def test_a_great_difference_is_named_though_patients_are_too_few() -> None:
    few = Change(-0.5, None, None, None, "too few patients to tell")
    found = report(0.97, 0.96, point(few))
    assert fallen(found) == [found.points[0]]
    assert "lost" not in words(found)[1]


def test_ranks_is_unknown_without_a_class() -> None:
    assert [ranks(report(*pair)) for pair in ((0.9, 0.9), (0.9, 0.8), (None, 0.9))] == [
        True, False, None,
    ]  # fmt: skip
