from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from histocnn.reference.cover import (
    NOT_COVERED,
    Cover,
    cover,
    held_out_residuals,
    is_covered,
    patients_apart,
    standardised,
    told_apart,
)


def clouds(gap, count=60, width=16, seed=0):
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(count, width)).astype(np.float32)
    second = rng.normal(size=(2 * count, width)).astype(np.float32)
    second[:, 3] += gap
    return first, second


def test_what_is_held_out_is_what_scikit_learn_says_without_the_fold():
    rows = standardised(np.concatenate(clouds(0.7)).astype(float))
    target, fold = np.repeat([1.0, -1.0], [60, 120]), np.arange(180) % 5
    expected = np.empty(180)
    for number in range(5):
        own = fold == number
        # the gram matrix is divided by the width, so that the penalty is the width in its place
        ridge = Ridge(alpha=rows.shape[1], fit_intercept=False).fit(rows[~own], target[~own])
        expected[own] = target[own] - ridge.predict(rows[own])
    np.testing.assert_allclose(held_out_residuals(rows, target, fold), expected, atol=1e-9)


def test_separate_clouds_are_told_apart_and_one_cloud_is_not():
    far, near = told_apart(*clouds(4)), told_apart(*clouds(0))
    assert far > 0.97
    assert near == pytest.approx(0.5, abs=0.1)
    chance = [told_apart(*clouds(0, width=400, seed=seed)) for seed in range(20)]
    assert np.mean(chance) == pytest.approx(0.5, abs=0.05)  # more columns than rows
    assert told_apart(*clouds(4)) == far  # seeded


def test_the_auroc_is_that_of_held_out_scores():
    first, second = clouds(1)
    rng = np.random.default_rng(0)  # folds by turns, of rows in its order
    drawn = [first[rng.permutation(60)], second[rng.permutation(120)]]
    rows = standardised(np.concatenate(drawn).astype(float))
    target = np.repeat([1.0, -1.0], [60, 120])
    order = np.concatenate([np.arange(60), np.arange(120)]) % 5
    held = target - held_out_residuals(rows, target, order)
    assert told_apart(first, second) == pytest.approx(roc_auc_score(target > 0, held))


def test_of_few_rows_nothing_is_told():
    first, second = clouds(4)
    assert told_apart(first[:9], second) is None
    assert told_apart(np.empty((0, 16), np.float32), second) is None
    assert told_apart(np.ones((20, 4), np.float32), np.ones((20, 4), np.float32)) == 0.5


def test_a_reference_s_own_patients_say_what_is_usual():
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(5), 40)
    features = rng.normal(size=(200, 8)).astype(np.float32)
    assert len(patients_apart(features, unit)) == 5
    assert max(patients_apart(features, unit)) < 0.7
    features[unit == 2, 0] += 5
    found = sorted(patients_apart(features, unit))
    assert found[-1] > 0.97
    assert found[-2] < 0.7
    assert patients_apart(features, np.full(200, -1)) == []
    assert len(patients_apart(features, np.arange(200) // 8)) == 0  # 8 rows are too few
    assert len(patients_apart(np.tile(features, (2, 1)), np.arange(400) // 12)) == 19


def test_a_slide_in_a_line():
    novelty = np.array([96, 95, 99, 40, np.nan], np.float32)
    found = cover(novelty, 0.993, [0.6, 0.81])
    assert found == Cover(95.5, 0.75, 0.993, 0.81, 2)
    assert not found.covered
    assert found.said == (
        "novelty: median 96, 75% of patches above 95; told from the reference with AUROC 0.99 "
        f"(each of 2 of its patients from the others up to 0.81): {NOT_COVERED}"
    )
    fine = cover(np.array([10, 50, 99], np.float32), None)
    assert fine.said == "novelty: median 50, 33% of patches above 95"
    assert cover(np.full(3, np.nan, np.float32), None) is None


@pytest.mark.parametrize(
    ("found", "covered"),
    [
        (Cover(50, 0.49), True),
        (Cover(50, 0.5), False),
        (Cover(50, 0.0, 0.81, 0.8, 9), False),
        (Cover(50, 0.0, 0.8, 0.8, 9), True),
        (Cover(50, 0.0, 0.81, 0.8, 8), True),  # by chance one in nine lies above eight
        (Cover(50, 0.0, None, 0.8, 9), True),
        (Cover(50, 0.0, 0.99), True),
    ],
)
def test_the_verdict_is_half_new_or_farther_than_any_own_patient(found, covered):
    assert found.covered is covered
    assert is_covered({"cover": found.stored}) is covered
    assert (NOT_COVERED in found.said) is not covered
    assert is_covered({}) is None
