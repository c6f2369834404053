from __future__ import annotations

import numpy as np
import pytest

from histocnn.errors import MetricError, UsageError
from histocnn.evaluation.judged import judge
from histocnn.evaluation.mining import HEADER, Mining, hardest, listed, to_csv, trained_on
from histocnn.scores.scorefile import open_scores
from histocnn.storage import store


@pytest.fixture
def judged(tmp_path):
    """Six images, the last without truth; 0, 1, 3 and 4 are taken for the other class."""
    tumour = np.array([0.9, 0.2, 0.1, 0.7, 0.35, 0.9], np.float32)
    store.write(
        tmp_path / "images.h5",
        {
            "paths": [f"{i}.png" for i in range(6)],
            "slide_ids": ["s1", "s1", "s1", "s2", "", ""],
            "patient_ids": ["p1", "p1", "p1", "p2", "p3", "p4"],
            "labels": np.array([0, 1, 0, 0, 1, -1]),
            "scores": np.stack([1 - tumour, tumour], axis=1),
            "seen": ["train", "train", "train", "train", "val", "train"],
        },
        {"labels.class_names": ["n", "t"], "scores.class_names": ["n", "t"], "slide_id": "images"},
    )
    return judge(open_scores(tmp_path), {}, {})


def test_the_most_confident_errors_of_training_come_first(judged) -> None:
    training = trained_on(judged, {})
    assert training.tolist() == [True, True, True, True, False, True]
    assert hardest(judged, training).tolist() == [0, 1, 3]
    assert hardest(judged, np.ones(6, bool)).tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize(
    ("mining", "rows"),
    [
        (Mining(truth="n"), [0, 3]),
        (Mining(per_slide=1), [0, 3]),
        (Mining(most=2), [0, 1]),
        (Mining(min_confidence=0.75), [0, 1]),
    ],
)
def test_which_errors_are_listed(judged, mining: Mining, rows: list[int]) -> None:
    assert hardest(judged, trained_on(judged, {}), mining).tolist() == rows


def test_the_list_says_where_and_what(judged) -> None:
    lines = listed(judged, np.array([0, 4]))
    assert lines[0] == {
        "name": "images", "row": 0, "x": None, "y": None, "path": "0.png", "slide_id": "s1",
        "label": "n", "called": "t", "confidence": pytest.approx(0.9),
    }  # fmt: skip
    assert to_csv(lines).splitlines() == [
        ",".join(HEADER),
        "images,0,,,0.png,s1,n,t,0.9000",
        "images,4,,,4.png,,t,n,0.6500",
    ]


def test_what_cannot_be_mined(judged) -> None:
    judged.seen[:] = 0
    with pytest.raises(MetricError, match="none of these patches is of a training slide"):
        trained_on(judged, {})
    with pytest.raises(UsageError, match="There are n, t"):
        hardest(judged, np.ones(6, bool), Mining(truth="x"))
    with pytest.raises(UsageError, match="--min_confidence 2 is not a probability"):
        Mining(min_confidence=2)
