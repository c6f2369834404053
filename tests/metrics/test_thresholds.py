from __future__ import annotations

import numpy as np
import pytest

from histocnn.metrics.intervals import draw
from histocnn.metrics.patch import Groups
from histocnn.metrics.thresholds import bounds

PATIENTS, EACH, REPLICATES = 8, 30, 60


def cohort(digits: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(PATIENTS), EACH)
    positive = rng.random(PATIENTS * EACH) < 0.4
    logit = rng.normal(size=len(group)) + 2 * positive + rng.normal(size=PATIENTS)[group]
    return np.round(1 / (1 + np.exp(-logit)), digits).astype(np.float32), positive, group


@pytest.mark.parametrize("digits", [7, 2])  # 2: many equal scores
def test_bounds_are_those_of_choosing_again_on_every_draw(digits: int) -> None:
    score, positive, group = cohort(digits)
    found = bounds(score, positive, Groups(group, replicates=REPLICATES, seed=3))
    presence = np.array(
        [[(positive & (group == g)).sum(), (~positive & (group == g)).sum()] for g in range(8)]
    )
    chosen: dict[str, list[float]] = {}
    for weights in draw(presence, replicates=REPLICATES, seed=3)[0]:
        for name, limit in by_hand(score, positive, weights[group]).items():
            chosen.setdefault(name, []).append(limit)
    assert set(found) == set(chosen) == {"sensitivity_95", "specificity_95", "youden"}
    for name, values in chosen.items():
        assert found[name] == pytest.approx(np.percentile(values, (2.5, 97.5)).tolist(), abs=1e-6)


def by_hand(score: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Thresholds by trying every distinct score, from the highest down, on weighted patches."""
    tried = []
    distinct = np.unique(score)[::-1].astype(float)
    for limit in [2.0, *distinct]:
        called = score >= limit
        tried.append((
            weight[called & positive].sum() / weight[positive].sum(),
            weight[~called & ~positive].sum() / weight[~positive].sum(),
        ))  # fmt: skip
    at = {
        "sensitivity_95": next(i for i, (found, _) in enumerate(tried) if found >= 0.95),
        "specificity_95": max(i for i, (_, left) in enumerate(tried) if left >= 0.95),
        "youden": max(range(len(tried)), key=lambda i: (round(sum(tried[i]), 12), -i)),
    }
    edges = [1.0, *distinct, 0.0]
    return {name: (edges[i] + edges[i + 1]) / 2 for name, i in at.items()}


def test_none_below_five_patients_or_of_one_side() -> None:
    score, positive, group = cohort()
    assert bounds(score, positive, Groups(group % 4)) == {}
    assert bounds(score, np.ones_like(positive), Groups(group)) == {}
    assert bounds(score, positive, Groups(group, replicates=0)) == {}


def test_more_scores_than_steps_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    score, positive, group = cohort()
    groups = Groups(group, replicates=REPLICATES)
    exact = bounds(score, positive, groups)
    monkeypatch.setattr("histocnn.metrics.thresholds.STEPS", 120)
    coarse = bounds(score, positive, groups)
    assert set(coarse) == set(exact)
    for name, pair in exact.items():
        assert coarse[name] == pytest.approx(pair, abs=0.05)
