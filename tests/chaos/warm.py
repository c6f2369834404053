"""Commands of histocnn in forks of one process that has loaded everything they need.

Loading torch takes seconds, so that a kill at a random moment would mostly hit the import. The
parent here imports, starts no thread, and forks a child for every command; the child is a process
like any other, in a session of its own, that calls `histocnn.cli.main`.

Run as a script this file is that parent: it reads an order per line and answers each with a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]
SLOW = "HISTOCNN_CHAOS_SLOW"
# One thread each in the parent: threads do not survive a fork, and their locks do.
ONE_THREAD = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
LOADED = (
    "histocnn.models.training histocnn.models.embedding histocnn.models.predicting "
    "histocnn.evaluation.assembly histocnn.evaluation.writing histocnn.pages.viewer "
    "histocnn.pictures.contact histocnn.pictures.heat histocnn.pictures.overlay "
    "histocnn.pictures.training histocnn.exports.qupath histocnn.exports.tables jsonargparse "
    "histocnn.exports.asap histocnn.exports.ometiff torch.utils.tensorboard sklearn.linear_model "
    "matplotlib.backends.backend_agg torchvision.models bokeh.embed scipy.stats getpass "
    "encodings.utf_8_sig"
)


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        exit_code: Negative: the signal that ended it.
        seconds: From the stage's first line to the end of the command.
        said: Standard output and error.
        left: The processes that it started and that still run.
    """

    exit_code: int
    seconds: float
    said: str
    left: tuple[int, ...] = ()


class Command:
    """A command that runs."""

    def __init__(self, server: Warm, number: int, pid: int) -> None:
        self._server, self.number, self.pid = server, number, pid
        self._begun = server.folder / f"{number}.begun"

    def wait_until_begun(self) -> None:
        """Until the stage's own work has begun, or the process is gone."""
        deadline = time.monotonic() + 120
        while not self._begun.exists() and _alive(self.pid):
            assert time.monotonic() < deadline, "the command does not begin"
            time.sleep(0.001)

    def runs(self) -> bool:
        """Whether the process has not ended."""
        return _alive(self.pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def end(self) -> Ended:
        """Wait for its end."""
        code = self._server.ask({"wait": self.pid})["exit_code"]
        end = time.monotonic()
        left = _session(self.pid)
        begun = float(self._begun.read_text()) if self._begun.exists() else end
        said = (self._server.folder / f"{self.number}.log").read_text(errors="replace")
        return Ended(code, end - begun, said, left)


class Warm:
    """The process that forks, seen from the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"},
        )
        assert self.ask({}) == {"threads": 1}

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Send an order and read its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def start(
        self,
        words: Sequence[str | Path],
        *,
        stage: str,
        slow: float = 0.0,
        user: int | None = None,
        files: int | None = None,
        unlink: tuple[Path, int] | None = None,
    ) -> Command:
        """Start a command.

        Args:
            words: Those after `histocnn`.
            stage: "module function" whose first line is the beginning of the work.
            slow: Seconds that every step of writing takes longer.
            user: Its user and group id.
            files: Its limit of open files.
            unlink: A file, and how many functions of histocnn are called for the first time before
                it goes.
        """
        self._count += 1
        order = {
            "words": [str(word) for word in words],
            "stage": stage,
            "slow": slow,
            "user": user,
            "files": files,
            "unlink": [str(unlink[0]), unlink[1]] if unlink else None,
            "at": str(self.folder / str(self._count)),
        }
        return Command(self, self._count, self.ask(order)["pid"])

    def run(self, words: Sequence[str | Path], **how: Any) -> Ended:
        """Start a command and wait for its end."""
        return self.start(words, **how).end()

    def stop(self) -> None:
        """End the process, which has nothing to put away."""
        with self._process:  # closes its pipes
            self._process.kill()


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in ("Z", "X")
    return False


def children(pid: int, words: str = "") -> list[int]:
    """The processes that a command's process started, those whose command line has these words."""
    return [int(child) for child in _said(f"{pid}/task/{pid}/children").split()
            if words in _said(f"{child}/cmdline")]  # fmt: skip


def _said(of_process: str) -> str:
    """What /proc says; nothing of a process that is gone."""
    with contextlib.suppress(OSError):
        return Path("/proc", of_process).read_text()
    return ""


def _session(leader: int) -> tuple[int, ...]:
    """The living processes of a session, after a moment for those that end with their parent."""
    deadline = time.monotonic() + 5
    while True:
        left = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[3]) == leader and fields[0] not in ("Z", "X"):
                    left.append(int(stat.parent.name))
        if not left or time.monotonic() > deadline:
            return tuple(left)
        time.sleep(0.05)


def _serve() -> None:
    import importlib

    sys.path[0] = str(ROOT)
    for name in LOADED.split():
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        answer: dict[str, Any]
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            answer = {"exit_code": os.waitstatus_to_exitcode(status)}
        elif "words" in order:
            pid = os.fork()
            if pid == 0:
                _become(order)
            answer = {"pid": pid}
        else:
            answer = {"threads": len(list(Path("/proc/self/task").iterdir()))}
        print(json.dumps(answer), flush=True)


def _become(order: dict[str, Any]) -> NoReturn:
    """The child: a session, a log and limits of its own, then the command."""
    os.setsid()
    log = os.open(f"{order['at']}.log", os.O_WRONLY | os.O_CREAT, 0o666)
    begun = os.open(f"{order['at']}.unborn", os.O_WRONLY | os.O_CREAT, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    if order["files"] is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (order["files"], order["files"]))
    folder = os.open(Path(order["at"]).parent, os.O_RDONLY)
    code = 99
    try:
        if order["user"] is not None:
            os.setgroups([])
            os.setgid(order["user"])
            os.setuid(order["user"])
        from tests.chaos import hooks

        os.environ[SLOW] = str(order["slow"])
        hooks.slow_down(order["slow"])
        hooks.note_beginning(order["stage"], begun, Path(order["at"]).name, folder, order["unlink"])
        from histocnn.cli import main

        code = main(order["words"])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
elif __name__ == "__mp_main__":  # a worker that a command started: as slow as its parent
    from tests.chaos.hooks import slow_down

    slow_down(float(os.environ[SLOW]))
