"""Words and YAML → `TrainOptions`, without torch unless Lightning's own options are touched."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from jsonargparse import Namespace

from histocnn.errors import UsageError
from histocnn.jobs.ranges import plain
from histocnn.jobs.words import Parser
from histocnn.models.by_source import trainer_options
from histocnn.models.options import SECTIONS, RunOptions, TrainerOptions, TrainOptions, better
from histocnn.models.refusals import check_meant
from histocnn.storage.yaml import read_yaml

T = TypeVar("T")
# Of Any jsonargparse would import a class_path, and Lightning with it.
PART: Any = str | int | float | bool | list | dict | None
DESCRIPTION = """Train or fine-tune a network on labelled patches.

Writes OUT/model.safetensors, metrics.json, the test split's scores, pictures, logs and checkpoints.
Every key of a --config file is also a flag."""
MORE = "histocnn train --help=all adds every option of Lightning's Trainer: loggers, callbacks …"
SHOWING = ("--print_config", "--help", "-h")  # and do nothing else
SWITCHES = ("--compile", "--anonymise", "--overwrite")
OURS = {f.name for f in fields(TrainerOptions)}
# Which of Lightning's defaults we change: our sampler repeats nothing, and nobody asked for a list
# of layers.
DEFAULTS = {"use_distributed_sampler": False, "enable_model_summary": False}


def parse(words: Sequence[str]) -> TrainOptions:
    """The options that these words (and the files they name) give.

    Raises:
        UsageError: An unknown key, a value of the wrong type or out of range, or a file that is
            not there.
        SystemExit: Help or the configuration was asked for and has been printed.
    """
    words = _spelt_out(words)
    if "--help=all" in words:
        parser(whole=True).print_help()
        raise SystemExit(0)
    whole = _touches_lightning(words)
    if whole and not any(word.startswith(SHOWING) for word in words):
        _refuse_early(words)
    made = parser(whole=whole)
    found = made.parse_args(words)
    _check_files(found)
    check_meant(found.data, found.model)
    stopping = found.early_stopping
    stopping.mode = stopping.mode or better(stopping.monitor)
    text = _as_yaml(found)
    ready = _made(made, found, whole=whole)
    trainer = vars(ready.trainer)
    return TrainOptions(
        run=RunOptions(**{f.name: plain(getattr(found, f.name)) for f in fields(RunOptions)}),
        data=_plain_numbers(ready.data),
        model=_plain_numbers(ready.model),
        trainer=DEFAULTS | {name: plain(value) for name, value in trainer.items()},
        early_stopping=_plain_numbers(ready.early_stopping),
        text=text,
    )


def _refuse_early(words: Sequence[str]) -> None:
    """Parse what can be parsed without Lightning, which takes seconds to load: a slip shows here.

    Raises:
        UsageError: As `parse`.
    """
    known = trainer_options()
    if not known:
        return
    parts = {name for name, hint in known.items() if hint is Any}
    found = _parser(_add_names).parse_args(_without(parts, words))
    _check_files(found)
    check_meant(found.data, found.model)


def _without(parts: Container[str], words: Sequence[str]) -> list[str]:
    """The words that give none of these parts of the trainer, nor anything within.

    >>> _without({"logger"}, ["--out=a", "--trainer.logger.name", "b", "--trainer.logger+=c"])
    ['--out=a']
    """
    kept: list[str] = []
    keeps = True
    for word in words:
        if word.startswith("--"):
            section, _, key = word.partition("=")[0].removeprefix("--").partition(".")
            keeps = section != "trainer" or key.partition(".")[0].rstrip("+") not in parts
        if keeps:
            kept.append(word)
    return kept


def _plain_numbers(options: T) -> T:
    """The same options; a checkpoint, which holds some, is read without our types."""
    values = {f.name: plain(getattr(options, f.name)) for f in fields(options)}  # type: ignore[arg-type]
    return type(options)(**values)


def _made(made: Parser, found: Namespace, *, whole: bool) -> Namespace:
    """The options with what they name by class made; all of it is checked before."""
    if whole:
        from histocnn.models.trainer_parts import check_parts

        check_parts(found.trainer)
    # Its name since 4.5x; the older one warns there.
    make = getattr(made, "instantiate", None) or made.instantiate_classes
    try:
        ready: Namespace = make(found)
    except Exception as error:  # whatever a user's class raises
        said = " ".join(str(error).split())
        raise UsageError(
            f"what the options name cannot be made ({type(error).__name__}: {said})",
            "See histocnn train --help=all.",
        ) from error
    return ready


def parser(*, whole: bool) -> Parser:
    """The parser of our options; `whole`: with all of Lightning's Trainer, which is loaded then."""
    return _parser(_add_lightning_s if whole else _add_options)


