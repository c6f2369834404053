"""Figures of a confusion matrix, worked out by hand; truth in rows, prediction in columns."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.metrics.confusion import figures, quadratic_kappa

NAMES = ("normal", "tumour")


def test_two_classes_by_hand() -> None:
    found = figures(np.array([[8.0, 2.0], [1.0, 9.0]]), NAMES)
    expected = {
        "accuracy": 17 / 20,
        "balanced_accuracy": (8 / 10 + 9 / 10) / 2,
        "precision:normal": 8 / 9,
        "precision:tumour": 9 / 11,
        "recall:normal": 8 / 10,
        "recall:tumour": 9 / 10,
        "f1:normal": 16 / 19,
        "f1:tumour": 18 / 21,
        "macro_precision": (8 / 9 + 9 / 11) / 2,
        "macro_recall": 0.85,
        "macro_f1": (16 / 19 + 18 / 21) / 2,
        "kappa": (0.85 - 0.5) / (1 - 0.5),  # by chance (10 × 9 + 10 × 11) / 20²
        "quadratic_kappa": 0.7,  # of two classes the same
        "mcc": (8 * 9 - 2 * 1) / np.sqrt(10 * 10 * 9 * 11),
    }
    assert {name: float(value) for name, value in found.items()} == pytest.approx(expected)


def test_quadratic_kappa_of_ordered_classes_by_hand() -> None:
    # Off by one once and by two once: 1 + 4. By chance, from sums 3 2 3 and 3 3 2 of 8 cases:
    # (9 + 4 × 6 + 6 + 4 + 4 × 9 + 9) / 8 = 11.
    truth, predicted = [0, 0, 0, 1, 1, 2, 2, 2], [0, 0, 1, 1, 1, 0, 2, 2]
    assert quadratic_kappa(truth, predicted, 3) == pytest.approx(1 - 5 / 11)
    assert quadratic_kappa(truth, truth, 3) == 1
    assert np.isnan(quadratic_kappa([1, 1], [1, 1], 3))


def test_a_class_that_never_occurs_takes_no_part_in_the_means() -> None:
    found = figures(np.array([[3.0, 0, 1], [0, 4, 0], [0, 0, 0]]), ("a", "b", "absent"))
    assert found["macro_recall"] == pytest.approx((3 / 4 + 1) / 2)
    assert found["macro_precision"] == 1
    assert found["precision:absent"] == 0  # one was called so
    assert np.isnan(found["recall:absent"])
    assert np.isnan(found["f1:absent"])


def test_a_class_that_is_never_predicted_has_no_precision_to_speak_of() -> None:
    found = figures(np.array([[5.0, 0], [5.0, 0]]), NAMES)
    assert found["precision:tumour"] == 0
    assert (found["mcc"], found["kappa"]) == (0, 0)
    assert np.isnan(figures(np.array([[5.0, 5.0], [0, 0]]), NAMES)["mcc"])


def test_a_stack_of_matrices_is_judged_one_by_one() -> None:
    stack = np.random.default_rng(0).integers(1, 9, (2, 4, 3, 3)).astype(float)
    together = figures(stack, ("a", "b", "c"))
    for place in np.ndindex(2, 4):
        for name, value in figures(stack[place], ("a", "b", "c")).items():
            assert together[name].shape == (2, 4)
            assert together[name][place] == pytest.approx(float(value))
