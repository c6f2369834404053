"""How much memory a script took, measured where the process that started it does not count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

# ru_maxrss begins, after fork and exec, with what the parent held; VmHWM with the script itself.
PEAK_KIB = "int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"


def grown_mb(act: Callable[[], object]) -> float:
    """How much more memory than before this process held at most while it did this."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins anew
    before = _kib("VmRSS")
    act()
    return (_kib("VmHWM") - before) / 1024


def _kib(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split(f"{name}:")[1].split()[0])
