"""Why a patch is called what it is: its scores, and the labelled patches nearest to it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import HistocnnError, PatchesError, StoreError, UsageError
from histocnn.patches import door
from histocnn.patches.gridpixels import GridPixels
from histocnn.patches.patches import FilePatches
from histocnn.pictures.palette import class_colours
from histocnn.storage import store
from histocnn.storage.hashing import sha256
from histocnn.viewing.acts import row_at
from histocnn.viewing.layers import grid_of
from histocnn.viewing.opened import Desk, Opened

SHOWN = 12  # neighbours
_NEAR = ("neighbours", "neighbour_labels", "distances")


class References:
    """The labelled features that scores name, found again by name and content.

    Args:
        folders: Where to look, in this order.
        desk: Knows where slides are, and which are on the shelf.
    """

    def __init__(self, folders: Iterable[Path], desk: Desk) -> None:
        self.folders, self.desk = tuple(folders), desk
        self._known: dict[tuple[str, str], FilePatches | None] = {}

    def find(self, name: str, digest: str) -> FilePatches | None:
        """The file of this name whose sha256 is the one that was recorded; None: it is not here."""
        key = name, digest
        if key not in self._known:
            self._known[key] = self._found(name, digest)
        return self._known[key]

    def _found(self, name: str, digest: str) -> FilePatches | None:
        if Path(name).name != name:  # a score file may come from a stranger
            return None
        for path in (folder / name for folder in self.folders):
            if path.is_file() and sha256(path) == digest:
                return FilePatches(path, self._entry(FilePatches(path).name))
        return None

    def _entry(self, slide_id: str) -> Any:
        number = self.desk.number_of(slide_id)
        return None if number is None else self.desk.shelf.slides[number].entry


def folders_near(path: Path, named: Path | None = None) -> list[Path]:
    """Where a reference may lie: what was named, else in or beside the path.

    >>> [each.as_posix() for each in folders_near(Path("out/scores"), Path("ref/a.h5"))]
    ['ref']
    """
    if named is not None:
        return [named if named.is_dir() else named.parent]
    around = [path, path.parent, path.parent.parent]
    inner = ("", "reference", "features")
    found = [place / name for place in around for name in inner]
    return [place for place in dict.fromkeys(found) if place.is_dir()]


def why(
    opened: Opened, source: int, x_l0: float, y_l0: float, references: References
) -> dict[str, Any]:
    """What there is to say of the patch at a point of the slide.

    Args:
        opened: The slide.
        source: Number of the source.
        x_l0: Level-0 px.
        y_l0: Level-0 px.
        references: Where its neighbours may be.

    Raises:
        UsageError: There is no patch.
        StoreError: The source has no file of this slide, or it cannot be placed.
    """
    boxes = opened.once(("boxes", source), lambda: grid_of(opened, source)[0].boxes_l0())
    row = row_at(x_l0, y_l0, boxes)
    if row is None:
        raise UsageError("there is no patch here")
    said: dict[str, Any] = {"row": row, "box": boxes[row].tolist()}
    file = opened.file(source)
    label = int(file.labels[row])
    said["label"] = file.class_names[label] if label >= 0 else None
    if opened.has_scores(source):
        said |= _scores(opened, source, row)
        said |= _neighbours(opened, source, row, references)
    return said


def _scores(opened: Opened, source: int, row: int) -> dict[str, Any]:
    slide = opened.scored(source)
    pairs = zip(slide.class_names, slide.scores[row], strict=True)
    said: dict[str, Any] = {"scores": {name: _number(value) for name, value in pairs}}
    if slide.novelty is not None:
        said["novelty"] = _number(slide.novelty[row])
    if slide.uncertain is not None:
        said["uncertain"] = bool(slide.uncertain[row])
    said["quality"] = {name: _number(values[row]) for name, values in slide.quality.items()}
    return said


def _neighbours(opened: Opened, source: int, row: int, references: References) -> dict[str, Any]:
    """The labelled patches that were nearest, as many as are shown; {} where none were asked."""
    near = _near(opened, source)
    if near is None:
        return {}
    names = opened.scored(source).class_names
    colours = class_colours(names).tolist()
    found, missing = [], False
    for rank in range(min(SHOWN, near["distances"].shape[1])):
        file, own = (int(value) for value in near["neighbours"][row, rank])
        label = int(near["neighbour_labels"][row, rank])
        if file < 0 or not 0 <= label < len(names):
            continue
        said = {"rank": rank, "label": names[label], "colour": colours[label],
                "distance": _number(near["distances"][row, rank])}  # fmt: skip
        patches = _file_of(near, file, references)
        missing |= patches is None
        found.append(said | (_place(patches, own, references.desk) if patches else {}))
    note = "The reference is not here: say where it is with --reference." if missing else None
    return {"neighbours": found, "note": note}


def _near(opened: Opened, source: int) -> Mapping[str, Any] | None:
    """What `knn` stored of the neighbours, read once; None where it did not.

    Raises:
        StoreError: They do not fit the patches.
    """
    path, rows = opened.file(source).file, len(opened.scored(source).scores)

    def read() -> Mapping[str, Any] | None:
        shapes = store.shapes(path)
        wanted = (*_NEAR, "reference_files", "reference_sha256")
        if not set(wanted) <= shapes.keys():
            return None
        found = door.read(path, *wanted)
        door.check_rows({name: found[name] for name in _NEAR}, rows, path)
        widths = {found[name].shape[1] for name in _NEAR}
        if len(widths) != 1 or len(found["reference_files"]) != len(found["reference_sha256"]):
            raise StoreError(f"{path}: its neighbours do not fit each other", door.AGAIN)
        return found

    near: Mapping[str, Any] | None = opened.once(("near", source), read)
    return near


def _file_of(near: Mapping[str, Any], file: int, references: References) -> FilePatches | None:
    if not 0 <= file < len(near["reference_files"]):
        return None
    return references.find(near["reference_files"][file], near["reference_sha256"][file])


def _place(patches: FilePatches, row: int, desk: Desk) -> dict[str, Any]:
    """Whose a labelled patch is, and how to go there."""
    try:
        if not 0 <= row < len(patches):
            return {}
        slide, patient = patches.slide_ids[row], patches.patient_ids[row]
        said: dict[str, Any] = {"slide": slide or patches.name, "patient": patient or None}
        if patches.coords is not None:
            said |= {"go": desk.number_of(said["slide"]), "box": _box(patches, row)}
    except HistocnnError:
        return {}
    return said


def _box(patches: FilePatches, row: int) -> list[float]:
    assert patches.coords is not None and isinstance(patches.pixels, GridPixels)  # noqa: S101, PT018
    x, y = patches.coords[row].tolist()
    width, height = patches.pixels.footprint_l0
    return [x, y, x + width, y + height]


def patch(opened: Opened, source: int, row: int) -> NDArray[np.uint8]:
    """The pixels of a patch [H, W, 3].

    Raises:
        UsageError: There is no such patch.
        HistocnnError: Its pixels cannot be had.
    """
    file = opened.file(source)
    if row >= len(file):
        raise UsageError(f"there is no patch {row}")
    return file.patch(row)


def neighbour(
    opened: Opened, source: int, row: int, rank: int, references: References
) -> NDArray[np.uint8]:
    """The pixels of a labelled patch that decided another, [H, W, 3].

    Raises:
        UsageError: There is none of this rank.
        PatchesError: The reference is not here.
        HistocnnError: Its pixels cannot be had.
    """
    near = _near(opened, source) if opened.has_scores(source) else None
    if near is None or row >= len(near["neighbours"]) or rank >= near["neighbours"].shape[1]:
        raise UsageError("there is no such neighbour")
    file, own = (int(value) for value in near["neighbours"][row, rank])
    patches = _file_of(near, file, references)
    if patches is None or not 0 <= own < len(patches):
        raise PatchesError("the reference is not here", "Say where it is with --reference.")
    return patches.patch(own)


def _number(value: float) -> float | None:
    """A number that JSON knows."""
    return float(value) if math.isfinite(value) else None
