"""Every figure that follows from a confusion matrix, for one matrix or a stack of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def figures(confusion: Floats, class_names: Sequence[str]) -> dict[str, Floats]:
    """Compute accuracy, precision, recall, F1, the kappas and MCC.

    Macro figures and balanced accuracy are means over the classes that occur in the truth. The
    quadratic kappa takes the classes in the order given, and means something only if they have one.
    Sources: Cohen, Educ. Psychol. Meas. 1960 and Psychol. Bull. 1968 (kappas); Gorodkin, Comput.
    Biol. Chem. 2004 (MCC of several classes).

    Args:
        confusion: float64 [..., C, C]: rows are truth, columns prediction.
        class_names: C names.

    Returns:
        {figure: float64 [...]}, one class's as `figure:class`; NaN where undefined.
    """
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    truth, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = right / truth
        precision = np.where((predicted == 0) & (truth > 0), 0.0, right / predicted)
        f1 = np.where(truth > 0, 2 * right / (truth + predicted), np.nan)
        result = {
            "accuracy": right.sum(axis=-1) / truth.sum(axis=-1),
            "balanced_accuracy": _mean_present(recall, truth),
            "macro_precision": _mean_present(precision, truth),
            "macro_recall": _mean_present(recall, truth),
            "macro_f1": _mean_present(f1, truth),
            "kappa": _kappa(confusion, power=0),
            "quadratic_kappa": _kappa(confusion, power=2),
            "mcc": _mcc(right, truth, predicted),
        }
    for index, name in enumerate(class_names):
        result[f"precision:{name}"] = precision[..., index]
        result[f"recall:{name}"] = recall[..., index]
        result[f"f1:{name}"] = f1[..., index]
    return result


def quadratic_kappa(truth: Sequence[int], predicted: Sequence[int], classes: int) -> float:
    """Agreement of two lists of ordered classes, 0 .. classes - 1; NaN where undefined."""
    confusion = np.zeros((classes, classes))
    np.add.at(confusion, (np.asarray(truth), np.asarray(predicted)), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(_kappa(confusion, power=2))


def _mean_present(per_class: Floats, truth: Floats) -> Floats:
    present = truth > 0
    mean: Floats = np.where(present, per_class, 0).sum(axis=-1) / present.sum(axis=-1)
    return mean


def _kappa(confusion: Floats, *, power: int) -> Floats:
    steps = np.arange(confusion.shape[-1])
    distance = np.abs(steps[:, None] - steps)
    weight = distance.astype(float) ** power if power else (distance > 0).astype(float)
    expected = confusion.sum(-1)[..., :, None] * confusion.sum(-2)[..., None, :]
    observed = (weight * confusion).sum((-2, -1)) * confusion.sum((-2, -1))
    kappa: Floats = 1 - observed / (weight * expected).sum((-2, -1))
    return kappa


def _mcc(right: Floats, truth: Floats, predicted: Floats) -> Floats:
    n = truth.sum(axis=-1)
    spread_truth = n**2 - (truth**2).sum(axis=-1)
    spread_predicted = n**2 - (predicted**2).sum(axis=-1)
    covariance = right.sum(axis=-1) * n - (truth * predicted).sum(axis=-1)
    mcc = covariance / np.sqrt(spread_truth * spread_predicted)
    # A constant prediction correlates with nothing: 0 by convention; a constant truth is undefined.
    return np.where((spread_predicted == 0) & (spread_truth > 0), 0.0, mcc)
