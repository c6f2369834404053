"""The command line's parser: jsonargparse's, its YAML within bounds, its refusals in our words."""

from __future__ import annotations

import re
from types import UnionType
from typing import Any, NoReturn, Union, get_args, get_origin

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

    def parse_args(  # type: ignore[override]
        self, *args: Any, **kwargs: Any
    ) -> Namespace:
        """Parse words.

        Raises:
            UsageError: An option is refused, or a section holds something else than its options.
                `null`, which jsonargparse takes for any value, stands only where None may.
        """
        try:
            found: Namespace = super().parse_args(*args, **kwargs)
        except (ValueError, OverflowError) as error:  # NUL in a name of a file; 1 with 400 zeros
            self.error(str(error), error)
        for group in self._action_groups:
            name = getattr(group, "dest", None)
            if name and name in found and not isinstance(section := found[name], Namespace):
                raise UsageError(
                    f"--{name} {section!r:.60} is no section",
                    f"Write {name}.OPTION, and its value.",
                )
        for action in self._actions:
            hint, name = getattr(action, "_typehint", Any), action.dest
            if (
                action.default is not None
                and found.get(name, "") is None
                and not _admits_none(hint)
            ):
                raise UsageError(f"--{name} null is no value", f"See {self.prog} --help.")
        return found

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


def _admits_none(hint: Any) -> bool:
    """Whether a type holds None.

    >>> _admits_none(int | None), _admits_none(tuple[None, int]), _admits_none(Any)
    (True, False, True)
    """
    if get_origin(hint) in (Union, UnionType):
        return any(map(_admits_none, get_args(hint)))
    return hint in (Any, None, type(None))


def _bounded(text: str) -> Any:
    check_yaml(text, "a value")
    return _read_yaml(text)


set_loader("yaml", _bounded, (YAMLError,))
