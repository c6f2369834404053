"""Patches opened: a file of any stage, a folder of images by class, or a CSV of images.

>>> id_of({"slide_id": "case7"}, Path("case7_patches.h5"))
'case7'
>>> id_of({}, Path("case8.h5"))
'case8'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.sheet import SlideEntry, read_cohort
from histocnn.cohort.whose import patients_of
from histocnn.errors import PatchesError, StoreError, UsageError
from histocnn.patches import door
from histocnn.patches.gridpixels import GridPixels
from histocnn.patches.images import ImageFiles, RecordedImages
from histocnn.patches.listing import Listing, list_csv, list_folder
from histocnn.patches.patch_set import CARRIED, Datasets, Patches
from histocnn.slides.slide import Slide
from histocnn.storage import store
from histocnn.storage.hdf5 import check_is_hdf5

__all__ = ["FilePatches", "ImagePatches", "Patches", "id_of", "open_files", "open_patches"]


class FilePatches(Patches):
    """The rows of a grid, feature or score file; pixels come from its slide or image files.

    Args:
        file: The HDF5 file of any stage.
        slide: Where the slide is now; default: where it was when the file was written.
    """

    def __init__(self, file: Path, slide: SlideEntry | None = None) -> None:
        self.file = file
        self.entry = slide

    def __reduce__(self) -> tuple[type[FilePatches], tuple[Path, SlideEntry | None]]:
        return FilePatches, (self.file, self.entry)  # arrays and handles stay where they are

    @cached_property
    def name(self) -> str:
        """The slide that the file names, whatever the file is called; see `id_of`."""
        known = self.__dict__.get("attributes")
        try:  # of thousands of files this is asked before one is read
            return id_of(known or door.attributes(self.file, "slide_id"), self.file)
        except StoreError:  # said again by whoever reads it, so that only this slide fails
            return self.file.stem

    @cached_property
    def datasets(self) -> Datasets:
        """The arrays and lists with one entry per patch that stages copy on."""
        _ = self.attributes  # says what is wrong with a file that cannot be opened
        shapes = store.shapes(self.file)
        present = [name for name in CARRIED if name in shapes]
        arrays = door.read(self.file, *present) if present else {}
        if "coords" not in arrays and "paths" not in arrays:
            raise PatchesError(
                f"{self.file}: neither coords nor paths, so no patches",
                "Give what tile, embed, predict or knn wrote.",
            )
        door.check_rows(arrays, len(arrays["coords" if "coords" in arrays else "paths"]), self.file)
        return arrays

    @cached_property
    def stored(self) -> dict[str, Any]:
        """All attributes of the file, those of its datasets too."""
        return door.attributes(self.file)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The file attributes that stages copy on."""
        everything = self.stored
        carried = {f"{name}.class_names" for name in ("labels", "coverage", "state")}
        kept = {k: v for k, v in everything.items() if "." not in k or k in carried}
        listed = {"patient_id": self.entry.patient_id} if self.entry else {}
        return kept | {k: v for k, v in listed.items() if v}  # slides.csv knows it better

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """int64 [N]: index into `class_names`, -1 unknown; StoreError where one is no class's."""
        found = super().labels
        door.check_labels(found, self.class_names, self.file)
        return found

    @cached_property
    def pixels(self) -> GridPixels | ImageFiles:
        """The slide, or the image files."""
        if self.coords is not None:
            path = self.entry.slide_path if self.entry else None
            return GridPixels(self.file, self.attributes, self.coords, path)
        root, known = (self.attributes.get(name) for name in ("slide_path", "fingerprint"))
        paths = self.datasets["paths"]
        return RecordedImages(Path(root or "."), paths, file=self.file, recorded=known)

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The file, for `jobs.run.run`."""
        return (self.file,)

    def close(self) -> None:
        """Give back the slide and the arrays; the name stays."""
        super().close()
        for held in ("pixels", "datasets", "attributes", "stored"):
            self.__dict__.pop(held, None)

    @property
    def annotation_path(self) -> Path | None:
        """What slides.csv says was drawn on the slide; None where nothing does."""
        return self.entry.annotation_path if self.entry else None

    @property
    def slide(self) -> Slide:
        """The slide, checked to be the one that was tiled.

        Raises:
            PatchesError: It is gone, another file lies in its place, or there never was one.
        """
        if isinstance(self.pixels, GridPixels):
            return self.pixels.slide
        raise PatchesError(f"{self.file}: its patches are image files", "Use patches of a slide.")


class ImagePatches(Patches):
    """Image files of a folder or CSV; `mpp` is their µm/px, where somebody said it."""

    def __init__(self, name: str, listing: Listing, mpp: float | None = None) -> None:
        self._name = name
        self._listing = listing
        self._mpp = mpp

    @property
    def name(self) -> str:
        """The folder's or CSV's name."""
        return self._name

    def only(self, rows: NDArray[np.int64]) -> ImagePatches:
        """These images alone; the classes keep their numbers only if each still has one."""
        kept, chosen = self._listing, rows.tolist()
        listing = replace(
            kept,
            paths=[kept.paths[row] for row in chosen],
            classes=[kept.classes[row] for row in chosen],
            patient_ids=[kept.patient_ids[row] for row in chosen],
            slide_ids=[kept.slide_ids[row] for row in chosen],
            splits=[kept.splits[row] for row in chosen],
        )
        return ImagePatches(self._name, listing, self._mpp)

    @cached_property
    def pixels(self) -> ImageFiles:
        """The image files."""
        return ImageFiles(self._listing.root, self._listing.paths)

    @cached_property
    def datasets(self) -> Datasets:
        """The arrays and lists with one entry per patch that stages copy on."""
        rows = self._listing
        return {
            "paths": rows.paths,
            "slide_ids": rows.slide_ids,
            "patient_ids": rows.patient_ids,
            "labels": rows.labels,
        }

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The file attributes that stages copy on."""
        size = self.pixels.size()
        return {
            "slide_id": self.name,
            "slide_path": str(self._listing.root.resolve()),
            "fingerprint": self.pixels.fingerprint(),
            "labels.class_names": list(self._listing.class_names),
            "patch_px": size[0] if size and size[0] == size[1] else None,
            "mpp": self._mpp,
        }

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels; empty where none are known."""
        return self._listing.class_names

    @property
    def splits(self) -> list[str]:
        """The CSV's split of each patch, "" where none is given."""
        return self._listing.splits


