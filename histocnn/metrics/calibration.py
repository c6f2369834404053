"""What is fitted on validation and then only applied: the temperature and the operating points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.errors import MetricError

TARGET = 0.95  # the sensitivity, or specificity, that an operating point promises
# Patients that the value without any weighs as much as: a cautious guess (ln T of three networks
# differs 3.4 times as much between patients as between networks: docs/benchmarks.md).
PRIOR_PATIENTS = 4


@dataclass(frozen=True)
class Prior:
    """What the Youden points of few patients are drawn towards.

    Attributes:
        shares: Of each class, as training weighs it.
        patients: Of validation, at least 1.
    """

    shares: Sequence[float]
    patients: int

    def drawn(self, threshold: float, column: int) -> float:
        """Draw a class's threshold to its share, the more the fewer patients chose it.

        Of calibrated scores sensitivity + specificity is greatest at the share that the class has
        in training. So the logit of the threshold is weighed against that of the share as ln T
        against 0, see `shrunk`. A class that training had alone, or lacked, says nothing.

        Args:
            threshold: 0 to 1.
            column: Of the class.

        >>> [round(Prior((0.8, 0.2), n).drawn(0.9, 1), 2) for n in (1, 4, 100)]
        [0.34, 0.6, 0.89]
        """
        from scipy.special import expit, logit

        share = float(self.shares[column])
        if not (0 < share < 1 and 0 < threshold < 1):
            return threshold
        weight = self.patients / (self.patients + PRIOR_PATIENTS)
        return float(expit(weight * logit(threshold) + (1 - weight) * logit(share)))


def usable(scores: ArrayLike, labels: ArrayLike) -> NDArray[np.bool_]:
    """Say which rows can be judged: labelled (not -1), and scored (no NaN).

    Args:
        scores: float [N, C].
        labels: int [N], -1 = unknown.

    Returns:
        bool [N].
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise MetricError(
            f"scores of shape {scores.shape} and labels of shape {labels.shape}",
            "Give scores [N, C] and labels [N].",
        )
    if labels.size and labels.max() >= scores.shape[1]:
        raise MetricError(
            f"label {labels.max()} has no column in {scores.shape[1]} scores",
            "Number the labels as the columns, -1 where unknown.",
        )
    mask: NDArray[np.bool_] = (labels >= 0) & ~np.isnan(scores).any(axis=1)
    return mask


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """Fit the temperature by which logits are divided, on held-out patches.

    The negative log-likelihood is convex in 1 / temperature, so a bounded search finds its one
    minimum. Source: Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2.

    Args:
        logits: float [N, C], or log-probabilities (the softmax does not see the difference).
        labels: int [N], -1 = unknown; these and NaN rows take no part.

    Returns:
        A temperature in 0.05 to 20.

    Raises:
        MetricError: No row is both labelled and scored.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    keep = usable(logits, labels)
    if not keep.any():
        raise MetricError(
            "no labelled, scored patch to fit the temperature on", "Give validation data labels."
        )
    z = np.asarray(logits, np.float64)[keep]
    z = np.clip(z - z.max(axis=1, keepdims=True), -1e4, 0)  # log(0) of a saturated network
    true = z[np.arange(len(z)), np.asarray(labels)[keep]]

    def loss(log_beta: float) -> float:
        beta = np.exp(log_beta)
        return float(np.mean(logsumexp(beta * z, axis=1) - beta * true))

    bound = np.log(20.0)
    optimum = minimize_scalar(
        loss, bounds=(-bound, bound), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(-optimum.x))


def shrunk(temperature: float, patients: int) -> float:
    """Draw a temperature towards 1, the more the fewer patients it was fitted on.

    One patient's temperature is mostly that patient's: a blurred slide, or an easy one. The mean of
    ln T under a normal prior around 0 is ln T × n / (n + `PRIOR_PATIENTS`). Source: Efron and
    Morris, "Stein's estimation rule and its competitors", JASA 1973.

    Args:
        temperature: Above 0, of all patches of these patients together.
        patients: At least 1.

    >>> [round(shrunk(2.0, patients), 2) for patients in (1, 4, 100)]
    [1.15, 1.41, 1.95]
    """
    return float(temperature ** (patients / (patients + PRIOR_PATIENTS)))


def apply_temperature(scores: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Soften probabilities as if their logits had been divided by the temperature.

    Args:
        scores: float [N, C], rows sum to 1 or are NaN.
        temperature: Above 0.

    Returns:
        float64 [N, C].
    """
    from scipy.special import softmax

    tiny = np.finfo(np.float32).tiny  # a score of exactly 0 stays the smallest, not -inf
    softened: NDArray[np.float64] = softmax(
        np.log(np.maximum(np.asarray(scores, np.float64), tiny)) / temperature, axis=1
    )
    return softened


