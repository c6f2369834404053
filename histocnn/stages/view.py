"""`histocnn view`: the slides themselves in the browser, with scores and reasons.

>>> import histocnn
>>> histocnn.view("out")  # doctest: +SKIP
View it at http://127.0.0.1:40213/3f7c…/ (Ctrl-C ends it).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import webbrowser
from pathlib import Path

from histocnn.errors import UsageError
from histocnn.jobs.ownership import check_apart
from histocnn.jobs.ranges import NonNegativeInt
from histocnn.jobs.result import StageResult
from histocnn.storage.ordinary import check_may_be_folder
from histocnn.viewing.at_work import Asked, Viewing
from histocnn.viewing.classroom import Lesson
from histocnn.viewing.reasons import folders_near
from histocnn.viewing.server import serve
from histocnn.viewing.shelf import shelve
from histocnn.viewing.taught_files import check_name


def view(
    path: str | Path,
    slides: str | Path | None = None,
    model: str | Path | None = None,
    reference: str | Path | None = None,
    teach: str | Path | None = None,
    who: str = "",
    port: NonNegativeInt = 0,
    no_browser: bool = False,
    backbone: str | None = None,
) -> StageResult:
    """Look at slides in the browser, with what was made of them laid over.

    A server answers this machine's own browser only, at an address with a secret; without --teach
    it writes nothing. It prints the address, opens it, and ends with Ctrl-C.

    Args:
        path: A folder that run, demo, predict, knn, embed or tile wrote, one file of it, a slide,
            a folder of slides, or a slides.csv.
        slides: Where the slides are now, if they were moved: a slide, a folder or a slides.csv,
            whose annotations are drawn, too.
        model: A model.safetensors that is asked what it sees in a patch.
        reference: Folder of the labelled features that scores were made from, if it is not found
            in or beside the path; with --teach they vote beside what is said.
        teach: Folder for labels: with features at hand, patches and regions get classes in the
            browser, and the slide's k-NN map follows. Nothing else is ever written. What
            nobody saved is saved when the viewer ends.
        who: Who teaches, part of these files' names: letters, digits, - and _.
        port: To listen on; 0: any that is free.
        no_browser: Only print the address.
        backbone: Of the model, if it is somebody's own network: its package.module:Class.

    Returns:
        A row per slide that was listed.
    """
    path = Path(path)
    shelf = shelve(path, None if slides is None else Path(slides))
    named = None if reference is None else _there(reference)
    if teach is None and who:
        raise UsageError(f"--who {who} without --teach", "Say where labels go with --teach FOLDER.")
    if teach is not None:
        check_name(who)
        check_may_be_folder(Path(teach))
        check_apart(Path(teach), [source.folder for source in shelf.sources], "--teach")
    asked = Asked(
        references=folders_near(path, named),
        model=None if model is None else _there(model),
        backbone=backbone,
        lesson=None if teach is None else Lesson(Path(teach), who, named),
    )
    many = f"{len(shelf.slides):,} slide{'s' * (len(shelf.slides) != 1)}"

    def ready(address: str) -> None:
        print(f"{many} of {shelf.title}\nView it at {address} (Ctrl-C ends it).", flush=True)
        if not no_browser and not _open(address):
            print(
                "There is no browser here: open the address in one of this machine's.", flush=True
            )

    viewing = Viewing(shelf, asked)

    async def run() -> None:
        stop = asyncio.Event()
        _end_with_terminal(stop)
        await serve(viewing, port, ready, stop)

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        print("\nThe viewer has ended.")
    finally:
        for line in viewing.last_words:
            print(line)
    return StageResult(rows=[{"slide_id": each.slide_id, **each.scores} for each in shelf.slides])


def _there(named: str | Path) -> Path:
    """A file or folder that was named.

    Raises:
        UsageError: It is not there.
    """
    if not Path(named).exists():
        raise UsageError(f"{named}: there is no such file or folder", "Check the path.")
    return Path(named)


def _end_with_terminal(stop: asyncio.Event) -> None:
    """End in order where the terminal goes (SIGHUP), unless `nohup` or somebody says otherwise."""
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, stop.set)


def _open(address: str) -> bool:
    """Open the browser; a machine without a screen has only such as would take the terminal."""
    screen = (
        sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    try:
        return bool(screen) and webbrowser.open(address)
    except (OSError, webbrowser.Error):
        return False
