"""Features of the same patches by several networks: matched row by row, or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import FeaturesError
from histocnn.patches.patches import open_files
from histocnn.reference.features import Features, feature_files, load

Key: TypeAlias = tuple[str, Any]  # the slide, or the folder of images; the corner, or the path
_SAME_FOOTPRINT = 0.01  # relative difference that rounding explains


@dataclass(frozen=True, eq=False)
class Rows:
    """A folder of features, each row with the patch that it is of.

    Attributes:
        name: By which the folder is called.
        folder: The folder, or one file.
        features: Its rows, the unreadable aside; their values stay in the files.
        keys: [N], of each row.
        all_keys: Of every patch, the unreadable, too.
        labelled_keys: Of those that have a label.
    """

    name: str
    folder: Path
    features: Features
    keys: tuple[Key, ...]
    all_keys: frozenset[Key]
    labelled_keys: frozenset[Key]

    def places(self, keys: Sequence[Key]) -> NDArray[np.int64]:
        """Which rows are of these patches, in their order."""
        place = {key: row for row, key in enumerate(self.keys)}
        return np.array([place[key] for key in keys], np.int64)


def open_rows(folder: Path, name: str, entries: Mapping[str, SlideEntry] | None = None) -> Rows:
    """Read a folder of features.

    Raises:
        FeaturesError: As `features.load`, or two rows are of one patch.
    """
    files = feature_files(folder)
    features, every = load(files, entries, stay=True), []
    labelled: set[Key] = set()
    for file in open_files(files):
        places = file.paths if file.coords is None else map(tuple, file.coords.tolist())
        every.append([(file.name, place) for place in places or ()])
        known = zip(every[-1], file.labels.tolist(), strict=True)
        labelled.update(key for key, label in known if label >= 0)
        file.close()
    of_row = zip(features.file.tolist(), features.row.tolist(), strict=True)
    flat = [key for keys in every for key in keys]
    if len(set(flat)) < len(flat):
        raise FeaturesError(
            f"{folder}: {len(flat) - len(set(flat))} patches twice", "Give each file once."
        )
    keys = tuple(every[i][row] for i, row in of_row)
    return Rows(name, folder, features, keys, frozenset(flat), frozenset(labelled))


def names_of(folders: Sequence[Path]) -> list[str]:
    """Folders by as few of their last parts as tell them apart.

    Raises:
        FeaturesError: One stands there twice.

    >>> names_of([Path("a/uni/features"), Path("a/phikon/features")])
    ['uni/features', 'phikon/features']
    >>> names_of([Path("work/uni"), Path("work/phikon.h5")])
    ['uni', 'phikon']
    """
    parts = [folder.resolve().with_suffix("" if folder.suffix == ".h5" else folder.suffix).parts
             for folder in folders]  # fmt: skip
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(own[-count:]) for own in parts]
        if len(set(names)) == len(names):
            return names
    twice = next(str(f) for i, f in enumerate(folders) if parts[i] in parts[:i])
    raise FeaturesError(f"{twice}: given twice", "Give other features to compare with.")


def common(sets: Sequence[Rows]) -> list[Key]:
    """The labelled patches that every network has features of, in the first one's order.

    Raises:
        FeaturesError: They are of other patches, of other footprints, or labelled otherwise.
    """
    first, *others = sets
    for other in others:
        _check_same(first, other)
    readable = set(first.keys).intersection(*(other.keys for other in others))
    known = first.features.labels >= 0
    found = [key for key, own in zip(first.keys, known, strict=True) if own and key in readable]
    if not found:
        raise FeaturesError(
            f"{first.folder}: none of {len(first.keys)} patches has a label",
            "Embed a folder of images by class, or grids tiled with annotations.",
        )
    return found


def _check_same(first: Rows, other: Rows) -> None:
    lacking, more = first.all_keys - other.all_keys, other.all_keys - first.all_keys
    if lacking or more:
        which, of = (lacking, other) if lacking else (more, first)
        raise FeaturesError(
            f"{first.folder} and {other.folder}: features of other patches: {len(which)} of "
            f"{len(first.all_keys | other.all_keys)} are not in {of.folder}, such as "
            f"{_said(min(which, key=str))}",
            "Embed the same grids, or the same images, by each network.",
        )
    own, its = (_footprints(each.features) for each in (first, other))
    for name in own.keys() & its.keys():
        if abs(own[name] / its[name] - 1) > _SAME_FOOTPRINT:
            raise FeaturesError(
                f"{first.folder} and {other.folder}: patches of {own[name]:.4g} and "
                f"{its[name]:.4g} µm of {name}",
                "Tile so that patch_px × mpp is the same.",
            )
    labels = [{key: _label(each.features, row) for row, key in enumerate(each.keys)}
              for each in (first, other)]  # fmt: skip
    differ = [key for key in first.keys if labels[1].get(key, labels[0][key]) != labels[0][key]]
    if differ:
        one, two = (own[differ[0]] or "unknown" for own in labels)
        raise FeaturesError(
            f"{first.folder} and {other.folder}: {len(differ)} patches are labelled otherwise, "
            f"such as {_said(differ[0])}: {one} / {two}",
            "Embed the same grids, or the same images, by each network.",
        )


def _footprints(rows: Features) -> dict[str, float]:
    """By file name the side of its patches in µm, where it is known."""
    pairs = zip(rows.files, rows.scales, strict=True)
    return {file.name: px * mpp for file, (px, mpp) in pairs if px and mpp}


def _label(rows: Features, row: int) -> str:
    return rows.class_names[rows.labels[row]] if rows.labels[row] >= 0 else ""


def _said(key: Key) -> str:
    slide, place = key
    return f"{slide} at {place}" if isinstance(place, tuple) else f"{place} of {slide}"