def operating_points(
    scores: ArrayLike, labels: ArrayLike, class_names: Sequence[str], prior: Prior | None = None
) -> dict[str, dict[str, dict[str, float]]]:
    """Choose thresholds, every class against the rest; positive is score >= threshold.

    `sensitivity_95` is the highest threshold that keeps 95 % sensitivity, `specificity_95` the
    lowest that keeps 95 % specificity, `youden` maximises sensitivity + specificity - 1 (Youden,
    "Index for rating diagnostic tests", Cancer 1950), the highest of equals; of few patients it is
    drawn towards the class's share in training, because one patient throws it anywhere.

    A threshold lies in the middle between two neighbouring scores, never on one: `predict` computes
    the same patch's score again, in float32 and in other batches, and a last bit must not decide
    whether a patch is called; one that is drawn stays in the middle half between them. Scores that
    float32 cannot tell apart are one.

    Args:
        scores: float [N, C].
        labels: int [N], -1 = unknown; these and NaN rows take no part.
        class_names: C names.
        prior: Where known patients chose the thresholds; None leaves the greatest sum as it is.

    Returns:
        {class: {point: {"threshold", "sensitivity", "specificity"}}}; a class that is absent from
        the labels, or alone in them, is left out.
    """
    keep = usable(scores, labels)
    kept, truth = np.asarray(scores)[keep], np.asarray(labels)[keep]
    points = {}
    for index, name in enumerate(class_names):
        positive = truth == index
        if positive.any() and not positive.all():
            points[name] = _points(kept[:, index], positive, prior, index)
    return points


def _points(
    score: NDArray[np.floating], positive: NDArray[np.bool_], prior: Prior | None, column: int
) -> dict[str, dict[str, float]]:
    from histocnn.metrics.counts import cumulative

    at_least, tp, fp = cumulative(score.astype(np.float32), positive)
    thresholds = between(at_least)
    sensitivity = tp / tp[-1]
    specificity = (fp[-1] - fp) / fp[-1]
    places = chosen(sensitivity, specificity)
    limits = {point: float(thresholds[i]) for point, i in places.items()}
    if prior is not None:
        drawn = prior.drawn(limits["youden"], column)
        places["youden"] = i = int((at_least[1:] >= drawn).sum())
        limits["youden"] = _apart(drawn, *(float(side[i]) for side in _sides(at_least)))
    return {
        point: {
            "threshold": limits[point],
            "sensitivity": float(sensitivity[i]),
            "specificity": float(specificity[i]),
        }
        for point, i in places.items()
    }


def _apart(threshold: float, upper: float, lower: float) -> float:
    """Keep it in the middle half between the scores around it, float32 as `between` has it."""
    quarter = (upper - lower) / 4
    kept = float(np.float32(min(max(threshold, lower + quarter), upper - quarter)))
    return kept if kept > lower else upper


def chosen(sensitivity: NDArray[np.float64], specificity: NDArray[np.float64]) -> dict[str, Any]:
    """Where each operating point lies along a falling threshold.

    Args:
        sensitivity: float64 [..., T + 1], rising from 0.
        specificity: float64 [..., T + 1], falling from 1.

    Returns:
        {point: int [...]}.
    """
    last = specificity.shape[-1] - 1
    return {
        "sensitivity_95": np.argmax(sensitivity >= TARGET, axis=-1),
        "specificity_95": last - np.argmax(specificity[..., ::-1] >= TARGET, axis=-1),
        "youden": np.argmax(sensitivity + specificity, axis=-1),
    }


def between(at_least: NDArray[np.float64]) -> NDArray[np.float32]:
    """The middle between each distinct score and the next below it, float32 as scores are stored.

    The first, which no score reaches, lies between the highest score and 1, and the last between
    the lowest and 0: scores are probabilities.

    Args:
        at_least: float64 [T + 1], the number above every score, then the T scores, falling.
    """
    upper, lower = _sides(at_least)
    middle = lower + (upper - lower) / 2
    # Between two neighbouring numbers of float32 there is none: then the upper one, which it takes.
    return np.where(middle > lower, middle, upper)


def _sides(at_least: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The scores above and below each threshold, or 1 and 0 where there are none."""
    upper = np.append(max(1.0, at_least[0]), at_least[1:]).astype(np.float32)
    return upper, np.append(at_least[1:], 0.0).astype(np.float32)
