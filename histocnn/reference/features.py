"""Feature files as rows to compare: joined, classes matched by name, checked to fit each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.seen import Cohorts, TrainingCohort
from histocnn.cohort.sheet import SlideEntry
from histocnn.cohort.whose import patients_of
from histocnn.errors import FeaturesError
from histocnn.metrics.terms import UNKNOWN, Terms, together
from histocnn.patches import door
from histocnn.patches.classes import renumber, used
from histocnn.patches.patches import FilePatches
from histocnn.reference.neighbours import codes, places
from histocnn.reference.stored import StoredRows, read_finite
from histocnn.storage.hashing import sha256
from histocnn.storage.hdf5 import check_is_hdf5, opening
from histocnn.storage.json import differing_keys, shortened

COHORTS = "network_cohorts"  # dataset: each training behind the network, as JSON
_SAME_SCALE = 0.01  # relative difference of µm/px that rounding explains


@dataclass(frozen=True, eq=False)
class Features:
    """Rows of one or more feature files.

    Attributes:
        files: The files, in the order of `file`.
        values: float32 [N, D], finite; rows that were NaN are left out. [0, D] where they stay in
            their files: see `rows`.
        colours: float32 [N, 6], the patches' RGB mean and deviation; NaN where no file has them.
        labels: int64 [N], index into `class_names`, -1 unknown.
        class_names: In alphabetical order.
        slide_ids: [N], "" unknown.
        patient_ids: [N], "" unknown.
        file: int64 [N], which file.
        row: int64 [N], which row of it.
        unreadable: Rows left out.
        network: What made them, from the files' recipe; None where nobody recorded it.
        scales: (patch_px, mpp) of each file, None where unknown.
        cohorts: Who took part in the network's training; None where nobody recorded it.
        fingerprints: Of each file's slide; "" for image files, and where nobody recorded it.
        terms: By whose leave they may be used.
    """

    files: tuple[Path, ...]
    values: NDArray[np.float32]
    colours: NDArray[np.float32]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    slide_ids: list[str]
    patient_ids: list[str]
    file: NDArray[np.int64]
    row: NDArray[np.int64]
    unreadable: int
    network: Mapping[str, Any] | None
    scales: tuple[tuple[int | None, float | None], ...]
    cohorts: Cohorts | None = None
    fingerprints: tuple[str, ...] = ()
    terms: Terms = UNKNOWN

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def rows(self) -> NDArray[np.float32] | StoredRows:
        """The values by number, wherever they are: the array, or what reads them when asked."""
        if len(self.values) == len(self):
            return self.values
        return StoredRows(self.files, self.file, self.row, self.values.shape[1])

    @cached_property
    def hashes(self) -> tuple[str, ...]:
        """The sha256 of each file, by which scores name their reference."""
        return tuple(sha256(file) for file in self.files)

    @cached_property
    def recipe(self) -> Any:
        """What a recipe says of these files: their hashes in order, or a digest of so many."""
        return shortened({"reference": sorted(self.hashes)})["reference"]

    @cached_property
    def places(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Of each patient, and of each slide, its number; looked up for every query."""
        return places(self.patient_ids), places(self.slide_ids)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """The rows' patients and slides by these numbers, int64 [N, 2]; -1 unknown."""
        found = groups_of(self, self)
        found.flags.writeable = False
        return found

    @cached_property
    def owners(self) -> tuple[tuple[str, str], ...]:
        """Each slide with each patient that one of its rows names, once."""
        return tuple(dict.fromkeys(zip(self.slide_ids, self.patient_ids, strict=True)))

    def only(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Features:
        """Keep the chosen rows."""
        kept = np.arange(len(self))[rows]
        return replace(
            self,
            values=self.values[kept] if len(self.values) == len(self) else self.values,
            colours=self.colours[kept],
            labels=self.labels[kept],
            slide_ids=[self.slide_ids[i] for i in kept],
            patient_ids=[self.patient_ids[i] for i in kept],
            file=self.file[kept],
            row=self.row[kept],
        )

    def labelled(self) -> Features:
        """The rows with a label, to be a reference.

        Raises:
            FeaturesError: No labels, or one class only.
        """
        present = sorted(used(self.labels, self.class_names))
        if not present:
            raise FeaturesError(
                f"{self.files[0].parent}: none of {len(self)} reference patches has a label",
                "Embed a folder of images by class, or grids tiled with annotations.",
            )
        if len(present) == 1:
            raise FeaturesError(
                f"{self.files[0].parent}: all reference patches are {present[0]!r}",
                "A classification needs examples of at least two classes.",
            )
        kept = self.only(self.labels >= 0)
        labels = renumber(kept.labels, self.class_names, present)
        return replace(kept, labels=labels, class_names=tuple(present))


def feature_files(source: Path) -> list[Path]:
    """The feature files of a folder, or the one given.

    Raises:
        FeaturesError: There are none.
        StoreError: The one given is plainly something else.
    """
    if source.is_file():
        check_is_hdf5(source)
    files = sorted(source.glob("*.h5")) if source.is_dir() else [source]
    if not files:
        raise FeaturesError(f"{source}: no .h5 files in it", "Give a folder that embed wrote.")
    return files


def load(
    files: Sequence[Path], entries: Mapping[str, SlideEntry] | None = None, *, stay: bool = False
) -> Features:
    """Read and join feature files, ours or those of CLAM and TRIDENT; see `join`."""
    return join((FilePatches(file) for file in files), entries, stay=stay)


def join(
    opened: Iterable[FilePatches],
    entries: Mapping[str, SlideEntry] | None = None,
    *,
    stay: bool = False,
) -> Features:
    """Read and join the features of files whose patches are opened.

    Args:
        opened: The files; what is read of their patches stays with them.
        entries: Rows of slides.csv by slide id, which say whose a slide is.
        stay: The values stay in their files, where they are looked at, but not kept.

    Raises:
        FeaturesError: They do not fit each other; infinite values; nothing but NaN.
    """
    parts = [_load_one(patches, stay) for patches in opened]
    for part in parts[1:]:
        check_same(parts[0], part)
    class_names = tuple(sorted({name for part in parts for name in part.class_names}))
    labels = [renumber(part.labels, part.class_names, class_names) for part in parts]
    slide_ids = [name for part in parts for name in part.slide_ids]
    patient_ids = [name for part in parts for name in part.patient_ids]
    return Features(
        files=tuple(file for part in parts for file in part.files),
        values=parts[0].values if len(parts) == 1 else np.concatenate([p.values for p in parts]),
        colours=np.concatenate([part.colours for part in parts]),
        labels=np.concatenate(labels),
        class_names=class_names,
        slide_ids=slide_ids,
        patient_ids=patients_of(slide_ids, patient_ids, entries),
        file=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        row=np.concatenate([part.row for part in parts]),
        unreadable=sum(part.unreadable for part in parts),
        network=next((part.network for part in parts if part.network), None),
        scales=tuple(scale for part in parts for scale in part.scales),
        cohorts=cohorts_of(parts),
        fingerprints=tuple(each for part in parts for each in part.fingerprints),
        terms=together([part.terms for part in parts]),
    )


def cohorts_of(parts: Sequence[Features]) -> Cohorts | None:
    """Who trained these features' network; a file may be silent if its network's others are not."""
    known = [part for part in parts if part.cohorts is not None]
    for part in parts:
        alike = (other.network for other in known if other.network)
        if part.cohorts is None and (not part.network or part.network not in alike):
            return None
    cohorts = (cohort for part in known for cohort in part.cohorts or ())
    return tuple({cohort.to_json(): cohort for cohort in cohorts}.values())


def _recorded(file: Path) -> Cohorts | None:
    with opening(file) as stored:
        if COHORTS not in stored:
            return None
    return tuple(map(TrainingCohort.from_json, door.read(file, COHORTS)[COHORTS]))


def _load_one(patches: FilePatches, stay: bool) -> Features:
    file = patches.file
    values, read = read_finite(file, stay=stay)
    if len(patches) != len(read):
        raise FeaturesError(
            f"{file}: {len(read)} features of {len(patches)} patches", "Embed them again."
        )
    highest = max(patches.datasets.get("labels", ()), default=-1)
    if highest >= len(patches.class_names):
        raise FeaturesError(
            f"{file}: labels up to {highest} of {len(patches.class_names)} named classes",
            "Write the classes' names as the attribute class_names of the dataset labels.",
        )
    recipe = patches.attributes.get("recipe") or {}
    network = recipe.get("network")
    no_colour = np.full((len(read), 6), np.nan, np.float32)
    everything = Features(
        files=(file,),
        values=values,
        colours=np.asarray(patches.datasets.get("colour", no_colour), np.float32),
        labels=patches.labels,
        class_names=patches.class_names,
        slide_ids=patches.slide_ids,
        patient_ids=patches.patient_ids,
        file=np.zeros(len(read), np.int64),
        row=np.arange(len(read)),
        unreadable=int((~read).sum()),
        network=network if isinstance(network, Mapping) else None,
        scales=((patches.patch_px, patches.mpp),),
        cohorts=_recorded(file),
        fingerprints=(patches.slide_fingerprint,),
        terms=Terms.stored_in(patches.attributes),
    )
    return everything if read.all() else everything.only(read)


def check_same(a: Features, b: Features) -> None:
    """Refuse features that were not made alike; what nobody recorded is taken to fit.

    Raises:
        FeaturesError: With the difference.
    """
    names = f"{a.files[0]} and {b.files[0]}"
    if a.values.shape[1] != b.values.shape[1]:
        raise FeaturesError(
            f"{names}: features of width {a.values.shape[1]} and {b.values.shape[1]}",
            "Embed both with the same network and layers.",
        )
    if a.terms.encoder and b.terms.encoder and a.terms.encoder != b.terms.encoder:
        raise FeaturesError(
            f"{names}: features of {a.terms.encoder} and {b.terms.encoder}",
            "Embed both with the same encoder.",
        )
    if a.network and b.network and (keys := differing_keys(a.network, b.network)):
        found = ", ".join(f"{k} {a.network.get(k)!r} / {b.network.get(k)!r}" for k in keys)
        raise FeaturesError(
            f"{names}: features of different recipes: {found}", "Embed both the same way."
        )
    for (a_px, a_mpp), (b_px, b_mpp) in zip(a.scales, b.scales, strict=False):
        if a_mpp and b_mpp and abs(a_mpp / b_mpp - 1) > _SAME_SCALE:
            raise FeaturesError(
                f"{names}: patches at {a_mpp:g} and {b_mpp:g} µm/px", "Tile both at one --mpp."
            )
        if a_px and b_px and a_px != b_px:
            raise FeaturesError(
                f"{names}: patches of {a_px} and {b_px} px", "Use one --patch_px for both."
            )


def groups_of(rows: Features, reference: Features) -> NDArray[np.int64]:
    """Codes int64 [N, 2] of each row's patient and slide; -1 where not in the reference."""
    patients, slides = reference.places
    return np.stack([codes(rows.patient_ids, patients), codes(rows.slide_ids, slides)], axis=1)
