"""The command line's parser: jsonargparse's, its YAML within bounds, its refusals in our words."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, Namespace, get_loader, set_loader
from yaml import YAMLError

from histocnn.errors import UsageError
from histocnn.jobs.ranges import in_words
from histocnn.storage.yaml import check_yaml, read_text

_read_yaml = get_loader("yaml")
_KEY = re.compile(r'(?:error: )?Parser key "([^"]+)":\s*')
_RANGE = re.compile(r"Not of type (\w+):")
_CHOICES = re.compile(r"Expected an? typing\.Literal\[(.*?)\]")
_VALUES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:Given|Got) value: (.*)$",
        r"(\S+) does not conform",
        r"(?:base 10|to float): '(.*)'",
        r"(\S+) not an integer",
    )
)


class Parser(ArgumentParser):  # type: ignore[misc,unused-ignore]
    """A parser whose refusals are one line, and whose files are bounded before they are parsed."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Refuse what was given.

        Raises:
            UsageError: Always.
        """
        raise _refusal(message, f"See {self.prog} --help.") from ex

    def parse_path(self, path: Any, *args: Any, **kwargs: Any) -> Namespace:
        """Parse a `--config` file.

        Raises:
            UsageError: As `storage.yaml.read_text`, or the parser refuses what it holds.
        """
        read_text(path)
        parsed: Namespace = super().parse_path(path, *args, **kwargs)
        return parsed


def _refusal(message: str, remedy: str) -> UsageError:
    """Jsonargparse's message as one line: which option, what was given, what would do."""
    said = " ".join(message.split())
    key = _KEY.match(said)
    if key is None:
        missing = said.removeprefix("the following arguments are required: ")
        if missing != said:
            said = ", ".join(f"--{name}" for name in missing.split(", ")) + " must be given"
        return UsageError(said, remedy)
    option, said = f"--{key[1]}", said[key.end() :]
    given = " ".join([option, *[found[1] for p in _VALUES if (found := p.search(said))][:1]])
    kind, choices = _RANGE.search(said), _CHOICES.search(said)
    if kind and (words := in_words(kind[1])):
        return UsageError(f"{given} is {words[0]}", words[1])
    if choices:
        return UsageError(f"{given} is not known", f"Use {choices[1]}.".replace("'", ""))
    return UsageError(f"{option}: {said}", remedy)


def _bounded(text: str) -> Any:
    check_yaml(text, "a value")
    return _read_yaml(text)


set_loader("yaml", _bounded, (YAMLError,))
