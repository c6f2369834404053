"""What the campaign hangs on a command's process: nothing in the package knows of it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = str(Path(__file__).resolve().parents[2] / "histocnn")


def note_beginning(
    stage: str, file: int, name: str, folder: int, unlink: tuple[str, int] | None
) -> None:
    """Leave `<number>.begun`, the time in it, when the stage's function is entered."""
    import importlib

    module, _, function = stage.partition(" ")
    code = getattr(importlib.import_module(module), function).__code__

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code is code:
            sys.setprofile(None)
            os.write(file, str(time.monotonic()).encode())
            os.rename(f"{name}.unborn", f"{name}.begun", src_dir_fd=folder, dst_dir_fd=folder)
            if unlink:
                _unlink_at_call(*unlink)

    sys.setprofile(watch)


def _unlink_at_call(path: str, calls: int) -> None:
    """Remove a file as the n-th function of histocnn is called for the first time."""
    ours, seen = PACKAGE, set()

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(ours) and code not in seen:
            seen.add(code)
            if len(seen) > calls:
                sys.setprofile(None)
                Path(path).unlink()

    sys.setprofile(watch)


def slow_down(seconds: float) -> None:
    """Let every step of writing a file take longer: its bytes, its sync, its name."""
    if not seconds:
        return
    from histocnn.storage.atomic import RawFile

    write, sync, replace = RawFile.write, os.fsync, Path.replace

    def slow_write(self: RawFile, data: Any, /) -> int:
        time.sleep(seconds / 10)
        return write(self, data)

    def slow_sync(file: Any) -> None:
        time.sleep(seconds)
        sync(file)

    def slow_replace(self: Path, target: Any) -> Path:
        time.sleep(seconds)
        moved = replace(self, target)
        time.sleep(seconds)
        return moved

    RawFile.write = slow_write  # type: ignore[assignment,method-assign]
    os.fsync = slow_sync
    Path.replace = slow_replace  # type: ignore[assignment,method-assign]
