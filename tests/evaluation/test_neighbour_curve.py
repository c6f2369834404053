from __future__ import annotations

import numpy as np

from histocnn.evaluation.judged import judge
from histocnn.evaluation.neighbour_curve import k_curve
from histocnn.scores.scorefile import open_scores
from histocnn.storage import store
from tests.stages.judged_cohort import write_cohort


def test_fewer_neighbours_are_voted_again(tmp_path, judged) -> None:
    assert k_curve(judged) == ()
    near = write_cohort(tmp_path, patients=2)
    for path in near.scores.glob("*.h5"):
        arrays = store.read(path)
        labels = arrays["labels"][:, None].astype("i4")
        # the nearest neighbour is wrong, and the four behind it are right
        arrays["neighbour_labels"] = np.hstack([1 - labels, *[labels] * 4])
        arrays["distances"] = np.tile(np.float32([1, 1.1, 1.2, 1.3, 1.4]), (len(labels), 1))
        store.write(path, arrays, store.attributes(path) | {"recipe": {"weights": "uniform"}})
    curve = k_curve(judge(open_scores(near.scores)))
    assert [(point.k, point.accuracy) for point in curve if point.k in (1, 5)] == [(1, 0), (5, 1)]
