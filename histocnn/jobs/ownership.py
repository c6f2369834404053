"""Whose a file is: no stage writes over what it did not make, nor among its own inputs.

Refused before work begins. What a stage made is named by the folder's records (`claims.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from histocnn.errors import StoreError, UsageError
from histocnn.jobs import claims
from histocnn.storage.atomic import sweep
from histocnn.storage.ordinary import is_ordinary

FAILURES_HEADER = "slide_id,error,message,command,time"


def check_apart(out: Path, inputs: Iterable[Path], flag: str = "--out") -> None:
    """Refuse a folder for results that holds what they are made from.

    Args:
        out: The folder, there or not.
        inputs: Files and folders.
        flag: That named it.

    Raises:
        UsageError: One lies in it, or is it.
    """
    firsts: dict[Path, Path] = {}
    for path in inputs:
        firsts.setdefault(path if path.is_dir() else path.parent, path)
    for folder, path in firsts.items():
        if folder.resolve() == out.resolve():
            raise UsageError(
                f"{flag} {out} holds the input {path}" if path != folder
                else f"{flag} {out} is the input {path}",
                "Give a folder of its own: results never lie among what they are made from.",
            )  # fmt: skip


def strangers(target: Path, command: str, beside: Iterable[Path] = ()) -> list[Path]:
    """What lies where a slide's files go and was made by somebody else.

    Args:
        target: The slide's file that says "done".
        command: The stage's name.
        beside: The other files and folders that the stage writes for the slide.
    """
    present = [path for path in (target, *beside) if os.path.lexists(path)]
    if not present:
        return []
    record = claims.read(claims.record_path(target))
    if claims.is_of_stage(target, record, command):
        return []
    made = claims.made(record, command)
    return [path for path in present if path.name not in made]


def strange_sums(out: Path) -> list[Path]:
    """The run.json and failures.csv of a folder that no stage wrote.

    Any stage renews another's: they only sum up what the records say.
    """
    run, failures = out / "run.json", out / "failures.csv"
    found = []
    if os.path.lexists(run) and not {"command", "slides"} <= claims.read(run).keys():
        found.append(run)
    if os.path.lexists(failures) and first_line(failures) != FAILURES_HEADER:
        found.append(failures)
    return found


def first_line(path: Path) -> str:
    """The first line of a text file; empty where it cannot be read."""
    if not is_ordinary(path):
        return ""
    try:
        with path.open(encoding="utf-8") as lines:
            return lines.readline(4096).rstrip("\n")
    except (OSError, ValueError):
        return ""


def refuse(found: Sequence[Path], command: str) -> None:
    """Refuse to write over somebody else's files.

    Raises:
        UsageError: There are such files; the first three are named.
    """
    if found:
        named = ", ".join(str(path) for path in found[:3])
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise UsageError(
            f"{named}{more}: there already, and not made by {command}",
            "Give another --out, or move what lies there.",
        )


def check_files(
    folder: Path, command: str, names: Iterable[str], is_ours: Callable[[], bool]
) -> None:
    """Refuse a folder where a stage's own files, those of no single slide, would hit others'.

    Args:
        folder: Where they go, there or not.
        command: The stage's name.
        names: Of the files and folders.
        is_ours: Whether these were made by a version that kept no record of them.

    Raises:
        UsageError: There are others'.
        StoreError: The folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder}: is a file", "Set --out to a folder.")
    present = [folder / name for name in names if os.path.lexists(folder / name)]
    made = claims.made(claims.read(_of(folder, command)), command)
    found = [path for path in present if path.name not in made]
    if found and not is_ours():
        refuse(found, command)


def has_records(folder: Path, command: str) -> bool:
    """Whether a folder holds slides' files of a stage."""
    found = (claims.read(path) for path in (folder / claims.FOLDER).glob("*.json"))
    return any(claims.is_finished(r) and r["recipe"].get("stage") == command for r in found)


def claim_files(folder: Path, command: str, names: Iterable[str]) -> None:
    """Write down which files a stage makes in a folder, before it makes them.

    Raises:
        StoreError: The folder cannot be written.
    """
    sweep(folder / claims.FOLDER)  # what a killed run left
    path, paths = _of(folder, command), [folder / name for name in names]
    if not {each.name for each in paths} <= claims.made(claims.read(path), command):
        claims.claim(path, command, paths)


def _of(folder: Path, command: str) -> Path:
    return folder / claims.FOLDER / f"{command}.json"
