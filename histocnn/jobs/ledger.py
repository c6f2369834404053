"""What a run leaves in its folder about every slide, and the sums: failures.csv and run.json.

`.runs/<file>.json` holds a finished slide's recipe and facts, `<slide_id>.failed.json` a failure.
The sums are made of these files, so one-slide jobs and several processes may share a folder.
"""

from __future__ import annotations

import csv
import importlib.metadata
import io
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import histocnn
from histocnn.jobs.claims import read, record_path
from histocnn.jobs.records import Records
from histocnn.jobs.result import StageResult
from histocnn.storage.atomic import sum_up, write_text
from histocnn.storage.json import to_json

LIBRARIES = ("h5py", "numpy", "openslide-python", "openslide-bin", "torch", "torchvision", "timm",
             "onnxruntime")  # fmt: skip
TOLD = ("patches", "outcome", "notes", "look")  # facts that the summary of a run still needs
BOUND_BY = {"pixels": "pixel-bound", "compute": "compute-bound", "write": "write-bound"}


@dataclass(frozen=True)
class Summary(StageResult):
    """What a run over slides did, by slide id in the order of its input, and what it took.

    `shares` are seconds that the slides' main loops waited for pixels, computed, and waited for
    the writer.
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    seconds: float = 0.0
    patches: int = 0
    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        """The slides that could not be made."""
        return list(self.failures)


def verdict(shares: Mapping[str, float]) -> str:
    """Say where the time went: "pixels 31 %, compute 66 %, write 3 %: compute-bound".

    Args:
        shares: Seconds by name; empty or zero gives an empty text.
    """
    total = sum(shares.values())
    if total <= 0:
        return ""
    parts = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in shares.items())
    largest = max(shares, key=lambda name: shares[name])
    return f"{parts.replace('%', ' %')}: {BOUND_BY.get(largest, f'{largest}-bound')}"


@dataclass(frozen=True)
class Result:
    """How one slide ended, in words that pass between processes."""

    status: Literal["done", "skipped", "failed"]
    recipe: dict[str, Any] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    message: str = ""
    traceback: str | None = None


class Ledger:
    """Enters every result into the folder, and sums them up.

    Args:
        out: The folder.
        suffix: Of the slides' files.
        command: The stage's name.
        slide_ids: In the order in which the summary names them.
        source: The file or folder that the user gave as input, if it is known.
    """

    def __init__(
        self,
        out: Path,
        suffix: str,
        command: str,
        slide_ids: Sequence[str],
        *,
        source: str | Path | None = None,
    ) -> None:
        self._out = out
        self._suffix = suffix
        self._command = command
        self._started = datetime.now(UTC)
        self._clock = time.perf_counter()
        self._slide_ids = slide_ids
        self._source = str(Path(source).resolve()) if source else None
        self._results: dict[str, tuple[Result, float]] = {}
        self._patches = 0
        self._shares: Counter[str] = Counter()

    @property
    def summary(self) -> Summary:
        """What has happened so far."""
        ended = {i: self._results[i] for i in self._slide_ids if i in self._results}
        targets = {i: self._out / f"{i}{self._suffix}" for i in ended}
        return Summary(
            outputs=[targets[i] for i, (result, _) in ended.items() if result.status != "failed"],
            failures={i: r.message for i, (r, _) in ended.items() if r.status == "failed"},
            rows=[_row(i, targets[i], *ended[i]) for i in ended],
            done=[i for i, (result, _) in ended.items() if result.status == "done"],
            skipped=[i for i, (result, _) in ended.items() if result.status == "skipped"],
            seconds=time.perf_counter() - self._clock,
            patches=self._patches,
            shares=dict(self._shares),
        )

    def enter(self, slide_id: str, result: Result, seconds: float) -> str:
        """Write the slide's files; returns the line to show, empty for a skipped slide."""
        self._results[slide_id] = _remembered(result), seconds
        failure = self._out / f"{slide_id}.failed.json"
        if result.status == "failed":
            failed = {
                "slide_id": slide_id,
                "command": self._command,
                "error": result.error,
                "message": result.message,
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "traceback": result.traceback,
                "source": self._source,
            }
            write_text(failure, to_json(failed, indent=1))
            return f"{slide_id}: failed: {result.message}"
        failure.unlink(missing_ok=True)
        record = record_path(self._out / f"{slide_id}{self._suffix}")
        facts = {"slide_id": slide_id, **result.facts, "recipe": result.recipe}
        if result.status == "skipped":
            if result.facts:  # a record that was never finished
                write_text(record, to_json(facts, indent=1))
            return ""
        write_text(record, to_json({"seconds": round(seconds, 3)} | facts, indent=1))
        self._patches += result.facts.get("patches", 0)
        self._shares.update(result.facts.get("shares", {}))
        return _line(slide_id, result, seconds)

    def closing_lines(self) -> list[str]:
        """The last words on the screen: counts, rate, and where the time went."""
        total = self.summary
        parts = [f"{len(total.done)} done"]
        parts += [f"{len(total.skipped)} already done"] if total.skipped else []
        parts += [f"{len(total.failed)} failed (failures.csv)"] if total.failed else []
        doubtful = sum("look" in result.facts for result, _ in self._results.values())
        parts += [f"{doubtful} to look at (failures.csv)"] if doubtful else []
        line = f"{self._command}: {', '.join(parts)} in {total.seconds:.1f} s"
        if total.patches:
            line += f"; {total.patches:,} patches, {total.patches / total.seconds:,.0f} patches/s"
        return [line, verdict(total.shares)] if verdict(total.shares) else [line]

    def close(self) -> None:
        """Sum up what lies in the folder: failures.csv and run.json."""
        for failure in self._out.glob("*.failed.json"):
            if self._is_past(failure):
                failure.unlink(missing_ok=True)
        records = Records(self._out, self._suffix)
        sum_up(
            lambda: (failures_in(self._out), records.look()),
            lambda sums: self._write_sums(*sums),
        )

    def _is_past(self, failure: Path) -> bool:
        """Whether a failure's input is gone, or is ours and no longer holds the slide.

        Jobs of one slide each share a folder: what another input holds is not ours to judge.
        """
        facts = next(iter(_read_all([failure])), {})
        source = facts.get("source")
        if not isinstance(source, str):
            return False
        ours = (source, facts.get("command")) == (self._source, self._command)
        return not _exists(source) or (ours and facts.get("slide_id") not in self._slide_ids)

    def _write_sums(self, failed: list[dict[str, Any]], slides: dict[str, Any]) -> None:
        doubtful = [
            {"slide_id": name, "error": "look", "message": "; ".join(map(str, facts["look"]))}
            | {"command": self._command}
            for name, facts in slides.items()
            if isinstance(facts.get("look"), list)
        ]
        write_text(self._out / "failures.csv", _table([*failed, *doubtful]))
        total = self.summary
        facts = {
            "command": self._command,
            "versions": _versions(),
            "started": self._started.isoformat(timespec="seconds"),
            "seconds": round(total.seconds, 3),
            "done": len(total.done),
            "skipped": len(total.skipped),
            "failed": len(total.failed),
            "patches": total.patches,
            "patches_per_s": round(total.patches / total.seconds, 1),
            "shares_s": {name: round(seconds, 3) for name, seconds in total.shares.items()},
            "verdict": verdict(total.shares),
            "slides": slides,
        }
        write_text(self._out / "run.json", to_json(facts, indent=1))


