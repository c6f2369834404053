"""What a folder remembers of the files in it: `.runs/<name>.json`, by whom and how they were made.

A record is written twice: before a slide's first file, as a claim that names the files and the
recipe begun, and after its last, with the recipe and the facts. So a file of ours never lies in a
folder without a record that names it, whenever its process was killed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from histocnn.errors import StoreError
from histocnn.storage import store
from histocnn.storage.atomic import write_error, write_text
from histocnn.storage.json import to_json
from histocnn.storage.ordinary import is_ordinary

FOLDER = ".runs"
Record = Mapping[str, Any]


def record_path(target: Path) -> Path:
    """Where the recipe and the facts of a finished slide lie."""
    return target.parent / FOLDER / f"{target.name}.json"


def read(path: Path) -> dict[str, Any]:
    """A record; empty where there is none, or one that cannot be read or written again."""
    if not is_ordinary(path):  # on a pipe nothing may come for ever
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        to_json(found).encode()  # half a sign (\ud800) is no text
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def is_finished(record: Record) -> bool:
    """Whether a record is of a slide whose last file was written."""
    return isinstance(record.get("recipe"), Mapping)


def claim(path: Path, command: str, files: Iterable[Path], **more: Any) -> list[str]:
    """Write down, before they are, which files a stage makes; what it made before stays named.

    Args:
        path: Of the record.
        command: The stage's name.
        files: Those to come, in the record's folder.
        more: What else the record says: `slide_id`, the recipe `begun`.

    Returns:
        The names.
    """
    names = sorted({*made(read(path), command), *(file.name for file in files)})
    write_text(path, to_json({"command": command, "files": names, **more}, indent=1))
    return names


def made(record: Record, command: str) -> set[str]:
    """The names of the files that a record says this stage made."""
    files = record.get("files")
    if record.get("command") != command or not isinstance(files, list):
        return set()
    return {name for name in files if isinstance(name, str)}


def renounce(path: Path, command: str, target: Path, beside: Iterable[Path]) -> list[str]:
    """Remove what a stage made of a slide before, and does not make any more.

    Only what the record names, and lies beside the target under a name that begins as its does.

    Args:
        path: Of the record.
        command: The stage's name.
        target: The slide's file that says "done".
        beside: The others that the stage makes now.

    Returns:
        The names of those that it makes now.

    Raises:
        StoreError: An old one cannot be removed.
    """
    names = {target.name, *(file.name for file in beside)}
    for name in made(read(path), command) - names:
        old = target.parent / name
        if name.startswith(target.stem) and old.name == name and not old.is_dir():
            try:
                old.unlink(missing_ok=True)
            except OSError as error:
                raise write_error(old, error) from error
    return sorted(names)


def is_of_stage(target: Path, record: Record, command: str) -> bool:
    """Whether a slide's file is a stage's, by its record or its own recipe; for version 0.1.0.

    Its records name no files; its recipes name the stage.
    """
    if "files" in record:
        return False
    recipe = record.get("recipe")
    if recipe is None and target.suffix == ".h5":
        try:
            recipe = store.attributes(target).get("recipe")
        except StoreError:
            return False
    return isinstance(recipe, Mapping) and recipe.get("stage") == command


def rebuilt(target: Path) -> dict[str, Any]:
    """The facts that a whole HDF5 file tells of itself, where its record was never finished."""
    rows = store.rows(target)
    return {"patches": rows, "outcome": "ok" if rows else "empty"}
