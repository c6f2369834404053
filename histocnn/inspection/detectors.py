"""Scores that shall notice what a network was not made for: the higher, the stranger.

Softmax and energy ask the network's last layer, Mahalanobis and the neighbours its features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from histocnn.errors import PatchesError
from histocnn.inspection.on_pixels import Response
from histocnn.reference.neighbours import UNKNOWN, Knn, Reference

Floats = NDArray[np.float64]

DETECTORS = {
    "novelty": "novelty (k-NN, cosine)",
    "distance": "k-NN, Euclidean",
    "max_softmax": "max-softmax",
    "energy": "energy",
    "mahalanobis": "Mahalanobis",
}
NEIGHBOURS = 20
FEWEST = 3  # patches that features can be compared with


def confidence(logits: NDArray[np.floating], temperature: float = 1.0) -> Floats:
    """The highest probability of each row of logits [N, C]: float64 [N]."""
    return np.exp(-max_softmax(logits, temperature))


def max_softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> Floats:
    """-ln of the highest probability, float64 [N].

    The order is that of 1 - p, without its end: near certainty p is 1 to the last digit.
    Source: Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution
    examples in neural networks", ICLR 2017.

    >>> max_softmax(np.log([[0.5, 0.5], [0.75, 0.25]])).round(3).tolist()
    [0.693, 0.288]
    """
    scaled = np.sort(np.asarray(logits, np.float64) / temperature, axis=1)
    return np.asarray(np.log1p(np.exp(scaled[:, :-1] - scaled[:, -1:]).sum(axis=1)))


def energy(logits: NDArray[np.floating]) -> Floats:
    """-ln of the sum of exp(logit), float64 [N].

    Source: Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020, temperature 1.

    >>> energy(np.log([[1.0, 3.0]])).round(3).tolist()
    [-1.386]
    """
    return np.asarray(-logsumexp(np.asarray(logits, np.float64), axis=1))


@dataclass(frozen=True, eq=False)
class Mahalanobis:
    """Classes as Gaussians of one covariance.

    Attributes:
        means: float64 [C, D].
        precision: float64 [D, D], the inverse of the covariance.
    """

    means: Floats
    precision: Floats

    @classmethod
    def fit(
        cls,
        features: NDArray[np.floating],
        classes: NDArray[np.integer],
        shrinkage: float | None = None,
    ) -> Mahalanobis:
        """Fit a mean per class and the covariance around them.

        Source: Lee et al., "A simple unified framework for detecting out-of-distribution samples
        and adversarial attacks", NeurIPS 2018, on one layer and without their change of the input.
        Features are many and patches few, so that the plain covariance often has no inverse: it is
        drawn towards a multiple of the identity, by as much as Ledoit and Wolf say (J Multivar Anal
        2004).

        Args:
            features: float [N, D].
            classes: int [N]; those that occur have a mean.
            shrinkage: 0 to 1 in place of Ledoit and Wolf's; 0 is Lee's own, if N is above D.
        """
        from sklearn.covariance import LedoitWolf, ShrunkCovariance

        known, which = np.unique(classes, return_inverse=True)
        values = np.asarray(features, np.float64)
        means = np.stack([values[which == c].mean(axis=0) for c in range(len(known))])
        fitted = (
            LedoitWolf(assume_centered=True)
            if shrinkage is None
            else ShrunkCovariance(assume_centered=True, shrinkage=shrinkage)
        ).fit(values - means[which])
        return cls(means, np.asarray(fitted.precision_, np.float64))

    def distances(self, features: NDArray[np.floating]) -> Floats:
        """Squared distance of each row [N, D] to the nearest mean, float64 [N]."""
        apart = np.asarray(features, np.float64)[None] - self.means[:, None]  # [C, N, D]
        squared = np.einsum("cnd,cnd->cn", apart @ self.precision, apart)
        return np.asarray(squared.min(axis=0))


class Detectors:
    """All of them, fitted on patches of the kind that the network was made for.

    Args:
        reference: What the network makes of these patches.
        classes: int [N], of each patch.
        groups: int64 [N, 2], numbers of patient and slide; -1 unknown.
        temperature: Of the softmax.

    Raises:
        PatchesError: Fewer than three patches.
    """

    def __init__(
        self,
        reference: Response,
        classes: NDArray[np.integer],
        groups: NDArray[np.int64],
        temperature: float = 1.0,
    ) -> None:
        if len(reference) < FEWEST:
            raise PatchesError(
                f"{len(reference)} patches to compare with",
                f"Give --reference with at least {FEWEST}, or more patches.",
            )
        self.temperature, self.learnt_from = temperature, len(reference)
        self.neighbours = min(NEIGHBOURS, len(reference) - 1)
        self._index = Reference(reference.features, groups, Knn(k=self.neighbours))
        straight = Knn(k=self.neighbours, metric="euclidean")
        self._straight = Reference(reference.features, groups, straight)
        self._gaussians = Mahalanobis.fit(reference.features, classes)

    def scores(self, response: Response) -> Mapping[str, Floats]:
        """Of each picture a score by each of `DETECTORS`, float64 [N].

        That of the neighbours is the distance to the k-th: `novelty` by the cosine, as knn has it
        by default, and `distance` in a straight line, which length counts in, too.
        """
        nobody = np.full((len(response), 2), UNKNOWN)
        near, straight = (
            index.search(response.features, nobody).distances[:, -1].astype(np.float64)
            for index in (self._index, self._straight)
        )
        return {
            "novelty": near,
            "distance": straight,
            "max_softmax": max_softmax(response.logits, self.temperature),
            "energy": energy(response.logits),
            "mahalanobis": self._gaussians.distances(response.features),
        }

    def percentile(self, response: Response) -> NDArray[np.float32]:
        """Novelty as knn stores it, % [N]: among the reference's own distances."""
        nobody = np.full((len(response), 2), UNKNOWN)
        return self._index.novelty(self._index.search(response.features, nobody))
