"""Options as JSON: equal recipes are equal texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.storage.json import MOST_LISTED, count_of, differing_keys, shortened, to_json


def test_keys_are_in_order_and_numpy_and_paths_are_plain() -> None:
    options = {"b": np.float32(0.5), "a": Path("/x"), "c": np.arange(2), "µ": None}
    assert to_json(options) == '{"a": "/x", "b": 0.5, "c": [0, 1], "µ": null}'
    assert to_json({"a": 1}, indent=1) == '{\n "a": 1\n}'


def test_what_has_no_place_in_a_recipe_is_named() -> None:
    with pytest.raises(TypeError, match="set has no place in a recipe"):
        to_json({"a": {1, 2}})


def test_keys_differ_by_what_they_are_as_json() -> None:
    stored = {"size": [1, 2], "mpp": 0.5, "nan": float("nan"), "gone": 1, "null": None}
    today = {"size": (1, 2), "mpp": np.float64(0.5), "nan": float("nan"), "new": 1, "null": None}
    assert differing_keys(stored, today) == ["gone", "new"]
    assert differing_keys({"a": 1}, {"a": 1.0}) == ["a"]  # 1 and 1.0 are two texts
    assert differing_keys({}, {"a": None}) == ["a"]


def test_long_lists_and_tables_of_a_recipe_are_counted_and_told_apart() -> None:
    many = [f"{i:064x}" for i in range(2000)]
    table = dict.fromkeys(many, "P1")
    recipe = shortened({"k": 5, "reference": many, "patients": table, "few": many[:MOST_LISTED]})
    assert len(to_json(recipe)) < 2**13
    assert recipe["few"] == many[:MOST_LISTED]
    assert (count_of(recipe["reference"]), count_of(many), count_of(recipe["few"])) == (
        2000, 2000, MOST_LISTED,
    )  # fmt: skip
    assert shortened(recipe) == recipe
    # A file that lists everything is done by the same list, and by no other.
    stored = {"k": 5, "reference": many, "patients": table, "few": many[:MOST_LISTED]}
    assert differing_keys(stored, recipe) == []
    other = shortened({**stored, "reference": [*many[:-1], "another"]})
    assert differing_keys(stored, other) == ["reference"]
