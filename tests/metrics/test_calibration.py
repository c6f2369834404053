from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from histocnn.errors import MetricError
from histocnn.metrics.calibration import (
    Prior,
    apply_temperature,
    fit_temperature,
    operating_points,
    shrunk,
)


def test_temperature_of_a_two_class_case_worked_out_by_hand():
    # 3 of 4 patches right, all with a logit margin of 2: the likelihood is greatest where the
    # softened confidence is 3/4, i.e. 2 / T = ln 3.
    logits = np.array([[2, 0], [2, 0], [0, 2], [0, 2]], float)
    labels = np.array([0, 0, 1, 0])
    assert fit_temperature(logits, labels) == pytest.approx(2 / np.log(3), rel=1e-4)


def test_temperature_is_found_again_from_log_probabilities():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4)) * 2
    labels = np.array([rng.choice(4, p=p) for p in softmax(logits, axis=1)])
    overconfident = log_softmax(logits * 2.5, axis=1)
    assert fit_temperature(overconfident, labels) == pytest.approx(2.5, rel=0.05)


def test_a_temperature_of_few_patients_is_drawn_towards_1():
    assert shrunk(16.0, 4) == pytest.approx(4)  # half the logarithm
    assert shrunk(1 / 32, 1) == pytest.approx(1 / 2)  # a fifth of it


def test_temperature_ignores_unknown_and_unread_patches():
    logits = np.array([[2, 0], [2, 0], [0, 2], [0, 2], [9, 0], [np.nan, np.nan]], float)
    labels = np.array([0, 0, 1, 0, -1, 1])
    assert fit_temperature(logits, labels) == pytest.approx(2 / np.log(3), rel=1e-4)


def test_temperature_of_nothing_is_an_error():
    with pytest.raises(MetricError, match="no labelled, scored patch"):
        fit_temperature(np.zeros((3, 2)), [-1, -1, -1])


def test_temperature_survives_scores_of_exactly_zero():
    with np.errstate(divide="ignore"):
        log_scores = np.log(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]))
    assert 0 < fit_temperature(log_scores, [0, 1, 1, 1]) <= 20


def test_applied_temperature_is_the_softmax_of_divided_logits():
    logits = np.array([[3.0, 1.0, -2.0], [0.0, 0.5, 4.0]])
    expected = softmax(logits / 1.7, axis=1)
    np.testing.assert_allclose(
        apply_temperature(softmax(logits, axis=1), 1.7), expected, atol=1e-12
    )


def test_unread_patches_stay_nan_under_a_temperature():
    assert np.isnan(apply_temperature([[np.nan, np.nan]], 2.0)).all()


def test_operating_points_worked_out_by_hand():
    # 20 positives at 0.99, 0.98 .. 0.80 and 20 negatives at 0.805, 0.795 .. 0.615:
    # 19 positives lie at or above 0.81, and no negative does; the next score below is 0.805.
    positive = 0.99 - 0.01 * np.arange(20)
    negative = 0.805 - 0.01 * np.arange(20)
    score = np.concatenate([positive, negative])
    scores = np.stack([1 - score, score], axis=1)
    points = operating_points(scores, np.repeat([1, 0], 20), ["normal", "tumour"])["tumour"]
    assert points["sensitivity_95"] == pytest.approx(
        {"threshold": 0.8075, "sensitivity": 0.95, "specificity": 1.0}
    )
    # lowest threshold with at most 1 of 20 negatives: 0.80 is the last positive, 0.795 a negative
    assert points["specificity_95"] == pytest.approx(
        {"threshold": 0.7975, "sensitivity": 1.0, "specificity": 0.95}
    )
    # 0.8075 and 0.7975 both give 1.95: the higher of equals
    assert points["youden"]["threshold"] == pytest.approx(0.8075)


def test_the_youden_point_of_few_patients_is_drawn_towards_the_share_in_training():
    # logit 0.9 = ln 9: half of it is ln 3 = logit 0.75; against logit 0.1 = -ln 9 it is 0
    assert Prior((0.5, 0.5), 4).drawn(0.9, 1) == pytest.approx(0.75)
    assert Prior((0.9, 0.1), 4).drawn(0.9, 1) == pytest.approx(0.5)
    assert Prior((0.5, 0.5), 1).drawn(0.9, 1) == pytest.approx(9**0.2 / (1 + 9**0.2))
    for share in (0.0, 1.0):  # training had none of it, or nothing else
        assert Prior((1 - share, share), 1).drawn(0.9, 1) == 0.9


def test_a_drawn_point_and_its_figures_worked_out_by_hand():
    score = np.array([0.95, 0.9, 0.8, 0.4, 0.3, 0.2, 0.1, 0.05])
    scores, labels = np.stack([1 - score, score], axis=1), np.repeat([1, 0], 4)
    plain = operating_points(scores, labels, ["normal", "tumour"])["tumour"]
    assert plain["youden"] == pytest.approx(
        {"threshold": 0.35, "sensitivity": 1.0, "specificity": 1.0}
    )

    def drawn(patients, share=0.5):
        prior = Prior((1 - share, share), patients)
        return operating_points(scores, labels, ["normal", "tumour"], prior)["tumour"]

    # Of 4 patients half of logit 0.35, so 0.423: one positive lies below. Between 0.4 and 0.8 the
    # middle half begins at 0.5.
    assert drawn(4)["youden"] == pytest.approx(
        {"threshold": 0.5, "sensitivity": 0.75, "specificity": 1.0}
    )
    # Of 1 patient, at a share of 0.1: logit 0.1 × 4/5 + logit 0.35 / 5, so 0.132: 0.2 is called,
    # and the middle half of 0.1 to 0.2 holds it.
    odds = (1 / 9) ** 0.8 * (0.35 / 0.65) ** 0.2
    assert drawn(1, 0.1)["youden"] == pytest.approx(
        {"threshold": odds / (1 + odds), "sensitivity": 1.0, "specificity": 0.5}
    )
    assert drawn(10_000)["youden"] == pytest.approx(plain["youden"], abs=1e-3)
    for point in ("sensitivity_95", "specificity_95"):  # these promise what they say of validation
        assert drawn(4)[point] == plain[point]


