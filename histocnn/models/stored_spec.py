"""The text that travels with a model's weights, checked before anything is made of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, get_args

from histocnn.errors import MetricError, ModelError
from histocnn.metrics.conformal import Calibration
from histocnn.models.pooling import Pool
from histocnn.models.preparation import Interpolation
from histocnn.patches.door import are_terms
from histocnn.reference.colour import ColourReference
from histocnn.slides.stain import Normaliser

MOST_CLASSES = 1 << 16
MOST_PX = 100_000  # side of an image


def parsed(text: str) -> dict[str, Any]:
    """The facts of a stored spec by name, those that are there each of its kind.

    Raises:
        ModelError: It is no JSON object, or a fact is of another kind.
    """
    try:
        stored = json.loads(text)
        json.dumps(stored, ensure_ascii=False).encode()  # half a sign (\ud800) is no text
    except (ValueError, RecursionError):
        stored = None
    if not isinstance(stored, dict):
        raise ModelError("what the model says of itself is no JSON object", TRAINED)
    return stored


def check(stored: Mapping[str, Any]) -> None:
    """Refuse facts that are not of their kind; what is not named here passes.

    Raises:
        ModelError: Names the fact and its value.
    """
    for name, (wanted, fits) in FACTS.items():
        if name in stored and not fits(stored[name]):
            raise ModelError(
                f"the model's {name} is {repr(stored[name])[:60]}, not {wanted}", TRAINED
            )
    if "backbone" not in stored:
        raise ModelError("the model does not say which network it is", TRAINED)


TRAINED = "Give the model.safetensors that train wrote."


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _names(value: Any) -> bool:
    return _texts(value) and len(set(value)) == len(value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _positive(value: Any) -> bool:
    return _number(value) and 0 < value < 1e300


def _side(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_PX


def _facts(value: Any) -> bool:
    return isinstance(value, dict)


def _of_rgb(each: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and len(value) == 3 and all(map(each, value))


def _or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


def _stain(value: Any) -> bool:
    try:
        stains = Normaliser.from_dict(value).reference
    except (TypeError, ValueError, LookupError, OverflowError):
        return False
    numbers = [*stains.vectors[0], *stains.vectors[1], *stains.maxima]
    return len(numbers) == 8 and all(map(_number, numbers)) and min(stains.maxima) > 0


def _colours(value: Any) -> bool:
    try:
        ColourReference.from_dict(value, MOST_CLASSES)
    except (TypeError, ValueError, LookupError):
        return False
    return True


def _limits(value: Any) -> bool:
    try:
        Calibration.from_dict(value)
    except MetricError:
        return False
    return True


def _ids(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(part, dict) and all(map(_texts, part.values())) for part in value.values()
    )


def _cohorts(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(own, dict) and _ids(own.get("parts")) and _or_none(_text)(own.get("salt"))
        for own in value
    )


def _thresholds(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(of, dict) for of in value.values())


def _dense(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _positive(value.get("temperature", 1.0))
        and _thresholds(value.get("thresholds", {}))
        and _facts(value.get("validation", {}))
        and _text(value.get("refused", ""))
    )


FACTS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "backbone": ("a name", _text),
    "arguments": ("facts by name", _facts),
    "layers": ("names", _texts),
    "class_names": ("names, each once", _names),
    "patch_px": ("a size", _or_none(_side)),
    "mpp": ("a positive number", _or_none(_positive)),
    "input_px": ("a size", _or_none(_side)),
    "resize_px": ("a size", _or_none(_side)),
    "interpolation": ("bilinear or bicubic", get_args(Interpolation).__contains__),
    "pool": ("a way of pooling", _or_none(get_args(Pool).__contains__)),
    "mean": ("three numbers", _of_rgb(_number)),
    "std": ("three positive numbers", _of_rgb(_positive)),
    "stain": ("a stain normalisation", _or_none(_stain)),
    "temperature": ("a positive number", _positive),
    "thresholds": ("thresholds by name", _thresholds),
    "dense": ("facts of dense scores", _dense),
    "seen": ("ids by part", _ids),
    "earlier": ("cohorts", _cohorts),
    "salt": ("a text", _or_none(_text)),
    "training": ("facts by name", _facts),
    "validation": ("facts by name", _facts),
    "colour": ("colours of training", _or_none(_colours)),
    "conformal": ("limits of prediction sets", _or_none(_limits)),
    "encoder": ("an encoder's terms", _or_none(are_terms)),
    "version": ("a text", _text),
}
