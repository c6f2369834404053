"""Processes of their own that need no second to import torch: copies of this one, by fork.

For what is about processes (killed ones, two on one folder, limits) and not about how one starts.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from pathlib import Path

import histocnn.slides.geometry  # noqa: F401 - leaves OpenCV without threads, which no copy has
from histocnn.cli import main


def forked(act: Callable[[], object], said: Path = Path(os.devnull)) -> ForkProcess:
    """A process that does this, and exits with the code that SystemExit says, if it is raised.

    Args:
        act: Its exceptions are printed and give exit code 1.
        said: Gets what it prints.
    """
    process = multiprocessing.get_context("fork").Process(target=_begin, args=(act, said))
    with warnings.catch_warnings():  # Python 3.12 knows of the thread of pytest-xdist
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    return process


def running(*words: object) -> ForkProcess:
    """`histocnn WORDS` in such a process."""
    return forked(lambda: sys.exit(main([str(word) for word in words])))


def exit_code(process: ForkProcess) -> int | None:
    """Of a process, when it has ended: minus the signal's number where one ended it."""
    process.join(200)
    process.kill()  # or pytest would wait for it at its end
    process.join()
    return process.exitcode


def _begin(act: Callable[[], object], said: Path) -> None:
    with said.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    warnings.simplefilter("ignore")  # as a command's would be: pytest makes errors of them
    try:
        act()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
