"""A logistic regression on features that never learnt from those it judges. Arrays only."""

from __future__ import annotations

from typing import Any

import numpy as np

from histocnn.errors import FeaturesError
from histocnn.reference.neighbours import UNKNOWN, Float, Int

FOLDS = 10  # fits at most, where every patient could have one of its own
ITERATIONS = 1_000


class Probe:
    """Logistic regression with an L2 penalty on standardised features.

    Units that must not be judged by what learnt from them are spread over at most ten folds; a
    fold's queries are judged by the regression on all other folds.

    Args:
        features: float32 [N, D], finite.
        labels: int64 [N], 0 to C - 1.
        units: int64 [N], 0 to U - 1.
        c: Inverse strength of the penalty, as in scikit-learn.
    """

    def __init__(self, features: Float, labels: Int, units: Int, c: float) -> None:
        self.features = features
        self.labels = labels
        self.c = c
        self.num_classes = int(labels.max()) + 1
        self._fold_of_unit = np.random.default_rng(0).permutation(int(units.max()) + 1) % FOLDS
        self._folds = self._fold_of_unit[units]
        self._fits: dict[int, Any] = {}

    def scores(self, queries: Float, units: Int) -> Float:
        """Probabilities float32 [M, C].

        Args:
            queries: float32 [M, D].
            units: int64 [M]: kept from learning from this unit; -1 from none.

        Raises:
            FeaturesError: A class has no example in the other folds.
        """
        folds = np.where(units == UNKNOWN, UNKNOWN, self._fold_of_unit[units])
        scores = np.empty((len(queries), self.num_classes), np.float32)
        for fold in np.unique(folds):
            rows = folds == fold
            scores[rows] = self._fit(int(fold)).predict_proba(queries[rows])
        return scores

    def _fit(self, fold: int) -> Any:
        """The regression without a fold; fitted once."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if fold not in self._fits:
            kept = self._folds != fold
            present = np.unique(self.labels[kept])
            if len(present) < self.num_classes:
                raise FeaturesError(
                    "a class has no reference patches left when a patient is left out",
                    "Add patients of each class, or use --exclude slide or none.",
                )
            regression = LogisticRegression(C=self.c, max_iter=ITERATIONS)
            model = make_pipeline(StandardScaler(), regression)
            self._fits[fold] = model.fit(self.features[kept], self.labels[kept])
        return self._fits[fold]
