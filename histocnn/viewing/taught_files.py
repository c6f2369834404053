"""What a session taught, as files: regions for QuPath, and labelled features for knn and train.

Both bear the slide, who taught, when the session began and its random id, so that no two sessions
write one file; each is whole or not there. `<name>.geojson` is what QuPath reads and `tile` takes
as an annotation. `<name>.h5` holds the labelled patches alone, as `embed` would have written them:
a reference for `knn` and `probe` (give the folder), patches for `train` (their pixels are read from
the slide). Saving again renews the session's own files and no others.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from histocnn.errors import StoreError, UsageError
from histocnn.patches import door
from histocnn.patches.classes import renumber, used
from histocnn.patches.patch_set import CARRIED
from histocnn.patches.patches import FilePatches
from histocnn.pictures.palette import class_colours
from histocnn.reference.features import COHORTS
from histocnn.regions.geojson import Feature, write_geojson
from histocnn.storage import store
from histocnn.storage.hashing import sha256

_WHO = re.compile(r"[A-Za-z0-9_-]{0,40}")
_SESSION = re.compile(r"\.\d{8}T\d{6}Z\.[0-9a-f]{16}$")  # how the name of a session's file ends
_OF_ANNOTATIONS = ("coverage", "excluded", "state", "truth", "annotation_areas")


@dataclass(frozen=True, eq=False)
class Taught:
    """What holds at the end of a session.

    Attributes:
        labels: int64 [N] into `class_names`, -1 unknown.
        class_names: The session's classes.
        areas: Class and area (level-0 px) of what was drawn and picked.
        size_l0: Width and height of the slide, px.
    """

    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    areas: Sequence[tuple[str, BaseGeometry]]
    size_l0: tuple[int, int]


@dataclass(frozen=True)
class Saved:
    """The files of a session.

    Attributes:
        annotation: GeoJSON, as QuPath has it.
        reference: Labelled features.
        counts: How many patches of each class.
    """

    annotation: Path
    reference: Path
    counts: dict[str, int]


class TaughtFiles:
    """The files of one session.

    Args:
        folder: Where they go.
        patches: The slide's features.
        who: Part of their names; may be empty.

    Attributes:
        session: Random id.

    Raises:
        UsageError: `who` cannot be part of a file's name.
    """

    def __init__(self, folder: Path, patches: FilePatches, who: str = "") -> None:
        check_name(who)
        self.folder, self.patches, self.who = folder, patches, who
        self.began = datetime.now(UTC)
        self.session = ""
        self._opened = _state(patches.file)
        self._written = False
        self._name()

    @property
    def paths(self) -> tuple[Path, Path]:
        """Of the annotation and of the reference, there or not yet."""
        began = f"{self.began:%Y%m%dT%H%M%SZ}"
        stem = ".".join(filter(None, (self.patches.name, self.who, began, self.session)))
        return self.folder / f"{stem}.geojson", self.folder / f"{stem}.h5"

    def save(self, taught: Taught) -> Saved:
        """Write both files.

        Raises:
            UsageError: Nothing is labelled.
            StoreError: One cannot be written, or the features are others than were taught on.
        """
        if _state(self.patches.file) != self._opened:
            raise StoreError(
                f"{self.patches.file}: was written anew while it was taught on",
                "Begin another session: its patches may be others.",
            )
        if not (taught.labels >= 0).any():
            raise UsageError("nothing is labelled", "Label a patch of each class first.")
        if not self._written and any(path.exists() for path in self.paths):
            self._name()  # another session drew the same id, which will not happen
        annotation, reference = self.paths
        self._write_annotation(annotation, taught)
        self._write_reference(reference, taught)
        self._written = True
        numbers = np.bincount(taught.labels[taught.labels >= 0], minlength=len(taught.class_names))
        counted = zip(taught.class_names, numbers.tolist(), strict=True)
        return Saved(annotation, reference, {name: count for name, count in counted if count})

    def _name(self) -> None:
        """Draw an id that no file in the folder bears."""
        self.session = secrets.token_hex(8)
        while any(path.exists() for path in self.paths):
            self.session = secrets.token_hex(8)

    def _write_annotation(self, path: Path, taught: Taught) -> None:
        slide = shapely.box(0, 0, *taught.size_l0)
        rgb = class_colours(taught.class_names).tolist()
        colours = {n: (r, g, b) for n, (r, g, b) in zip(taught.class_names, rgb, strict=True)}
        features = [
            Feature(area.intersection(slide), class_name=name, colour=colours[name])
            for name, area in taught.areas
        ]
        write_geojson(path, features, bounds_l0=self.patches.attributes.get("bounds_l0"))

    def _write_reference(self, path: Path, taught: Taught) -> None:
        source = self.patches.file
        rows = np.flatnonzero(taught.labels >= 0)
        names = sorted(used(taught.labels, taught.class_names))
        shapes = store.shapes(source)
        kept = [n for n in ("features", *CARRIED) if n in shapes and n not in _OF_ANNOTATIONS]
        datasets: dict[str, Any] = {
            name: [values[row] for row in rows] if isinstance(values, list) else values[rows]
            for name, values in door.read(source, *kept).items()
        }
        datasets["labels"] = renumber(taught.labels[rows], taught.class_names, names)
        if COHORTS in shapes:
            datasets[COHORTS] = door.read(source, COHORTS)[COHORTS]
        said = {
            name: value
            for name, value in self.patches.attributes.items()
            if name.split(".")[0] not in _OF_ANNOTATIONS
        }
        recipe = said.get("recipe") or {}
        teaching = {"session": self.session, "who": self.who, "began": self.began.isoformat()}
        said["recipe"] = {
            "stage": "teach",
            "network": recipe.get("network"),
            "features": sha256(source),
            **teaching,
        }
        store.write(path, datasets, {**said, "labels.class_names": names})


def check_name(who: str) -> None:
    """Refuse who teaches under a name that cannot be part of a file's.

    Raises:
        UsageError: It cannot.
    """
    if not _WHO.fullmatch(who):
        raise UsageError(
            f"{who!a} cannot be part of a file's name", "Use at most 40 letters, digits, - and _."
        )


def is_session(stem: str) -> bool:
    """Whether a file's name, without its kind, is one of a session's.

    >>> is_session("a.ana.20250102T030405Z.0123456789abcdef"), is_session("a")
    (True, False)
    """
    return _SESSION.search(stem) is not None


def _state(file: Path) -> tuple[int, int] | None:
    """What changes when a file is replaced; None where it is gone."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
