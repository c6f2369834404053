"""A logistic regression on features that never learnt from those it judges. Arrays only."""

from __future__ import annotations

from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.splits import divide
from histocnn.errors import FeaturesError
from histocnn.reference.neighbours import UNKNOWN, Float, Int

FOLDS = 10  # fits at most, where every patient could have one of its own
ITERATIONS = 1_000
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # of which C is chosen
USUAL = 0.01  # where nobody can choose: of one patient
INNER = 3  # folds of a choice
COPIES = 6  # of the features in float32 that are held at the most, while C is chosen
_WORSE = 2  # rises of the loss after which nothing better is expected
_LEAST = 1e-12  # probability of a class that a fold never saw


class Probe:
    """Logistic regression with an L2 penalty on standardised features.

    Units that must not be judged by what learnt from them are spread over at most ten folds; a
    fold's queries are judged by the regression on all other folds.

    Args:
        features: float32 [N, D], finite.
        labels: int64 [N], 0 to C - 1.
        units: int64 [N], 0 to U - 1.
        c: Inverse strength of the penalty, as in scikit-learn; None: each fit chooses its own
            among what it may learn from, see `choose_c`.
    """

    def __init__(self, features: Float, labels: Int, units: Int, c: float | None) -> None:
        self.features = features
        self.labels = labels
        self.units = units
        self.c = c
        self.chosen: list[float] = []  # C of each regression that gave the last scores
        self.num_classes = int(labels.max()) + 1
        self._fold_of_unit = np.random.default_rng(0).permutation(int(units.max()) + 1) % FOLDS
        self._folds = self._fold_of_unit[units]
        self._fits: dict[int, tuple[Any, float]] = {}

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
        self.chosen = []
        for fold in np.unique(folds):
            rows = folds == fold
            model, c = self._fit(int(fold))
            scores[rows] = model.predict_proba(queries[rows])
            self.chosen.append(c)
        return scores

    def _fit(self, fold: int) -> tuple[Any, float]:
        """The regression without a fold, and its C; fitted once."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if fold not in self._fits:
            kept = self._folds != fold
            labels = self.labels[kept]
            present = np.unique(labels)
            if len(present) < self.num_classes:
                raise FeaturesError(
                    "a class has no reference patches left when a patient is left out",
                    "Add patients of each class, or use --exclude slide or none.",
                )
            features = self.features if kept.all() else self.features[kept]
            c = self.c
            if c is None:
                c = choose_c(features, labels, self.units[kept])
            regression = LogisticRegression(C=c, max_iter=ITERATIONS)
            model = make_pipeline(StandardScaler(), regression)
            self._fits[fold] = model.fit(features, labels), c
        return self._fits[fold]


def choose_c(features: Float, labels: Int, units: Int) -> float:
    """The C of `STRENGTHS` whose regressions are least surprised by patients they never saw.

    Three folds by unit; of each C the mean log loss over the rows of all folds, from the strongest
    penalty on, until it has risen twice. Rows that nobody else may see are not looked at: what is
    chosen inside is judged outside.

    Args:
        features: float32 [N, D].
        labels: int64 [N], 0 to C - 1.
        units: int64 [N], what must not be on both sides: patients.

    Returns:
        0.01 where there are fewer than two units.
    """
    folds = min(INNER, len(np.unique(units)))
    if folds < 2:
        return USUAL
    part = divide(labels, [str(unit) for unit in units.tolist()], [1 / folds] * folds, 0)
    paths = [_Path(features, labels, part == fold) for fold in range(folds)]
    best, least, risen = USUAL, np.inf, 0
    for c in STRENGTHS:
        loss = sum(path.loss(c) for path in paths) / len(labels)
        risen = risen + 1 if loss >= least else 0
        if loss < least:
            best, least = c, loss
        if risen == _WORSE:
            break
    return best


class _Path:
    """Regressions of one fold, each begun where the one before ended."""

    def __init__(self, features: Float, labels: Int, held_out: NDArray[np.bool_]) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        learnt, judged = features[~held_out], features[held_out]  # copies of our own
        scaler = StandardScaler(copy=False).fit(learnt)
        self._learnt = scaler.transform(learnt), labels[~held_out]
        self._judged = scaler.transform(judged), labels[held_out]
        self._model = LogisticRegression(max_iter=ITERATIONS, warm_start=True)

    def loss(self, c: float) -> float:
        """Summed log loss of the rows that were held out."""
        features, labels = self._judged
        if len(np.unique(self._learnt[1])) < 2:  # nothing to learn
            return float(-np.log(_LEAST) * np.count_nonzero(labels != self._learnt[1][0]))
        with catch_warnings():  # a path that ends early is judged by where it ended
            simplefilter("ignore")
            model = self._model.set_params(C=c).fit(*self._learnt)
        known = np.zeros((len(labels), int(max(labels.max(), model.classes_.max())) + 1))
        known[:, model.classes_] = model.predict_proba(features)
        own = known[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(own, _LEAST)).sum())