def _remembered(result: Result) -> Result:
    """A result without what its record holds: 10,000 recipes are 50 MB."""
    facts = {name: result.facts[name] for name in TOLD if name in result.facts}
    return Result(result.status, facts=facts, message=result.message)


def _row(slide_id: str, target: Path, result: Result, seconds: float) -> dict[str, Any]:
    """A slide's row of `Summary.rows`; what was done before says no seconds of its own."""
    return {
        "slide_id": slide_id,
        "status": result.status,
        "path": None if result.status == "failed" else target,
        "patches": result.facts.get("patches"),
        "outcome": result.facts.get("outcome"),
        "seconds": round(seconds, 3) if result.status == "done" else None,
        "message": result.message or "; ".join(map(str, result.facts.get("notes", ()))),
    }


def _line(slide_id: str, result: Result, seconds: float) -> str:
    facts = result.facts
    said = [] if facts.get("outcome", "ok") == "ok" else [str(facts["outcome"])]
    said += [f"{facts['patches']:,} patches"] if "patches" in facts else []
    if result.differing:
        said.append(f"made again, because {' and '.join(result.differing)} changed")
    said += [str(note) for note in facts.get("notes", ())]
    return f"{slide_id}: {'; '.join([*said, f'{seconds:.1f} s'])}"


def _read_all(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The JSON files that are there; another process may remove one meanwhile."""
    found = (read(path) for path in sorted(paths))
    return [each for each in found if isinstance(each.get("slide_id"), str)]


def _exists(path: str) -> bool:
    """Whether there is such a file or folder; a name that none can have is that of none."""
    try:
        return Path(path).exists()
    except OSError:
        return False


def failures_in(out: Path) -> list[dict[str, Any]]:
    """What a run says of each slide that failed in a folder: slide_id, message, command."""
    return _read_all(out.glob("*.failed.json"))


def _table(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    columns = ("slide_id", "error", "message", "command", "time")
    table = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


@cache
def _versions() -> dict[str, str]:
    versions = {"histocnn": histocnn.__version__}
    for library in LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
