"""What a process that was killed while it wrote leaves behind, and a place where little fits."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRIPT = """
import os, sys
from histocnn.storage.atomic import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), 9)
"""


def left_by_the_dead(path: Path) -> Path:
    """Let a process die while it writes `path`; returns the temporary file."""
    before = set(path.parent.iterdir())
    subprocess.run([sys.executable, "-c", SCRIPT, path], check=False)
    (left,) = set(path.parent.iterdir()) - before
    return left


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let this process write no file beyond so many bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
