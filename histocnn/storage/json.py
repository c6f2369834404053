"""Options and facts as JSON: written one way, so that equal recipes are equal texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

MOST_LISTED = 100  # values of one key: some 7 kB of hashes, where an attribute holds 64


def differing_keys(stored: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[str]:
    """The keys whose values differ as JSON, sorted; a key that only one side has differs.

    A list and what `shortened` made of the same list do not differ.
    """
    old, new = ({k: to_json(v) for k, v in shortened(r).items()} for r in (stored, recipe))
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def shortened(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe, each list or table of more than `MOST_LISTED` values as their count and digest.

    A recipe is read with every look at its file and has to fit into an attribute, however many
    slides a reference has. What was shortened stays as it is.

    >>> shortened({"k": 5, "reference": ["ab"] * 1000})["reference"]["count"]
    1000
    """
    return {key: _short(value) for key, value in recipe.items()}


def count_of(value: Any) -> int:
    """How many values a list or table of a recipe has or, shortened, had."""
    if isinstance(value, Mapping) and value.keys() == {"count", "sha256"}:
        return int(value["count"])
    return len(value)


def _short(value: Any) -> Any:
    if not isinstance(value, list | tuple | Mapping) or len(value) <= MOST_LISTED:
        return value
    return {"count": len(value), "sha256": sha256(to_json(value).encode()).hexdigest()}


def to_json(value: Any, indent: int | None = None) -> str:
    """Write options and facts as JSON: paths as text, NumPy values as numbers, keys in order."""

    def plain(item: Any) -> Any:
        if isinstance(item, Path):
            return str(item)
        if isinstance(item, np.generic | np.ndarray):
            return item.tolist()
        raise TypeError(f"{type(item).__name__} has no place in a recipe: {item!r}")

    return json.dumps(value, default=plain, sort_keys=True, ensure_ascii=False, indent=indent)
