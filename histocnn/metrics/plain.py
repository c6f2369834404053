"""Frozen dataclasses as JSON and back, checked field by field against their types.

A field whose default is None is left out where it is None: the section is not there. Every other
None is written as null: the figure is undefined.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from histocnn.errors import MetricError


def to_text(value: Any) -> str:
    """Write a dataclass as JSON, keys in order, with a line's end.

    >>> from histocnn.metrics.sections import Figure
    >>> read_as(Figure, parsed(to_text(Figure(0.5, None, None))))
    Figure(value=0.5, low=None, high=None)
    """
    text = json.dumps(
        plain(value), sort_keys=True, ensure_ascii=False, indent=2, allow_nan=False
    )  # fmt: skip
    return text + "\n"


def parsed(text: str) -> Any:
    """The JSON value of a text.

    Raises:
        MetricError: It is no JSON.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise MetricError(f"no JSON: {error}", "Give a metrics.json.") from None


def plain(value: Any) -> Any:
    """Dataclasses as dicts, tuples as lists, NumPy's numbers as Python's, NaN as None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(own)
            for field in dataclasses.fields(value)
            if (own := getattr(value, field.name)) is not None or field.default is not None
        }
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_as(kind: Any, value: Any, where: str = "metrics.json") -> Any:
    """A JSON value as an instance of a type: dataclass, mapping, tuple, union, number, text.

    Args:
        kind: The type.
        value: What `json` gave.
        where: Path of the value, for errors.

    Raises:
        MetricError: The value is of another type, or a key is missing or unknown.
    """
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _instance(kind, value, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, Union):
        return _one_of(arguments, value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(read_as(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is not None and origin is not tuple and isinstance(value, dict):
        return {key: read_as(arguments[1], own, f"{where}.{key}") for key, own in value.items()}
    wanted = (int, float) if kind is float else kind
    if origin is None and isinstance(value, wanted) and not isinstance(value, bool):
        return value
    raise MetricError(f"{where} is {value!r:.60}", f"It should be {kind}.")


def _instance(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise MetricError(f"{where} is {value!r:.60}", f"It should be a {kind.__name__}.")
    hints = hints_of(kind)
    needed = {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    wrong = sorted((needed - value.keys()) | (value.keys() - hints.keys()))
    if wrong:
        raise MetricError(
            f"{where}: {', '.join(wrong)} missing or unknown", f"It should be a {kind.__name__}."
        )
    return kind(**{key: read_as(hints[key], own, f"{where}.{key}") for key, own in value.items()})


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    """The value as the first of the types that it fits; a lone one says what is wrong with it."""
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    for kind in kinds:
        if kind is kinds[-1] or isinstance(value, dict) == dataclasses.is_dataclass(kind):
            return read_as(kind, value, where)
    raise AssertionError("the last kind was tried")


@cache
def hints_of(kind: type) -> dict[str, Any]:
    """The types of a dataclass's fields, resolved once."""
    return get_type_hints(kind)
