"""Damage to files of every kind, and what a reader may do about it: read, or refuse in one line.

100 inputs per reader in every run of the tests, the same ones each time; as many as
HISTOCNN_FUZZ says, and others each time, when it is set. What once failed lies in `corpus/`, a
folder per reader, and is tried first; a new failure is put there.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import pickle
import resource
import secrets
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from histocnn.errors import HistocnnError

ASKED = os.environ.get("HISTOCNN_FUZZ")
TRIES = int(ASKED or 100)
CORPUS = Path(__file__).with_name("corpus")
LONGEST_LINE = 2000
LONGEST_S = 10  # of CPU time that one input may take
WAITED_S = 600  # in all, on a machine that has much else to do
MOST_MB = 400
AT_ONCE = 500  # inputs of one process
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
            odd = copy.deepcopy(random.choice(NASTY_VALUES))
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

    def try_(self, content: bytes) -> tuple[str, str]:
        """Give the reader a file of this content: how it ended, and what was wrong with that."""
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.path.write_bytes(content)
        wrong = ""
        try:
            self.read(self.path)
            ended = "read"
        except HistocnnError as error:
            line, ended = str(error), "refused"
            if "\n" in line or len(line) > LONGEST_LINE + len(str(self.path)):
                wrong = f"no line: {line[:200]!r}"
        except (Exception, RecursionError, SystemExit) as error:
            frames = traceback.extract_tb(error.__traceback__)
            ours = [frame for frame in frames if "histocnn/" in frame.filename] or [*frames]
            where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
            ended, wrong = "raw", f"{type(error).__name__} in {where}: {str(error)[:90]}"
        grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
        if grown_mb > MOST_MB:
            ended, wrong = "huge", f"took {grown_mb:.0f} MB"
        return ended, wrong

    def enter(self, ended: str, wrong: str, content: bytes) -> None:
        """Count an input, and keep the first of each fault."""
        self.outcomes[ended] += 1
        if wrong:
            self.failures.setdefault(wrong, content)

    def close(self) -> None:
        """Refuse what was neither read nor refused in one line, and keep it for the next time."""
        if ASKED:
            tries = sum(self.outcomes.values())
            print(f"\nfuzz {self.reader}: {tries} tries, {dict(self.outcomes)}", flush=True)
            folder = CORPUS / self.reader
            for content in self.failures.values():
                folder.mkdir(exist_ok=True)
                name = hashlib.sha256(content).hexdigest()[:12]
                (folder / name).write_bytes(content)
        assert not self.failures, f"{self.reader}: {', '.join(sorted(self.failures))}"


def run(tally: Tally, make: Callable[[Random], bytes]) -> None:
    """Try what once failed, then so many damaged contents.

    A process for so many at a time: an input that kills it, as C libraries may, or that keeps it
    for LONGEST_S, is counted, and the next process goes on behind it.
    """
    first = secrets.randbits(60) if ASKED else 0
    known = [path.read_bytes() for path in sorted((CORPUS / tally.reader).glob("*"))]
    inputs: list[bytes | int] = [*known, *range(first, first + TRIES)]

    def content_of(each: bytes | int) -> bytes:
        return each if isinstance(each, bytes) else make(Random(each))  # noqa: S311 no secret

    while inputs:
        inputs = inputs[_in_a_child(tally, inputs[:AT_ONCE], content_of) :]
    tally.close()


def _in_a_child(
    tally: Tally, inputs: Sequence[bytes | int], content_of: Callable[[bytes | int], bytes]
) -> int:
    """Try these in a process of their own; returns how many it has ended with."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which wait for work
        child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(writing, "wb") as out:
                for each in inputs:
                    content = content_of(each)
                    signal.setitimer(signal.ITIMER_PROF, LONGEST_S)  # whose signal kills
                    signal.alarm(WAITED_S)
                    ended, wrong = tally.try_(content)
                    pickle.dump((ended, wrong, content if wrong else b""), out)
                    out.flush()
            status = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(status)
    os.close(writing)
    done = 0
    with os.fdopen(reading, "rb") as told:
        while told.peek(1):
            tally.enter(*pickle.load(told))  # noqa: S301 our own child's
            done += 1
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        tally.enter("killed", f"killed by {name}", content_of(inputs[done]))
        return done + 1
    assert os.WEXITSTATUS(status) == 0, f"{tally.reader}: the test itself failed, see above"
    return done
