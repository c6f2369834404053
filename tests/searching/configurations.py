"""Configurations of searches over features made up on the spot, which take a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from histocnn.searching.plan import Plan, read_plan
from tests.feature_files import write_features

PATIENTS = [f"p{i:02d}" for i in range(20)]
SPACE = {"features.c": [0.001, 0.01, 0.1], "features.use": ["near", "far"]}


def write_sets(folder: Path, n: int = 120) -> dict[str, str]:
    """Two folders of features of the same patches: in `far` the classes lie further apart."""
    for seed, name in enumerate(("near", "far")):
        write_features(
            folder / name / "all.h5", n=n, patients=PATIENTS, seed=seed, width=4 * (seed + 1)
        )
    return {name: str(folder / name) for name in ("near", "far")}


def write_config(
    folder: Path, space: Mapping[str, Any] = SPACE, name: str = "search.yaml", **search: Any
) -> Path:
    """A configuration over these features; JSON is YAML."""
    told = {
        "features": {"sets": write_sets(folder), "split_seed": 1},
        "search": {"sampler": "grid", "folds": 2, "space": dict(space), **search},
    }
    path = folder / name
    path.write_text(json.dumps(told))
    return path


def plan_of(folder: Path, space: Mapping[str, Any] = SPACE, **search: Any) -> Plan:
    """The same, read."""
    return read_plan(write_config(folder, space, **search))


def nothing() -> None:
    """Write no folds: nobody looks at them."""
