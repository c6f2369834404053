"""The ranges that options lie in: the command line's types, and the same refusal from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, get_args, get_type_hints

from histocnn.errors import UsageError

if TYPE_CHECKING:  # jsonargparse makes these types as it runs
    PositiveInt: TypeAlias = int
    NonNegativeInt: TypeAlias = int
    PositiveFloat: TypeAlias = float
    NonNegativeFloat: TypeAlias = float
    Probability: TypeAlias = float
    Share: TypeAlias = float
    Percent: TypeAlias = float
else:
    from jsonargparse.typing import ClosedUnitInterval as Probability
    from jsonargparse.typing import (
        NonNegativeFloat,
        NonNegativeInt,
        PositiveFloat,
        PositiveInt,
        restricted_number_type,
    )

    Share = restricted_number_type(  # < 2: jsonargparse has one name per range, Probability's here
        "Share", float, [(">=", 0), ("<=", 1), ("<", 2)], docstring="float restricted to 0 to 1"
    )
    Percent = restricted_number_type(
        "Percent", float, [(">", 0), ("<=", 100)], docstring="float restricted to be >0 and ≤100"
    )

# What a value outside is not, and what to give instead.
_WORDS: dict[Any, tuple[str, str]] = {
    PositiveInt: ("not a whole number above 0", "Give at least 1."),
    NonNegativeInt: ("not a whole number from 0 on", "Give 0 or more."),
    PositiveFloat: ("not positive", "Give a number above 0."),
    NonNegativeFloat: ("negative", "Give a number, 0 or more."),
    Probability: ("not a probability", "Give a number between 0 and 1."),
    Share: ("not a share", "Give a number between 0 and 1."),
    Percent: ("no share in %", "Give more than 0, up to 100."),
}


def check_range(name: str, value: Any, hint: Any) -> None:
    """Refuse a value that its type's range does not hold; other types are not looked at.

    Args:
        name: Of the option, without dashes.
        value: A number or its text; None and what is no number pass.
        hint: The option's type; of a union its range counts.

    Raises:
        UsageError: The value lies outside the range.

    >>> check_range("threshold", 0.5, Probability | None)
    >>> check_range("threshold", 1.5, Probability | None)
    Traceback (most recent call last):
    histocnn.errors.UsageError: --threshold 1.5 is not a probability. Give a number between 0 and 1.
    """
    for kind in {hint, *get_args(hint)} & _WORDS.keys():
        number = _number(value, kind)
        if number is None:
            continue
        try:
            kind(number)
        except ValueError:
            wrong, remedy = _WORDS[kind]
            raise UsageError(f"--{name} {number} is {wrong}", remedy) from None


def plain(value: Any) -> Any:
    """A number as Python's own, whatever type of ours the command line made it; the rest as it is.

    What is pickled by the type of an option is unpickled by nobody who takes care.

    >>> type(plain(NonNegativeFloat(0.5)))
    <class 'float'>
    """
    for kind in (int, float):
        if isinstance(value, kind) and not isinstance(value, bool):
            return kind(value)
    return value


def in_words(kind: str) -> tuple[str, str] | None:
    """What a value outside a range is not, and what to give, by the range's name; None: no such.

    >>> in_words("PositiveInt")
    ('not a whole number above 0', 'Give at least 1.')
    """
    return next((words for known, words in _WORDS.items() if known.__name__ == kind), None)


def check_ranges(options: Any) -> None:
    """Refuse an options dataclass that holds a value outside its field's range.

    Called by `__post_init__`, so that Python's callers hear what the command line's hear.

    Raises:
        UsageError: Names the option, its value and what to give.
    """
    for name, hint in get_type_hints(type(options)).items():
        check_range(name, getattr(options, name), hint)


def _number(value: Any, kind: Any) -> float | None:
    if isinstance(value, int | float):
        return value
    try:
        return int(value) if issubclass(kind, int) else float(value)
    except (TypeError, ValueError):
        return None
