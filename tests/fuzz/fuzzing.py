"""Damage to files of every kind, and what a reader may do about it: read, or refuse in one line.

200 inputs per reader in every run of the tests, the same ones each time; as many as
HISTOCNN_FUZZ says, and others each time, when it is set. What once failed lies in `corpus/`, a
folder per reader, and is tried first; a new failure is put there.
"""

from __future__ import annotations

import hashlib
import json
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from histocnn.errors import HistocnnError

ASKED = os.environ.get("HISTOCNN_FUZZ")
TRIES = int(ASKED or 200)
CORPUS = Path(__file__).with_name("corpus")
LONGEST_LINE = 2000
TEXT_FAULTS = ("cut", "flip", "zero", "put", "put", "insert", "insert", "twice")
BINARY_FAULTS = ("cut", "flip", "flip", "flip", "zero", "random")
NASTY = (
    *(b"", b"\0", b"\n", b'"', b",", b";", b"\t", b"{", b"}", b"[", b"]", b"<", b">", b"&", b"-"),
    *(b"NaN", b"Infinity", b"1e999", b"-1", b"0", b"null", b"true", b"\xff\xfe", b"\xed\xa0\x80"),
    *(b"9" * 400, b"9" * 5000, b"[" * 2000, b"x" * 300, b"/" * 300, b"\r", b"=cmd", b"../../x"),
)
NASTY_VALUES = (
    *(None, True, False, 0, -1, 1e308, 2**53, 10**400, float("nan"), float("inf"), "", "\0"),
    *("x" * 300, "../x", [], {}, [[]], [None], {"": None}, ["a", 1], "\ud800", [[[[[[]]]]]]),
)


def damaged(content: bytes, random: Random, *, text: bool) -> bytes:
    """The content with one to three faults, of the kinds that texts or binary files suffer."""
    kinds = TEXT_FAULTS if text else BINARY_FAULTS
    for _ in range(random.randint(1, 3)):
        start = random.randrange(len(content) + 1)
        end = min(len(content), start + random.choice((1, 1, 2, 4, 8, 32)))
        middle = content[start:end]
        match random.choice(kinds):
            case "cut":
                content = content[:start]
                continue
            case "flip":
                middle = bytes(each ^ (1 << random.randrange(8)) for each in middle)
            case "zero":
                middle = bytes(len(middle))
            case "random":
                middle = random.randbytes(len(middle))
            case "put":
                middle = random.choice(NASTY)
            case "insert":
                middle = random.choice(NASTY) + middle
            case "twice":
                middle = middle * 2
        content = content[:start] + middle + content[end:]
    return content


def replaced(root: Any, random: Random) -> bytes:
    """JSON of `root` with one to three of its values replaced by others."""
    root = json.loads(json.dumps(root))
    for _ in range(random.randint(1, 3)):
        if slots := list(_slots(root)):
            holder, key = random.choice(slots)
            odd = random.choice(NASTY_VALUES)
            holder[key] = random.choice((odd, [odd], {"name": odd}, random.uniform(-1e9, 1e9)))
    return json.dumps(root).encode()


def _slots(node: Any) -> Iterator[tuple[Any, Any]]:
    keys: Any = (
        node if isinstance(node, dict) else range(len(node) if isinstance(node, list) else 0)
    )
    for key in keys:
        yield node, key
        yield from _slots(node[key])


@dataclass
class Tally:
    """What became of the inputs that one reader was given."""

    reader: str
    read: Callable[[Path], Any]
    path: Path
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: dict[str, bytes] = field(default_factory=dict)

    def try_(self, content: bytes) -> None:
        """Give the reader a file of this content."""
        self.path.write_bytes(content)
        try:
            self.read(self.path)
            self.outcomes["read"] += 1
        except HistocnnError as error:
            line = str(error)
            if "\n" in line or len(line) > LONGEST_LINE + len(str(self.path)):
                self.failures.setdefault(f"no line: {line[:200]!r}", content)
            self.outcomes["refused"] += 1
        except (Exception, RecursionError) as error:
            ours = [
                f for f in traceback.extract_tb(error.__traceback__) if "histocnn/" in f.filename
            ]
            where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
            self.outcomes["raw"] += 1
            self.failures.setdefault(
                f"{type(error).__name__} in {where}: {str(error)[:90]}", content
            )

    def close(self) -> None:
        """Refuse what was neither read nor refused in one line, and keep it for the next time."""
        if ASKED:
            print(
                f"\nfuzz {self.reader}: {sum(self.outcomes.values())} tries, {dict(self.outcomes)}"
            )
            folder = CORPUS / self.reader
            for content in self.failures.values():
                folder.mkdir(exist_ok=True)
                name = hashlib.sha256(content).hexdigest()[:12]
                (folder / name).write_bytes(content)
        assert not self.failures, f"{self.reader}: {', '.join(sorted(self.failures))}"


def run(tally: Tally, make: Callable[[Random], bytes]) -> None:
    """Try what once failed, then so many damaged contents."""
    for path in sorted((CORPUS / tally.reader).glob("*")):
        tally.try_(path.read_bytes())

    @settings(
        max_examples=TRIES,
        database=None,
        derandomize=ASKED is None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**63))
    def each(seed: int) -> None:
        tally.try_(make(Random(seed)))  # noqa: S311 no secret

    each()
    tally.close()
