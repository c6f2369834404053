"""Options and facts as JSON: written one way, so that equal recipes are equal texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def differing_keys(stored: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[str]:
    """The keys whose values differ as JSON, sorted; a key that only one side has differs."""
    old, new = ({k: to_json(v) for k, v in r.items()} for r in (stored, recipe))
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def to_json(value: Any, indent: int | None = None) -> str:
    """Write options and facts as JSON: paths as text, NumPy values as numbers, keys in order."""

    def plain(item: Any) -> Any:
        if isinstance(item, Path):
            return str(item)
        if isinstance(item, np.generic | np.ndarray):
            return item.tolist()
        raise TypeError(f"{type(item).__name__} has no place in a recipe: {item!r}")

    return json.dumps(value, default=plain, sort_keys=True, ensure_ascii=False, indent=indent)
