"""What lies in a folder's `.runs`, and its sums, as somebody else may have left them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from histocnn.jobs import claims, ledger, ownership
from histocnn.jobs.ledger import Ledger
from histocnn.jobs.records import Records, _digest
from histocnn.storage.atomic import write_text
from tests.fuzz.fuzzing import Tally, damaged, replaced, run

RECORD: dict[str, Any] = {
    "slide_id": "a",
    "command": "tile",
    "files": ["a.h5", "a.png"],
    "seconds": 1.5,
    "patches": 12,
    "shares": {"pixels": 1.0, "write": 0.5},
    "notes": ["no tissue found"],
    "recipe": {"stage": "tile", "patch_px": 224, "input": {"fingerprint": "12-ab"}},
}
FAILED = {
    **{"slide_id": "a", "command": "tile", "error": "SlideError", "message": "gone"},
    **{"time": "2026-01-01T00:00:00", "traceback": None, "source": "/slides"},
}
SUMS = {"command": "tile", "slides": {"a": {"patches": 12}}, "done": 1}
KEPT = {"a.h5.json": ["1 2 3", {"slide_id": "a", "patches": 12}]}


def with_digest(random: Random) -> bytes:
    """Kept sums of another form whose digest is right all the same."""
    text = replaced(KEPT, random).decode()
    return f"{_digest(text)}\n{text}".encode()


def either(root: Any) -> Callable[[Random], bytes]:
    """Bytes of a JSON file damaged, or values of it replaced."""
    text = json.dumps(root).encode()
    return lambda random: (
        replaced(root, random) if random.random() < 0.5 else damaged(text, random, text=True)
    )


def ask_all(folder: Path) -> None:
    """Ask everything that a run asks of a folder in which it shall write a.h5."""
    target = folder / "a.h5"
    record = claims.read(claims.record_path(target))
    claims.is_finished(record)
    ownership.strangers(target, "tile", [folder / "a.png"])
    ownership.strange_sums(folder)
    ownership.has_records(folder, "tile")
    ownership.check_files(folder, "evaluate", ["report.html"], lambda: False)
    Records(folder, ".h5").look()
    Ledger(folder, ".h5", "tile", ["a"], source=folder).close()
    json.loads((folder / "run.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("reader", "name", "make"),
    [
        ("records", ".runs/a.h5.json", either(RECORD)),
        ("claims", ".runs/evaluate.json", either({"command": "evaluate", "files": ["x.csv"]})),
        ("failures", "a.failed.json", either(FAILED)),
        ("sums", "run.json", either(SUMS)),
        ("kept-sums", ".runs/summed-h5.json", with_digest),
    ],
)
def test_records(
    reader: str,
    name: str,
    make: Callable[[Random], bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "_versions", dict)  # whose search takes longer than all else
    ours = {".runs/a.h5.json": RECORD, "a.failed.json": FAILED, "run.json": SUMS}
    for path, content in ours.items():
        write_text(tmp_path / path, json.dumps(content))
    (tmp_path / "a.h5").write_bytes(b"")
    tally = Tally(reader, lambda path: ask_all(tmp_path), tmp_path / name)
    run(tally, make)
