"""What a process that was killed while it wrote leaves behind."""

from __future__ import annotations

import subprocess
import sys
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
