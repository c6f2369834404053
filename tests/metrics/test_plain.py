from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from histocnn.errors import MetricError
from histocnn.metrics import plain


@dataclass(frozen=True)
class Leaf:
    value: float | None
    note: str | None = None


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    either: Leaf | str | None = None
    count: int = 0


def test_only_what_may_be_absent_is_left_out():
    assert plain.plain(Tree((Leaf(None),))) == {"leaves": [{"value": None}], "count": 0}


def test_numpy_becomes_python_and_nan_null():
    assert plain.plain({"a": np.float32(0.5), "b": np.arange(2), "c": float("nan")}) == {
        "a": 0.5, "b": [0, 1], "c": None,
    }  # fmt: skip


@pytest.mark.parametrize("either", [None, "why not", Leaf(2.0, "x")])
def test_there_and_back(either):
    tree = Tree((Leaf(1.0), Leaf(None)), either, 3)
    assert plain.read_as(Tree, json.loads(plain.to_text(tree))) == tree


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"leaves": 3}, r"metrics\.json\.leaves is 3"),
        ({"leaves": [{"value": "x"}]}, r"leaves\[0\]\.value is 'x'"),
        ({"leaves": [], "count": True}, "count is True"),
        ({"leaves": [], "count": 0.5}, r"count is 0\.5"),
        ({"leaves": [{}]}, r"leaves\[0\]: value missing"),
        ({"leaves": [], "either": 3}, "either is 3"),
        ([], r"metrics\.json is \[\]"),
    ],
)
def test_what_does_not_fit_is_named_by_its_place(value, where):
    with pytest.raises(MetricError, match=where):
        plain.read_as(Tree, value)
