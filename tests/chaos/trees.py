"""What lies in a stage's folder, as values that are equal when nothing was lost."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors import safe_open

from histocnn.storage import store

LASTING = {"slide_id", "recipe", "patches", "outcome", "command", "files"}  # of a record
SUMS = {"run.json", "failures.csv"}
ASIDE = {"logs", "checkpoints"}  # Lightning's: times, and what a resumed run goes on from


def content(folder: Path) -> dict[str, Any]:
    """By relative path: datasets and attributes, the lasting part of a record, or bytes.

    Temporary files are left out: see `unfinished`.
    """
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_dir() or path.suffix == ".tmp" or ASIDE & set(name.parts):
            continue
        if name.name in SUMS or _is_kept_sum(name):
            continue
        found[str(name)] = _value(path)
    return found


def differing(
    ours: dict[str, Any], theirs: dict[str, Any], among: Collection[str] | None = None
) -> list[str]:
    """The files that differ or that one side lacks; of those in `among` only, if it is given."""
    names = [name for name in ours.keys() | theirs.keys() if among is None or name in among]
    return sorted(name for name in names if not _equal(ours.get(name), theirs.get(name)))


def unfinished(folder: Path) -> list[str]:
    """What is half-written: temporary files and folders, the writing test's probe."""
    left = [*folder.rglob("*.tmp"), *folder.rglob(".writable")]
    return sorted(str(path.relative_to(folder)) for path in left)


def finished(folder: Path) -> dict[str, int]:
    """By name, when each file was written that has its final name."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".tmp")
    }


def sums_disagree(folder: Path, ids: Collection[str], failed: Collection[str] = ()) -> list[str]:
    """What run.json and failures.csv say wrongly of slides that are all there but `failed`."""
    wrong = []
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    rows = (folder / "failures.csv").read_text(encoding="utf-8").splitlines()[1:]
    if run["slides"].keys() != set(ids) - set(failed):
        wrong.append(f"run.json lists {sorted(run['slides'])}")
    if run["done"] + run["skipped"] + run["failed"] != len(ids) or run["failed"] != len(failed):
        wrong.append(f"run.json counts {run['done']}, {run['skipped']}, {run['failed']}")
    if [row.partition(",")[0] for row in rows] != sorted(failed):
        wrong.append(f"failures.csv lists {rows}")
    return wrong


def sums_lack(folder: Path) -> list[str]:
    """The slides that are finished by their records and that run.json does not name."""
    records = [json.loads(path.read_text()) for path in (folder / ".runs").glob("*.json")
               if not _is_kept_sum(path.relative_to(folder))]  # fmt: skip
    done = {record["slide_id"] for record in records if "recipe" in record}
    path = folder / "run.json"
    named = json.loads(path.read_text(encoding="utf-8"))["slides"] if path.exists() else {}
    return sorted(done - named.keys())


def _is_kept_sum(name: Path) -> bool:
    """Whether a file only spares the next summary its reading: it holds the records' times."""
    return name.parent.name == ".runs" and name.name.startswith("summed-")


def _value(path: Path) -> Any:
    if path.parent.name == ".runs":
        record = json.loads(path.read_text(encoding="utf-8"))
        return {name: value for name, value in record.items() if name in LASTING}
    if h5py.is_hdf5(path):
        return store.read(path), store.attributes(path)
    if path.suffix == ".safetensors":  # whose header lies in any order
        with safe_open(path, "np") as file:
            return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return path.read_bytes()


def _equal(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_equal(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, tuple | list) and isinstance(theirs, tuple | list):
        return len(ours) == len(theirs) and all(map(_equal, ours, theirs))
    if isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray):
        return ours.dtype == theirs.dtype and np.array_equal(
            ours, theirs, equal_nan=ours.dtype.kind == "f"
        )
    return bool(ours == theirs)
