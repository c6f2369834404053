"""How arrays, texts and attributes lie in an HDF5 file, and how such a file is opened and made."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from histocnn.errors import StoreError
from histocnn.storage import foreign
from histocnn.storage.atomic import RawFile, replacing, write_error
from histocnn.storage.contained import check_contained, check_size, texts
from histocnn.storage.heaps import check_attributes
from histocnn.storage.json import to_json
from histocnn.storage.ordinary import check_ordinary

PREFIX = "histocnn_"
SIGNATURE = b"\x89HDF\r\n\x1a\n"
ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")  # the second begins an empty archive
CACHE_BYTES = 16 << 20  # holds the open chunks of every dataset, so that each is written once

NUMBERS = "biuf"  # kinds of NumPy types

Datasets = Mapping[str, NDArray[Any] | Sequence[str]]


_PLAIN = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM)
# What h5py and NumPy raise for bytes that make no sense; a StoreError passes.
_OF_A_DAMAGED_FILE = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError),
    *(SystemError, TypeError, ValueError),
)


@contextlib.contextmanager
def creating(path: Path) -> Iterator[tuple[h5py.File, RawFile]]:
    """Make a file that is moved into place, whole, when the block ends well.

    Raises:
        StoreError: It cannot be written; nothing is left behind.
    """
    with replacing(path) as temporary, contextlib.closing(RawFile(temporary)) as raw:
        with h5py.File(raw, "w", rdcc_nbytes=CACHE_BYTES) as file:
            yield file, raw
        if raw.error is not None:
            raise write_error(path, raw.error)


def fill(file: h5py.File, datasets: Datasets) -> None:
    """Write datasets whole; sequences of strings as UTF-8."""
    for name, values in datasets.items():
        array = np.asarray(values)
        if array.dtype.kind in "UO" or (array.size == 0 and not isinstance(values, np.ndarray)):
            strings = h5py.string_dtype()
            file.create_dataset(name, data=np.asarray(values, dtype=object), dtype=strings)
        else:
            file.create_dataset(name, data=array)


def describe(file: h5py.File, attributes: Mapping[str, Any], path: Path) -> None:
    """Write attributes: ours on the root, `dataset.name` on a dataset, and those for others.

    Raises:
        StoreError: One is over 64 kB.
    """
    for name, value in attributes.items():
        dataset, _, attribute = name.rpartition(".")
        target = file[dataset].attrs if dataset else file.attrs
        if value is not None:
            try:
                target[attribute if dataset else PREFIX + name] = encode(value)
            except OSError as error:
                raise StoreError(
                    f"{path}: the attribute {name} is over 64 kB", "Store it as a dataset."
                ) from error
    if "coords" in file:
        file["coords"].attrs.update(foreign.coords_attributes(attributes))


def encode(value: Any) -> Any:
    """Keep numbers, texts and rows of these as they are; write all else as JSON.

    A text that looks like JSON is stored as JSON too, so that `decode` cannot mistake it.
    """
    if isinstance(value, str | Path):
        text = str(value)
        return to_json(text) if text[:1] in ("{", "[", '"') else text
    if isinstance(value, Mapping):
        return to_json(value)
    array = np.asarray(value)
    if array.size and array.dtype.kind in "biuf":
        return array
    if array.size and array.ndim == 1 and array.dtype.kind == "U":
        return np.asarray(value, dtype=h5py.string_dtype())
    return to_json(value)


def decode(value: Any) -> Any:
    """Undo `encode`: rows of numbers become tuples, rows of texts lists.

    Raises:
        TypeError: It is of a kind that `encode` never gives, such as a reference.
        ValueError: It begins as JSON and is none.
    """
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        return json.loads(value) if value[:1] in ("{", "[", '"') else value
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "SO":
            return [each.decode() if isinstance(each, bytes) else each for each in value.tolist()]
        return value.tolist() if value.ndim > 1 else tuple(value.tolist())
    if isinstance(value, np.generic) and value.dtype.kind in "biufS":
        return decode(value.item()) if value.dtype.kind == "S" else value.item()
    raise TypeError(f"an attribute of {type(value).__name__}")


def said_by(item: h5py.Group | h5py.Dataset, names: Iterable[str]) -> dict[str, Any]:
    """What `attributes_of` gives, decoded."""
    return {name: decode(value) for name, value in attributes_of(item, names).items()}


def attributes_of(item: h5py.Group | h5py.Dataset, names: Iterable[str]) -> dict[str, Any]:
    """The attributes of an item that bear these names, as HDF5 gives them.

    Raises:
        TypeError: One is neither numbers nor texts: HDF5 dies of rows of no fixed length.
        ValueError: One is a text that is not there.
    """
    present = [name for name in names if name in item.attrs]
    free = []
    for name in present:
        kind = h5py.h5a.open(item.id, name.encode()).get_type()
        if kind.get_class() not in _PLAIN:
            raise TypeError(f"the attribute {name} is neither numbers nor texts")
        if isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str():
            free.append(name)
    check_attributes(item, free)
    return {name: item.attrs[name] for name in present}


def array_of(dataset: h5py.Dataset, path: Path) -> NDArray[Any] | list[str]:
    """Read a dataset: an array of numbers, or list[str] for texts.

    Raises:
        StoreError: It is neither, or declares more than the file holds.
    """
    check_size(dataset, path)
    if h5py.check_string_dtype(dataset.dtype) is not None:
        if dataset.ndim == 1:
            return list(texts(dataset, path))
        raise StoreError(f"{path}: texts of shape {dataset.shape}", "They must be a list.")
    if dataset.dtype.kind not in NUMBERS:
        raise StoreError(
            f"{path}: its {dataset.name.lstrip('/')} are of type {dataset.dtype}",
            "Only numbers and texts are read.",
        )
    return np.asarray(dataset[()])


def is_ours(file: h5py.File) -> bool:
    """Whether a file carries our attributes."""
    return any(name.startswith(PREFIX) for name in file.attrs)


@contextlib.contextmanager
def opening(path: Path) -> Iterator[h5py.File]:
    """Open for reading: the one place where a file of whatever origin is opened.

    Without HDF5's lock: a file in place never changes, media may be sealed. The block only reads:
    whatever a damaged file makes h5py raise, of many kinds, is the file's fault.

    Raises:
        StoreError: Missing, not HDF5, cut short or damaged, or not all of it lies in the file.
    """
    try:
        check_ordinary(path)
        with h5py.File(path, "r", locking=False) as file:
            check_contained(file, path)
            yield file
    except FileNotFoundError as error:
        raise StoreError(f"{path}: there is no such file", "Check the folder's name.") from error
    except _OF_A_DAMAGED_FILE as error:
        raise _unusable(path, error) from error


def check_is_hdf5(path: Path) -> None:
    """Refuse a file that a user names and that is plainly something else.

    Raises:
        StoreError: It cannot be read, or does not begin as an HDF5 file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(SIGNATURE))
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error.strerror or error})", "Check its name and permissions."
        ) from error
    if start.startswith(ZIP_SIGNATURES):
        raise StoreError(f"{path}: a zip archive", "Unzip it and give the folder.")
    if start != SIGNATURE:
        raise StoreError(f"{path}: not an HDF5 file", "Give what a stage of histocnn wrote.")


def _unusable(path: Path, error: Exception) -> StoreError:
    """The error for a file that HDF5 cannot use: what the file is decides the remedy.

    Nothing is to be deleted: it may not be ours, and a stage replaces what is not whole.
    """
    try:
        check_is_hdf5(path)
    except StoreError as other:
        return other
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return StoreError(
        f"{path}: not a whole HDF5 file ({reason})",
        "Copy it again, or run the stage that wrote it again.",
    )
