"""The command line: a table of commands, each the typed signature of one stage."""

from __future__ import annotations

import _thread
import contextlib
import difflib
import importlib
import inspect
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, get_args, get_type_hints

from histocnn import __version__
from histocnn.errors import HistocnnError, UsageError


class Command(NamedTuple):
    """Where a command lives (its function bears its name) and the line that introduces it."""

    module: str
    purpose: str


COMMANDS = {
    "doctor": Command("histocnn.stages.doctor", "can these slides be trusted? one line each"),
    "tile": Command("histocnn.stages.tile", "cut slides into a grid of patches at an exact scale"),
    "train": Command("histocnn.stages.train", "train or fine-tune a CNN on labelled patches"),
    "search": Command("histocnn.stages.search", "hyperparameters, the test patients untouched"),
    "adapt": Command("histocnn.stages.adapt", "bring a model to another laboratory's stain"),
    "predict": Command("histocnn.stages.predict", "score patches with a trained model"),
    "embed": Command("histocnn.stages.embed", "turn patches into a pretrained network's features"),
    "encoders": Command("histocnn.stages.encoders", "pathology's networks and their licences"),
    "knn": Command("histocnn.stages.knn", "label features by their nearest labelled neighbours"),
    "probe": Command("histocnn.stages.probe", "label features by a logistic regression"),
    "compare": Command("histocnn.stages.compare", "which encoder for my data? side by side"),
    "similar": Command("histocnn.stages.similar", "an archive's nearest patches to a place"),
    "heatmap": Command("histocnn.stages.heatmap", "lay scores over the slide as pictures"),
    "export_model": Command(
        "histocnn.stages.export_model", "write a model for ONNX Runtime, TorchScript, QuPath"
    ),
    "export": Command("histocnn.stages.export", "write scores for QuPath, ASAP, scripts, napari"),
    "evaluate": Command("histocnn.stages.evaluate", "figures with intervals, and a report"),
    "inspect": Command("histocnn.stages.inspect", "look inside a network: layers, patterns"),
    "mine": Command("histocnn.stages.mine", "list the most confident errors on training slides"),
    "view": Command("histocnn.stages.view", "the slides themselves in the browser, live"),
    "fool": Command("histocnn.stages.fool", "show what a model believes and should not"),
    "run": Command("histocnn.pipeline", "tile, score, heatmap and evaluate in one go"),
    "demo": Command("histocnn.demonstration", "the same on a cohort it makes"),
}

_FIRST = {"encoders": "--name", "view": "--path"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after `histocnn`; those of the process if None.

    Returns:
        The exit code: 0 done, 1 failed work, 2 wrong usage, 130 interrupted, 141 nobody reads on,
        143 terminated.
    """
    if argv is None:
        _in_utf8()
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words[0] == "--version":
        print(f"histocnn {__version__}")
        return 0
    try:
        with _terminable():
            return _run(words[0], words[1:])
    except HistocnnError as error:
        print(f"histocnn {words[0]}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `histocnn doctor ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("histocnn: interrupted; the same command again does what is left", file=sys.stderr)
        return 130
    except Terminated as ended:
        print("histocnn: terminated; the same command again does what is left", file=sys.stderr)
        return int(str(ended.code))


def _in_utf8() -> None:
    """Begin anew in UTF-8 where the locale cannot name every file: what we write is UTF-8."""
    if sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8":
        return
    os.environ["PYTHONUTF8"] = "1"  # of the processes that we start
    with contextlib.suppress(OSError):
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606


class Terminated(SystemExit):
    """SIGTERM came: all that is begun ends as after Ctrl-C, and nothing half-written is left."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM raise `Terminated`, unless somebody else has plans for it; a second one kills.

    What a handler raises while Python tells somebody that an object is gone, Python only prints and
    goes on: there the signal is sent again.
    """

    def end(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    def lost(what: Any) -> None:
        if isinstance(what.exc_value, KeyboardInterrupt):
            _soon(signal.SIGINT)
        elif isinstance(what.exc_value, Terminated):
            signal.signal(signal.SIGTERM, end)
            _soon(signal.SIGTERM)
        else:
            before(what)

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    before = sys.unraisablehook
    signal.signal(signal.SIGTERM, end)
    sys.unraisablehook = lost
    try:
        yield
    finally:
        sys.unraisablehook = before
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _soon(number: signal.Signals) -> None:
    """Send this process a signal in a moment, when Python is back where a handler may raise.

    Nobody waits here for the thread to begin, as `Thread.start` does: on a busy machine the signal
    came meanwhile, and was lost again.
    """

    def send() -> None:
        time.sleep(0.01)
        os.kill(os.getpid(), number)

    _thread.start_new_thread(send, ())


def _run(name: str, words: list[str]) -> int:
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"Did you mean {close[0]}?" if close else "histocnn --help lists the commands."
        raise UsageError(f"there is no command {name!r}", hint)
    stage = getattr(importlib.import_module(COMMANDS[name].module), name)
    if name in ("train", "search"):  # options many and nested: their own parsers take the words
        return int(stage(words).exit_code)
    from jsonargparse import auto_cli

    from histocnn.jobs.words import Parser

    if name in _FIRST and words[:1] and not words[0].startswith("-"):
        words = [_FIRST[name], *words]  # the one word that needs no flag
    words = _gather_lists(stage, _spell_out_flags(stage, words))
    program = f"histocnn {name}"
    result = auto_cli(stage, args=words, as_positional=False, prog=program, parser_class=Parser)
    return int(result.exit_code)


def _spell_out_flags(stage: Callable[..., Any], words: list[str]) -> list[str]:
    """Let `--html` stand for `--html true`, which is all that jsonargparse reads."""
    hints = get_type_hints(stage)
    flags = {f"--{name}" for name in inspect.signature(stage).parameters if hints[name] is bool}
    following = [*words, "--"][1:]
    return [
        f"{word}=true" if word in flags and after.startswith("-") else word
        for word, after in zip(words, following, strict=True)
    ]


def _gather_lists(stage: Callable[..., Any], words: list[str]) -> list[str]:
    """Let `--features A B` stand for `--features [A,B]`, which is all that jsonargparse reads."""
    hints = get_type_hints(stage)
    lists = {
        f"--{name}" for name, hint in hints.items() if tuple[str, ...] in (hint, *get_args(hint))
    }
    found: list[str] = []
    for word in words:
        before = found[-1] if found else ""
        if not word.startswith(("-", "[")) and before in lists:
            found.append(json.dumps([word], ensure_ascii=False))
        elif not word.startswith("-") and not before.startswith("-") and lists & {*found[-2:-1]}:
            first = json.loads(before) if before.startswith('["') else [before]
            found[-1] = json.dumps([*first, word], ensure_ascii=False)
        else:
            found.append(word)
    return found


def _overview() -> str:
    lines = [f"  {name:<13}{command.purpose}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: histocnn COMMAND [--option VALUE ...]",
            "",
            "Classify patches of whole-slide histopathology images. For research use only.",
            "",
            *lines,
            "",
            "histocnn COMMAND --help explains its options; --config takes them from a file.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
