"""What a function of one's own says of its network, checked before anything is made of it."""

from __future__ import annotations

from typing import Any

import pytest

import histocnn
from histocnn.errors import UsageError
from histocnn.metrics.terms import Terms
from histocnn.models.preparation import Preparation
from histocnn.models.recipes import Recipe, recipe_from


def test_a_recipe_or_its_fields_by_name() -> None:
    given = {"mean": [0.1, 0.2, 0.3], "input_px": 224, "mpp": 0.5, "forbids": ["commercial use"]}
    found = recipe_from("f", given)
    assert found == Recipe(mean=(0.1, 0.2, 0.3), input_px=224, mpp=0.5, forbids=("commercial use",))
    assert recipe_from("f", found) is found
    assert found.terms("lab:f") == Terms("lab:f", "", ("commercial use",))
    assert isinstance(found, Preparation)
    assert histocnn.Recipe is Recipe


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (7, "returns no recipe"),
        ({"licens": "MIT"}, "its recipe has licens"),
        ({"mean": [1, 2]}, "recipe's mean"),
        ({"std": [0.1, 0.2, -1]}, "recipe's std"),
        ({"input_px": "224"}, "recipe's input_px"),
        ({"interpolation": "nearest"}, "recipe's interpolation"),
        ({"mpp": 0}, "recipe's mpp"),
        ({"licence": 1}, "recipe's licence and forbids"),
        ({"forbids": 3}, "recipe's licence and forbids"),
    ],
)
def test_what_cannot_be_meant(given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"f: .*{message}"):
        recipe_from("f", given)
