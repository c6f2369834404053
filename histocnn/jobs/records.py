"""The facts of every slide of a folder, of which only new ones are read from their records.

`.runs/summed-<kind>.json` keeps what was read, each with the stamp of its file: the thousandth job
on a folder reads its own slides' records and lists the others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from histocnn.jobs import claims
from histocnn.storage.atomic import write_text
from histocnn.storage.json import to_json

_ASIDE = ("recipe", "command", "files")  # what no summary repeats
Entry = tuple[str, dict[str, Any]]  # the stamp of the record's file; the slide's id and facts


class Records:
    """Reads the records of one kind of file in a folder.

    Args:
        out: The folder.
        suffix: Of the slides' files.
    """

    def __init__(self, out: Path, suffix: str) -> None:
        self._out = out
        self._suffix = suffix
        self._kept = out / claims.FOLDER / f"summed-{suffix.strip('.')}.json"
        self._entries = _read_kept(self._kept)

    def look(self) -> dict[str, Any]:
        """The facts of every slide whose file is there, without the recipe, which is in the file.

        Raises:
            StoreError: What was read cannot be kept.
        """
        before = self._entries
        self._entries = dict(self._current())
        if self._entries != before:
            text = to_json(self._entries)
            write_text(self._kept, f"{_digest(text)}\n{text}")
        there = {entry.name for entry in os.scandir(self._out)}
        return {
            facts["slide_id"]: {k: v for k, v in facts.items() if k != "slide_id"}
            for _, facts in self._entries.values()
            if f"{facts['slide_id']}{self._suffix}" in there
        }

    def _current(self) -> Iterator[tuple[str, Entry]]:
        """By name each record's entry; another process may remove one meanwhile."""
        if not (self._out / claims.FOLDER).is_dir():
            return
        ending = f"{self._suffix}.json"
        with os.scandir(self._out / claims.FOLDER) as listing:
            files = sorted((f for f in listing if f.name.endswith(ending)), key=lambda f: f.name)
        for file in files:
            try:
                found = file.stat()
                stamp = f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"
                if file.name in self._entries and self._entries[file.name][0] == stamp:
                    yield file.name, self._entries[file.name]
                    continue
            except OSError:
                continue
            facts = claims.read(Path(file))
            if claims.is_finished(facts) and isinstance(facts.get("slide_id"), str):
                yield file.name, (stamp, {k: v for k, v in facts.items() if k not in _ASIDE})


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _read_kept(path: Path) -> dict[str, Entry]:
    """What an earlier summary has read; nothing where the file is damaged or not there."""
    try:
        digest, _, text = path.read_text(encoding="utf-8").partition("\n")
        if digest != _digest(text):
            return {}
        kept = {name: (stamp, dict(facts)) for name, (stamp, facts) in json.loads(text).items()}
        sound = all(isinstance(facts["slide_id"], str) for _, facts in kept.values())
        return kept if sound else {}
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return {}