def patients_of(rng, count, share):
    """Scores and truth of patients whose calibrated logits one network has moved and stretched."""
    truth = rng.random((count, 300)) < rng.beta(4 * share, 4 - 4 * share, (count, 1))
    evidence = 3 * rng.normal(size=truth.shape) + np.where(truth, 4.5, -4.5)
    evidence = evidence * np.exp(rng.normal(0, 0.5, (count, 1))) + rng.normal(size=(count, 1))
    score = 1 / (1 + np.exp(-evidence - np.log(share / (1 - share))))
    return score.ravel(), truth.ravel()


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_one_patient_no_longer_throws_it(share):
    rng, worst = np.random.default_rng(0), {}
    others, truth = patients_of(rng, 200, share)
    for _ in range(60):
        score, labels = patients_of(rng, 1, share)
        if not 5 <= labels.sum() <= 295:
            continue
        scores = np.stack([1 - score, score], axis=1)
        for prior in (None, Prior((1 - share, share), 1)):
            points = operating_points(scores, labels.astype(int), ["normal", "tumour"], prior)
            called = others >= points["tumour"]["youden"]["threshold"]
            balanced = (called[truth].mean() + (~called)[~truth].mean()) / 2
            worst[prior] = min(balanced, worst.get(prior, 1))
    undrawn, drawn = worst.values()
    assert undrawn < 0.85
    assert drawn > 0.89


def test_a_threshold_below_every_score_lies_between_the_lowest_and_zero():
    scores = np.array([[0.6, 0.4], [0.2, 0.8]])  # the positive is outranked
    point = operating_points(scores, [1, 0], ["a", "b"])["b"]["sensitivity_95"]
    assert point == pytest.approx({"threshold": 0.2, "sensitivity": 1.0, "specificity": 0.0})


def counted_at(points, scores, labels, name, column):
    """Sensitivity and specificity of stored thresholds on scores, by counting."""
    for point in points[name].values():
        called = scores[:, column] >= point["threshold"]
        yield point, called[labels == column].mean(), (~called)[labels != column].mean()


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sharpness=st.sampled_from([0.3, 3.0, 30.0]),
    patches=st.integers(8, 300),
    prior=st.sampled_from([None, Prior((0.7, 0.3), 1), Prior((0.5, 0.5), 6)]),
)
def test_stored_figures_are_those_of_the_scores_that_predict_writes(
    seed, sharpness, patches, prior
):
    """Validation's scores are float64; predict's are float32 and computed in another order."""
    rng = np.random.default_rng(seed)
    labels = np.arange(patches) % 2
    logits = sharpness * (rng.normal(size=patches) + labels)
    scores = softmax(np.stack([0 * logits, logits], axis=1), axis=1)
    points = operating_points(scores, labels, ["normal", "tumour"], prior)
    # Scores that float32 cannot tell apart from their neighbours would be luck, not a threshold.
    assert len(points) == 2
    for column, name in enumerate(points):
        for point, sensitivity, specificity in counted_at(
            points, scores.astype(np.float32), labels, name, column
        ):
            assert sensitivity == pytest.approx(point["sensitivity"])
            assert specificity == pytest.approx(point["specificity"])


def test_a_last_bit_does_not_cost_the_patch_that_decided_the_threshold():
    score = np.array([0.9, 0.8, 0.7, 0.3, 0.2])
    scores, labels = np.stack([1 - score, score], axis=1), np.array([1, 1, 1, 0, 0])
    points = operating_points(scores, labels, ["normal", "tumour"])
    for off in (-1e-6, 1e-6):
        for point, sensitivity, specificity in counted_at(
            points, scores + off, labels, "tumour", 1
        ):
            assert (sensitivity, specificity) == (point["sensitivity"], point["specificity"])


def test_a_specificity_that_no_score_gives_ends_above_every_score():
    scores = np.array([[0.1, 0.9], [0.5, 0.5]])  # the negative outranks the positive
    point = operating_points(scores, [0, 1], ["a", "b"])["b"]["specificity_95"]
    assert point["threshold"] > 0.9
    assert np.isfinite(point["threshold"])
    assert (point["sensitivity"], point["specificity"]) == (0.0, 1.0)


def test_classes_without_both_sides_have_no_operating_point():
    scores = np.array([[0.2, 0.8, 0.0], [0.6, 0.4, 0.0]])
    assert set(operating_points(scores, [1, 0], ["a", "b", "c"])) == {"a", "b"}
    assert operating_points(scores, [1, 1], ["a", "b", "c"]) == {}
