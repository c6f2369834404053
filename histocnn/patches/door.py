"""The door through which a file between stages comes in, whoever wrote it.

What is read of it has the shape, the kind and the range that docs/formats.md names, or is refused
with one line. What the tables here do not name passes as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import FeaturesError, StoreError
from histocnn.metrics.terms import Terms
from histocnn.storage import store

MOST_L0 = 2**40  # level-0 px; no slide is so wide
MOST_PX = 100_000  # side of a patch
ROUNDING = 1e-3  # of a share; float16 has it
SUM_ROUNDING = 0.02  # of a row of scores: many classes, each rounded to two digits
AGAIN = "Run the stage that wrote it again, or ask for the file again."


@dataclass(frozen=True)
class Kind:
    """What a dataset with a row per patch may be.

    Attributes:
        row: The shape of a row; None in it is any length, in its place any shape.
        kinds: NumPy's kinds of type; "T" is a text.
        low: Least value.
        high: Greatest value.
        whole: Floating point is taken where it is whole.
    """

    row: tuple[int | None, ...] | None = ()
    kinds: str = "fiu"
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False


_TEXT = Kind(kinds="T")
_SHARE = Kind(low=-ROUNDING, high=1 + ROUNDING)
DATASETS: Mapping[str, Kind] = {
    "coords": Kind((2,), low=-MOST_L0, high=MOST_L0, whole=True),
    "cell": Kind((2,), low=-MOST_L0, high=MOST_L0, whole=True),
    "tissue_fraction": _SHARE,
    "coverage": replace(_SHARE, row=(None,)),
    "labels": Kind(whole=True),
    "excluded": Kind(kinds="bui"),
    "state": Kind(kinds="iu"),
    "colour": Kind((6,)),
    "blur_um": Kind(low=0),
    **dict.fromkeys(("pen_fraction", "fold_fraction", "edge_fraction"), _SHARE),
    "features": Kind(None),
    "scores": replace(_SHARE, row=(None,)),
    "sets": Kind((None,), kinds="b"),
    "neighbours": Kind((None, 2), kinds="iu", low=-1),
    "neighbour_labels": Kind((None,), kinds="iu", low=-1),
    "distances": Kind((None,)),
    "novelty": Kind(low=-ROUNDING, high=100 + ROUNDING),
    **dict.fromkeys(
        ("paths", "slide_ids", "patient_ids", "stain_groups", "seen", "seen_by"), _TEXT
    ),
    "network_cohorts": _TEXT,
    **dict.fromkeys(("reference_files", "reference_sha256"), _TEXT),
    **dict.fromkeys(("reference_slide_ids", "reference_patient_ids"), _TEXT),
}


def read(path: str | Path, *names: str) -> dict[str, Any]:
    """The named datasets, as what they are said to be: arrays, and texts as list[str].

    Raises:
        StoreError: As `store.read`; one has another shape or kind, or values out of its range.
    """
    return {
        name: _checked(name, values, DATASETS[name], Path(path)) if name in DATASETS else values
        for name, values in store.read(path, *names).items()
    }


def attributes(path: str | Path, *names: str) -> dict[str, Any]:
    """The attributes of a file, or some, each of its kind; what others call theirs passes.

    Raises:
        StoreError: As `store.attributes`; one is of another kind.
    """
    said = store.attributes(path, *names)
    for name, value in said.items():
        wanted, fits = ATTRIBUTES.get(name, ("", None))
        if name.endswith(".class_names"):
            wanted, fits = "a list of texts", _texts
        if fits is not None and not fits(value):
            raise StoreError(f"{path}: its {name} is {repr(value)[:60]}, not {wanted}", AGAIN)
    return said


def read_features(path: Path) -> NDArray[np.float32]:
    """Features float32 [N, D]; a row of NaN could not be read.

    Raises:
        FeaturesError: They are not rows of one width.
        StoreError: As `read`.
    """
    values = np.asarray(read(path, "features")["features"], np.float32)
    if values.ndim != 2:
        raise FeaturesError(
            f"{path}: features of shape {values.shape}", "They must be [patches, width]."
        )
    return values


def features_shape(path: Path) -> tuple[int, int]:
    """How many features of which width a file holds; they are not read.

    Raises:
        FeaturesError, StoreError: As `read_features`.
    """
    shape = store.shapes(path).get("features")
    if shape is None:
        raise StoreError(f"{path}: has no features", "Give the folder that embed wrote.")
    if len(shape) == 3 and shape[0] == 1:  # of foreign files
        shape = shape[1:]
    if len(shape) != 2:
        raise FeaturesError(f"{path}: features of shape {shape}", "They must be [patches, width].")
    return shape[0], shape[1]


def check_rows(arrays: Mapping[str, Any], rows: int, path: Path) -> None:
    """Refuse datasets of one file that do not have a row per patch each.

    Raises:
        StoreError: Names one.
    """
    for name, values in arrays.items():
        if len(values) != rows:
            raise StoreError(f"{path}: {len(values)} {name} for {rows} patches", AGAIN)


def check_labels(labels: NDArray[np.int64], class_names: Sequence[str], path: Path) -> None:
    """Refuse labels that point at no class; -1 is unknown.

    Raises:
        StoreError: One does.
    """
    if len(labels) and not -1 <= labels.min() <= labels.max() < len(class_names):
        raise StoreError(
            f"{path}: labels {labels.min()} to {labels.max()} of {len(class_names)} named classes",
            "The dataset labels needs their names in order, as its attribute class_names.",
        )


def _checked(name: str, values: Any, kind: Kind, path: Path) -> Any:
    row = () if kind.row is None else kind.row
    if isinstance(values, list) and not values and kind.kinds != "T":
        values = np.zeros((0, *(length or 0 for length in row)))  # an empty list of whatever
    if isinstance(values, list) != (kind.kinds == "T"):
        raise StoreError(
            f"{path}: its {name} are {'texts' if isinstance(values, list) else 'no texts'}", AGAIN
        )
    if kind.kinds == "T":
        return values
    array = np.asarray(values)
    if kind.row is not None and not _fits(array.shape, row):
        raise StoreError(f"{path}: its {name} have the shape {array.shape}", AGAIN)
    if array.dtype.kind not in kind.kinds:
        raise StoreError(f"{path}: its {name} are of type {array.dtype}", AGAIN)
    if array.size:
        _check_range(name, array, kind, path)
    if name == "scores":
        _check_sums(array, path)
    return array.astype(np.int64) if kind.whole else array


def _fits(shape: tuple[int, ...], row: tuple[int | None, ...]) -> bool:
    return len(shape) == 1 + len(row) and all(
        wanted in (None, found) for wanted, found in zip(row, shape[1:], strict=True)
    )


def _check_range(name: str, array: NDArray[Any], kind: Kind, path: Path) -> None:
    known = array[~np.isnan(array)] if array.dtype.kind == "f" else array
    if kind.whole and (known.size < array.size or (known != np.trunc(known)).any()):
        raise StoreError(f"{path}: its {name} are not all whole numbers", AGAIN)
    if known.size and not kind.low <= known.min() <= known.max() <= kind.high:
        raise StoreError(
            f"{path}: its {name} lie between {known.min():.6g} and {known.max():.6g}, "
            f"not {kind.low:.6g} and {kind.high:.6g}",
            AGAIN,
        )


def _check_sums(scores: NDArray[Any], path: Path) -> None:
    sums = np.asarray(scores, np.float64).sum(axis=1)
    wrong = np.abs(sums - 1) > SUM_ROUNDING  # a NaN is not
    wrong |= np.isnan(scores).any(axis=1) & ~np.isnan(scores).all(axis=1)
    if wrong.any():
        raise StoreError(
            f"{path}: {int(wrong.sum())} of {len(scores)} rows of its scores do not sum to 1",
            "Scores are probabilities: of each patch one per class, or all NaN.",
        )


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_text, value))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _positive(value: Any) -> bool:
    return _number(value) and value > 0


def _pixels(value: Any) -> bool:
    return _number(value) and value == int(value) and 1 <= value <= MOST_PX


def _place(value: Any) -> bool:
    return _number(value) and abs(value) <= MOST_PX


def _numbers(count: int, each: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list | tuple) and len(value) == count and all(map(each, value))
    )


def are_terms(value: Any) -> bool:
    """Whether a stored value says what an encoder's licence allows."""
    try:
        Terms.from_dict(value)
    except ValueError:
        return False
    return True


def _facts(value: Any) -> bool:
    return isinstance(value, Mapping)


ATTRIBUTES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("slide_id", "patient_id", "slide_path"), ("a text", _text)),
    **dict.fromkeys(("fingerprint", "seen", "seen_by"), ("a text", _text)),
    **dict.fromkeys(("patch_px", "stride_px"), ("a whole number of pixels", _pixels)),
    **dict.fromkeys(("mpp", "temperature"), ("a positive number", _positive)),
    **dict.fromkeys(
        ("slide_mpp", "footprint_l0"), ("two positive numbers", _numbers(2, _positive))
    ),
    "encoder": ("an encoder's terms", are_terms),
    "scoring": ("a text", _text),
    "window_px": ("a whole number of pixels", _pixels),
    **dict.fromkeys(("offset_px", "centre_px"), ("a place in a patch", _place)),
    "size_l0": ("two numbers of pixels", _numbers(2, lambda n: _positive(n) and n < MOST_L0)),
    "bounds_l0": ("four numbers", _numbers(4, _number)),
    **dict.fromkeys(
        ("recipe", "training", "thresholds", "stains", "annotation_areas", "conformal", "cover"),
        ("facts by name", _facts),
    ),
}