def id_of(attributes: Mapping[str, Any], file: Path) -> str:
    """The slide that a file is about: the one that it names, else the file's own name.

    What could not name a file itself, because it leads into another folder, is not believed.
    """
    named = str(attributes.get("slide_id") or "")
    unsafe = named in ("", ".", "..") or any(sign in named for sign in "/\\\0")
    return file.stem if unsafe else named


def open_files(
    files: Sequence[Path], slides: Path | None = None, *, allow_shared_patient: bool = False
) -> list[FilePatches]:
    """Open HDF5 files of any stage, each with its slide's row of `slides`, found by slide id.

    Args:
        files: The files.
        slides: Where the slides are now (a slide, a folder or slides.csv), if they were moved;
            whose they are by slides.csv comes before what a file says.
        allow_shared_patient: As for `read_cohort`.
    """
    if slides is None:
        return [FilePatches(file) for file in files]
    entries = _listed(slides, allow_shared_patient)
    return [FilePatches(file, entries.get(FilePatches(file).name)) for file in files]


def _listed(slides: Path | None, allow_shared_patient: bool) -> dict[str, SlideEntry]:
    if slides is None:
        return {}
    rows = read_cohort(slides, allow_shared_patient=allow_shared_patient)
    return {entry.slide_id: entry for entry in rows}


def open_patches(
    source: Path,
    *,
    slides: Path | None = None,
    patient_pattern: str | None = None,
    allow_shared_patient: bool = False,
    mpp: float | None = None,
) -> list[Patches]:
    """Open a folder of grids (or one), a folder of images by class, or a CSV of images.

    Args:
        source: Grids are the HDF5 files of any stage; for images see `listing.list_folder`
            and `listing.list_csv`.
        slides: Where the slides are now (a slide, a folder or slides.csv), if they were moved;
            slides.csv also says whose the slides of a CSV of images are.
        allow_shared_patient: As for `read_cohort`.
        patient_pattern: Regular expression that finds the patient in an image's relative path.
        mpp: µm/px of images, which do not say it.

    Raises:
        PatchesError, StoreError: Nothing of the three, or not as described there.
        UsageError: µm/px are given of grids, which say theirs.
    """
    source = Path(source)
    if source.is_file() and source.suffix == ".csv":
        listing = list_csv(source, patient_pattern)
        entries = _listed(slides, allow_shared_patient)
        patients = patients_of(listing.slide_ids, listing.patient_ids, entries)
        return [ImagePatches(source.stem, replace(listing, patient_ids=patients), mpp)]
    if source.is_file():
        check_is_hdf5(source)  # a wrong file is the command's mistake, and no slide's failure
    files = [source] if source.is_file() else sorted(source.glob("*.h5"))
    if files and mpp is not None:
        raise UsageError(
            f"--mpp {mpp:g} is of image files, and {source} holds grids",
            "Leave it out: grids say theirs.",
        )
    if files:
        return [*open_files(files, slides, allow_shared_patient=allow_shared_patient)]
    if source.is_dir():
        return [ImagePatches(source.resolve().name, list_folder(source, patient_pattern), mpp)]
    raise PatchesError(
        f"{source}: no such file or folder",
        "Give a folder of grids, a folder of images by class, or a CSV of images.",
    )
