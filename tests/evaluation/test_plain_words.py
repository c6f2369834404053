from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histocnn.evaluation.plain_words import plain_words
from histocnn.metrics.conformal import Promise
from histocnn.metrics.patch import Groups, patch_report
from histocnn.metrics.prediction_sets import set_report
from histocnn.metrics.report import Report
from histocnn.metrics.sections import (
    ColourReport,
    Figure,
    FrocReport,
    Gap,
    SlideReport,
    SlideRow,
)

NAMES = ("normal", "tumour")


def report(patients: int = 30, target: str | None = "tumour") -> Report:
    """100 patches of tumour, 60 found; 300 others, 3 of them called tumour."""
    labels = np.repeat([1, 0], [100, 300])
    called = np.concatenate([np.repeat([1, 0], [60, 40]), np.repeat([1, 0], [3, 297])])
    scores = np.where(called[:, None] == [0, 1], 0.98, 0.02)
    patch = patch_report(scores, labels, NAMES, Groups(np.arange(400) % patients, replicates=5))
    patch = replace(patch, figures={**patch.figures, "ece": Figure(0.02, None, None)})
    return Report(title="", class_names=NAMES, patch=patch, target=target)


def test_found_and_missed_in_numbers() -> None:
    found, missed, distrust = plain_words(report())
    assert found == "Found: 60 of 100 (60 %) patches of tumour of 30 patients."
    assert missed == (
        "Missed: 40 patches of tumour; called tumour by mistake: 3 of 300 (1 %) other patches."
    )
    assert distrust.startswith("Not to be trusted: nothing stands out")


def test_lesions_and_slides_are_counted() -> None:
    froc = FrocReport(4, 3, 2, 0, (), "", "", "",
                      figures={"sensitivity_at_1_fp": Figure(2 / 3, None, None)})  # fmt: skip
    slide = SlideReport("tumour", 5, 2, "", {"auroc": Figure(5 / 6, None, None)}, "")
    with_both = replace(report(), froc=froc, slide=slide)
    found, *_ = plain_words(with_both)
    assert "; 2 of 3 lesions, if one false alarm per slide is allowed." in found
    assert found.endswith(
        "In 5 of 6 pairs of a slide with tumour and one without, the one with it scores higher."
    )
    whole = replace(slide, figures={"auroc": Figure(1.0, None, None)})
    found, *_ = plain_words(replace(with_both, slide=whole))
    assert found.endswith("All 2 slides with tumour score above all 3 without.")


def test_the_slide_with_most_errors_is_named() -> None:
    rows = [
        SlideRow(name, None, None, None, 100, 100, 0, accuracy, "no")
        for name, accuracy in (("s1", 0.97), ("s2", 0.6))
    ]
    _, missed, _ = plain_words(replace(report(), slides=tuple(rows)))
    assert missed.endswith("Of all 43 errors 40 lie on s2.")


def test_of_several_classes_the_worst_pair_is_named() -> None:
    found, missed, _ = plain_words(report(target=None))
    assert found == "Found: 357 of 400 (89 %) patches are called what they are of 30 patients."
    assert missed == "Missed: 43 patches; most often tumour is called normal (40 of 100 (40 %))."


def test_of_nothing_to_find_it_is_said() -> None:
    labels = np.zeros(9, int)
    patch = patch_report(np.tile([0.9, 0.1], (9, 1)), labels, NAMES)
    found, _, distrust = plain_words(replace(report(), patch=patch))
    assert found == "Found: nothing to find, no judged patch is tumour."
    assert "nobody knows whose the patches are" in distrust


@pytest.mark.parametrize(
    ("patients", "said"),
    [
        (1, "more than the first digit of any figure: 1 patient are too few"),
        (4, "more than the first digit of any figure: 4 patients are too few to say how sure"),
        (12, "the intervals, which are too narrow with 12 patients"),
    ],
)
def test_few_patients_are_not_trusted(patients: int, said: str) -> None:
    if patients == 1:
        said = said.replace(" are too", " is too")
    assert said in plain_words(report(patients))[2]


def test_seen_patients_probabilities_and_colour_are_not_trusted() -> None:
    gap = Gap(0.7, 0.75, -0.05, None, None, None)
    patch = report().patch
    colour = ColourReport(**vars(patch) | {"differences": {"macro_auroc": gap}})
    ece = replace(patch, figures={**patch.figures, "ece": Figure(0.21, None, None)})
    _, _, said = plain_words(
        replace(report(), stamp="same patient in training", patch=ece, colour_within=colour)
    )
    assert "as one of new patients (same patient in training)" in said
    assert "off by 21 points of 100 on average" in said
    assert (
        "colour alone, by the other patients, tells the classes about as well (AUROC 0.75, these "
        "scores 0.70)" in said
    )
    surely = replace(gap, difference=0.2, low=0.1, high=0.3)
    better = replace(colour, differences={"macro_auroc": surely})
    assert "more than colour" not in plain_words(replace(report(), colour_within=better))[2]


def test_sets_that_break_their_promise_are_not_trusted() -> None:
    labels = np.repeat([0, 1], 200)
    sets = np.stack([labels == 0, np.arange(400) % 2 == 0], axis=1)
    groups = Groups(np.arange(400) // 2 % 30, replicates=50)
    promise = Promise(0.9, "patients", dict.fromkeys(NAMES, 30))
    found = replace(report(), sets=set_report(sets, labels, groups, NAMES, promise))
    assert "prediction sets, which miss tumour more than promised" in plain_words(found)[2]
