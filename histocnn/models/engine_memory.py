"""How fast each engine was, by machine and network: a small file in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from histocnn.errors import HistocnnError
from histocnn.models.options import EngineName
from histocnn.storage.atomic import write_text
from histocnn.storage.json import to_json
from histocnn.storage.ordinary import is_ordinary

ENGINES: tuple[EngineName, ...] = ("torch", "onnx", "compile")
MOST = 500  # entries; the first written go first
LARGEST = 1_000_000  # bytes of the file


@dataclass(frozen=True)
class Speeds:
    """What a trial found.

    Attributes:
        rates: Patches/s by engine.
        compile_s: Seconds that compiling took.
        failed: Engines that cannot compute the network, and need not be tried again.

    >>> Speeds({"torch": 26.5, "onnx": 51.9}).fastest(10_000)
    'onnx'
    >>> Speeds({"torch": 26.5, "compile": 45.2}, compile_s=60).fastest(1000)
    'torch'
    """

    rates: Mapping[EngineName, float] = field(default_factory=dict)
    compile_s: float = 0.0
    failed: tuple[EngineName, ...] = ()

    def seconds(self, engine: EngineName, patches: int) -> float:
        """What so many patches take."""
        first = self.compile_s if engine == "compile" else 0.0
        return first + patches / self.rates[engine]

    def fastest(self, patches: int) -> EngineName:
        """The engine that is done first with so many."""
        return min(self.rates, key=lambda engine: self.seconds(engine, patches))


def memory_file() -> Path:
    """Where it lies: $XDG_CACHE_HOME/histocnn/engines.json, ~/.cache by default."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "histocnn" / "engines.json"


def key_of(facts: Mapping[str, Any]) -> str:
    """The name of what decides the speeds."""
    return hashlib.sha256(to_json(facts).encode()).hexdigest()[:32]


def recall(key: str) -> Speeds:
    """What was found for it; without rates where nothing was, or the file is no such file."""
    found: Any = _read().get(key)
    try:
        rates = {name: float(found["rates"][name]) for name in ENGINES if name in found["rates"]}
        failed = tuple(name for name in ENGINES if name in found.get("failed", ()))
        speeds = Speeds(rates, float(found["compile_s"]), failed)
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError):
        return Speeds()
    numbers = [*rates.values(), speeds.compile_s + 1]
    return speeds if all(0 < number < 1e9 for number in numbers) else Speeds()


def remember(key: str, speeds: Speeds) -> bool:
    """Keep what was found; False where the cache cannot be written, which costs a trial again."""
    entries = _read()
    entries.pop(key, None)
    entries[key] = asdict(speeds)
    kept = dict(list(entries.items())[-MOST:])
    try:
        write_text(memory_file(), json.dumps(kept, indent=1))
    except (HistocnnError, OSError, RuntimeError):  # of nobody's home
        return False
    return True


def _read() -> dict[str, Any]:
    try:
        path = memory_file()
        if not is_ordinary(path) or path.stat().st_size > LARGEST:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, RuntimeError):
        return {}
    return found if isinstance(found, dict) else {}
