"""The space of a search as the configuration writes it, refused where it cannot be meant."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from histocnn.errors import UsageError
from histocnn.models.options import SECTIONS
from histocnn.searching.options import FeatureOptions, nearest
from histocnn.searching.space import Parameter, same
from histocnn.storage.json import to_json

WORDS = ("choices", "low", "high", "log", "step", "when")
# What decides who is validated and tested cannot be searched.
DECIDES = {
    *("data.patches", "data.slides", "data.patient_pattern", "data.class_names", "data.split_by"),
    *("data.fractions", "data.folds", "data.fold", "data.calibration", "data.split_file"),
    *("data.allow_shared_patient", "data.allow_copies", "data.hard", "trainer.fast_dev_run"),
    *("features.sets", "features.fractions", "features.split_file", "features.split_seed"),
}


def parse_space(given: Any, of_features: bool) -> tuple[Parameter, ...]:
    """The space, what a condition names before what depends on it.

    Args:
        given: `search.space` as the YAML has it.
        of_features: Whether features are searched, and no training.

    Raises:
        UsageError: An unknown key (the nearest is offered), one that cannot be searched, an empty
            list or range, a condition on what is not searched.

    >>> [p.key for p in parse_space({"model.dropout": [0, 0.5]}, of_features=False)]
    ['model.dropout']
    >>> parse_space({"model.dropuot": [0]}, of_features=False)
    Traceback (most recent call last):
    histocnn.errors.UsageError: search.space.model.dropuot is no key. Did you mean model.dropout?
    """
    if not isinstance(given, Mapping) or not given:
        raise UsageError("search.space is empty", "Name keys and the values to be tried.")
    hints = known_keys(of_features)
    parsed = {str(key): _parameter(str(key), spec, hints) for key, spec in given.items()}
    for parameter in parsed.values():
        for key, admitted in parameter.when.items():
            where = f"search.space.{parameter.key}.when.{key}"
            if key not in parsed:
                raise UsageError(f"{where} is not searched", nearest(key, parsed))
            possible = parsed[key].choices
            strange = [v for v in admitted if not any(same(v, one) for one in possible)]
            if strange:
                raise UsageError(
                    f"{where}: {strange[0]!r} is not among its choices",
                    f"Name some of {', '.join(map(str, possible))}." if possible
                    else f"Give {key} a list: a condition names its values.",
                )  # fmt: skip
    return tuple(_in_order(parsed))


def known_keys(of_features: bool) -> dict[str, Any]:
    """Every key that may be searched, with its type."""
    sections = {"features": FeatureOptions} if of_features else SECTIONS
    found = {
        f"{name}.{f.name}": get_type_hints(kind)[f.name]
        for name, kind in sections.items()
        for f in fields(kind)
    }
    return {key: hint for key, hint in found.items() if key not in DECIDES}


def _parameter(key: str, spec: Any, hints: Mapping[str, Any]) -> Parameter:
    where = f"search.space.{key}"
    if key in DECIDES:
        raise UsageError(
            f"{where} cannot be searched: it decides who is validated", "Take it out of the space."
        )
    if key not in hints:
        raise UsageError(f"{where} is no key", nearest(key, hints))
    if isinstance(spec, list):
        spec = {"choices": spec}
    if not isinstance(spec, Mapping):
        raise UsageError(
            f"{where}: {spec!r:.60} is no list and no range", "Write [a, b], or low and high."
        )
    for word in map(str, spec):
        if word not in WORDS:
            raise UsageError(f"{where}.{word} is no word of a space", nearest(word, WORDS))
    when = _when(where, spec.get("when", {}))
    if ("choices" in spec) == ("low" in spec or "high" in spec):
        raise UsageError(f"{where}: give choices, or low and high", "One of both.")
    if "choices" in spec:
        return Parameter(key, _choices(where, spec["choices"], hints[key]), when=when)
    return _range(where, key, spec, hints[key], when)


def _choices(where: str, given: Any, hint: Any) -> tuple[Any, ...]:
    if not isinstance(given, list) or not given:
        raise UsageError(f"{where}: an empty list", "Give the values to be tried.")
    if not any(one in (str, Any) for one in (hint, *get_args(hint))):
        given = [_as_number(choice) for choice in given]
    texts = [to_json(choice) for choice in given]
    twice = [text for text in texts if texts.count(text) > 1]
    if twice:
        raise UsageError(f"{where}: {twice[0]} stands there twice", "Name each value once.")
    return tuple(given)


def _when(where: str, given: Any) -> dict[str, tuple[Any, ...]]:
    if not isinstance(given, Mapping):
        raise UsageError(f"{where}.when: {given!r:.60} names no key", "Write when: {KEY: value}.")
    return {
        str(key): tuple(value) if isinstance(value, list) else (value,)
        for key, value in given.items()
    }


def _range(
    where: str, key: str, spec: Mapping[str, Any], hint: Any, when: Mapping[str, tuple[Any, ...]]
) -> Parameter:
    kinds = [one for one in (hint, *get_args(hint)) if isinstance(one, type)]
    whole = any(issubclass(one, int) and one is not bool for one in kinds)
    if not whole and not any(issubclass(one, float) for one in kinds):
        raise UsageError(f"{where} takes no numbers", "Give a list of its values.")
    low, high, step = (
        _whole_or_not(f"{where}.{word}", spec.get(word), whole) for word in ("low", "high", "step")
    )
    if low is None or high is None:
        raise UsageError(f"{where} has one end only", "Give low and high.")
    log = spec.get("log", False)
    if not isinstance(log, bool):
        raise UsageError(f"{where}.log {log!r:.60} is no switch", "Write true or false.")
    if low >= high:
        raise UsageError(
            f"{where}: the range {low:g} to {high:g} is empty", "Let low be below high."
        )
    if log and low <= 0:
        raise UsageError(f"{where}: no logarithm of {low:g}", "Let low be above 0.")
    if step is not None and (log or not 0 < step <= high - low):
        raise UsageError(
            f"{where}.step {step:g} cannot be", "No step of a logarithm, or beyond it."
        )
    return Parameter(key, (), low, high, whole, log, step, when)


def _whole_or_not(where: str, value: Any, whole: bool) -> float | None:
    if value is None:
        return None
    number = _number(value)
    if number is None or (whole and number != int(number)):
        kind = "whole number" if whole else "number"
        raise UsageError(f"{where} {value!r:.60} is no {kind}", f"Give a {kind}.")
    return int(number) if whole else number


def _number(value: Any) -> float | None:
    """A number, also 1e-4, which YAML takes for a text; None of all else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _as_number(value: Any) -> Any:
    number = _number(value) if isinstance(value, str) else None
    return value if number is None else number


def _in_order(parsed: Mapping[str, Parameter]) -> Iterator[Parameter]:
    left = dict(parsed)
    while left:
        free = [key for key, p in left.items() if not p.when.keys() & left.keys()]
        if not free:
            raise UsageError(
                f"search.space: {' and '.join(left)} depend on each other",
                "Take one condition out.",
            )
        yield from (left.pop(key) for key in free)