def _parser(add_trainer: Callable[[Parser, str], None]) -> Parser:
    made = Parser(prog="histocnn train", description=DESCRIPTION, epilog=MORE)
    made.add_argument("--config", action="config", help="A YAML file of these options.")
    made.add_class_arguments(RunOptions)
    for name, options in SECTIONS.items():
        if options is TrainerOptions:
            add_trainer(made, name)
        else:
            made.add_class_arguments(options, name)
    return made


def _add_options(made: Parser, section: str) -> None:
    made.add_class_arguments(TrainerOptions, section)


def _add_names(made: Parser, section: str) -> None:
    for name, hint in trainer_options().items():
        made.add_argument(f"--{section}.{name}", type=PART if hint is Any else hint)


def _add_lightning_s(made: Parser, section: str) -> None:
    from pytorch_lightning import Trainer

    made.add_class_arguments(
        Trainer, section, fail_untyped=False, instantiate=False, sub_configs=True
    )
    changed = {**asdict(TrainerOptions()), **DEFAULTS}
    made.set_defaults({f"{section}.{key}": value for key, value in changed.items()})


def as_words(options: Mapping[str, Any]) -> list[str]:
    """Python's keyword arguments as words of the command line.

    Args:
        options: Sections as dicts or dataclasses, single keys with a dot, values of any type.

    >>> as_words({"out": Path("runs/a"), "data": {"workers": 0}, "model.weights": None})
    ['--out=runs/a', '--data.workers=0', '--model.weights=null']
    """
    return [
        f"--{key}={value if isinstance(value, str) else json.dumps(value, default=str)}"
        for key, value in _flat(options)
    ]


def _flat(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in options.items():
        section = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        if key in SECTIONS and isinstance(section, Mapping):
            yield from ((f"{key}.{name}", _plain(item)) for name, item in section.items())
        else:
            yield key, _plain(value)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _as_yaml(found: Namespace) -> str:
    """Write every key with its value, none included: the text alone gives the same run again."""
    lasting = {k: v for k, v in found.as_dict().items() if k not in ("config", "overwrite")}
    plain = json.loads(json.dumps(lasting, default=str))  # paths and tuples
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))


def _spelt_out(words: Sequence[str]) -> list[str]:
    """Let `--overwrite` stand for `--overwrite=true`, which is all that jsonargparse reads."""
    following = [*words, "--"][1:]
    return [
        f"{word}=true" if word in SWITCHES and after.startswith("-") else word
        for word, after in zip(words, following, strict=True)
    ]


def _touches_lightning(words: Sequence[str]) -> bool:
    """Whether a flag or a file names an option of the Trainer that is not among ours."""
    for word, value in zip(words, [*words, ""][1:], strict=True):
        flag, equals, given = word.partition("=")
        section, _, key = flag.removeprefix("--").partition(".")
        if section == "trainer" and key.rstrip("+") not in OURS:
            return True
        if flag == "--config" and not _keys(given if equals else value) <= OURS:
            return True
    return False


def _keys(config: str) -> set[str]:
    """The keys of a file's trainer section; none where there is no file: the parser says so."""
    stored = read_yaml(config) if os.path.isfile(config) else None  # noqa: PTH113 (any text)
    section = stored.get("trainer") if isinstance(stored, Mapping) else None
    return set(section) if isinstance(section, Mapping) else set()


def _check_files(found: Namespace) -> None:
    """Name what is not there before anything slow is loaded."""
    named = {f"data.{key}": found.data[key] for key in ("patches", "slides", "split_file", "hard")}
    if found.model.weights != "imagenet":
        named["model.weights"] = found.model.weights
    for flag, path in named.items():
        if path is not None and not Path(path).exists():
            raise UsageError(
                f"--{flag} {path}: there is no such file or folder", "Give one that exists."
            )
