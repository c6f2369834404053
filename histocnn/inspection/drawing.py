"""Which patches are judged, and which others a detector learns from: never the same patient's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.seen import PARTS
from histocnn.cohort.whose import NOBODY, Owners, owners
from histocnn.errors import PatchesError
from histocnn.models.spec import ModelSpec
from histocnn.models.suitable import checked, normaliser
from histocnn.patches.classes import UNKNOWN, renumber
from histocnn.patches.patches import Patches
from histocnn.slides.stain import Normaliser

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Rows of patches, and whose they are.

    Attributes:
        sources: What they come from.
        source: int64 [N], index into `sources`.
        row: int64 [N], row of that source.
        labels: int64 [N], the model's classes; -1 unknown.
        slide_ids: "" unknown.
        patient_ids: "" unknown.
    """

    sources: Sequence[Patches]
    source: NDArray[np.int64]
    row: NDArray[np.int64]
    labels: NDArray[np.int64]
    slide_ids: Sequence[str]
    patient_ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> Candidates:
        """Keep these rows alone, in this order."""
        kept = np.arange(len(self))[index]
        return replace(
            self,
            source=self.source[kept],
            row=self.row[kept],
            labels=self.labels[kept],
            slide_ids=[self.slide_ids[i] for i in kept],
            patient_ids=[self.patient_ids[i] for i in kept],
        )

    @property
    def owners(self) -> Owners:
        """Whose they are: patients, slides where unknown."""
        return owners(self.slide_ids, self.patient_ids)


def candidates(items: Sequence[Patches], spec: ModelSpec) -> Candidates:
    """Find all rows; where some have a label of the model's, those alone.

    Raises:
        ModelError: Patches of another size or scale than the model's.
        PatchesError: There are none.
    """
    source, row, labels = [], [], []
    slide_ids: list[str] = []
    patient_ids: list[str] = []
    for number, item in enumerate(items):
        checked(item, spec)
        source.append(np.full(len(item), number))
        row.append(np.arange(len(item)))
        labels.append(renumber(item.labels, item.class_names, spec.class_names))
        slide_ids += item.slide_ids
        patient_ids += item.patient_ids
        item.close()
    numbers, rows, known = (np.concatenate(part) for part in (source, row, labels))
    found = Candidates(items, numbers, rows, known, slide_ids, patient_ids)
    if not len(found):
        raise PatchesError(f"{items[0].name}: holds no patches", "Tile with a lower --min_tissue.")
    return found.take(found.labels != UNKNOWN) if (found.labels != UNKNOWN).any() else found


@dataclass(frozen=True, eq=False)
class Division:
    """What is judged, what the detectors learn from, and in words how the two were kept apart."""

    judged: Candidates
    reference: Candidates
    said: str
    apart: bool = True


def against(judged: Candidates, reference: Candidates) -> Division:
    """Judge all, beside a reference without their patients (slides where unknown).

    Raises:
        PatchesError: Nothing is left of the reference.
    """
    taken = set(judged.owners.names)
    own = reference.owners
    shared = np.array([name in taken for name in own.names] + [False])[own.of_row]
    left = reference.take(~shared)
    if not len(left):
        raise PatchesError(
            "all patches of --reference are of patients or slides that are judged, too",
            "Give others, or leave --reference out.",
        )
    known = bool((own.of_row != NOBODY).all() and (judged.owners.of_row != NOBODY).all())
    said = f"the reference given, without the {int(shared.sum())} patches of judged {own.unit}"
    unsure = "; whose some patches are is not known"
    return Division(judged, left, said + unsure * (not known), known)


def divide(found: Candidates, spec: ModelSpec, seed: int = 0) -> Division:
    """Keep patients apart: those of training are the reference, or half of all.

    Where there is one patient or slide alone, or nobody knows whose some patches are, half of the
    patches are judged by the others.

    Raises:
        PatchesError: There is one patch alone.
    """
    whose, rng = found.owners, np.random.default_rng(seed)
    trained = _trained(found, spec)
    if trained.any() and not trained.all():
        said = "the patients of training and validation"
        return Division(found.take(~trained), found.take(trained), said)
    groups = len(whose.names)
    if groups > 1 and (whose.of_row != NOBODY).all():
        first = np.isin(whose.of_row, rng.permutation(groups)[: groups // 2])
        said = f"{groups // 2} of {groups} {whose.unit}, drawn by seed {seed}"
        return Division(found.take(~first), found.take(first), said)
    if len(found) < 2:
        raise PatchesError("one patch alone", "Give more: half are what the others are judged by.")
    first = np.isin(np.arange(len(found)), rng.permutation(len(found))[: len(found) // 2])
    said = "half of the patches, of the same patients or slides as those judged"
    return Division(found.take(~first), found.take(first), said, apart=False)


def _trained(found: Candidates, spec: ModelSpec) -> NDArray[np.bool_]:
    if not spec.seen:
        return np.zeros(len(found), bool)
    prints = [source.slide_fingerprint for source in found.sources]
    asked = list(
        zip(found.slide_ids, found.patient_ids, [prints[i] for i in found.source], strict=True)
    )
    seen = {each: spec.seen_as(*each) in PARTS for each in set(asked)}
    return np.array([seen[each] for each in asked], bool)


def draw(found: Candidates, most: int, seed: int = 0) -> Candidates:
    """At most so many rows, as many of each patient as can be, in their own order."""
    if len(found) <= most:
        return found
    order = np.random.default_rng(seed).permutation(len(found))
    owner = found.owners.of_row[order]
    turn = np.zeros(len(order), np.int64)  # the how-maniest of its patient each row is
    for name in np.unique(owner):
        rows = np.flatnonzero(owner == name)
        turn[rows] = np.arange(len(rows))
    return found.take(np.sort(order[np.argsort(turn, kind="stable")][:most]))


def read(
    found: Candidates, batch_size: int = 64, threads: int = 2
) -> Iterator[tuple[NDArray[np.int64], Pixels]]:
    """Read patches, source by source; those that cannot be read are left out.

    Yields:
        int64 [B], rows of `found`, and their pixels uint8 [B, H, W, 3].
    """
    for number, item in enumerate(found.sources):
        rows = np.flatnonzero(found.source == number)
        if not len(rows):
            continue
        asked = found.row[rows]
        place = dict(zip(asked.tolist(), rows.tolist(), strict=True))
        for batch in item.batches(batch_size, threads, asked.tolist()):
            kept = [place[row] for row in batch.rows[batch.readable].tolist()]
            if kept:
                yield np.array(kept, np.int64), batch.pixels[batch.readable]
        item.close()


def shown(found: Candidates, pixels: Pixels, spec: ModelSpec) -> Pixels:
    """Patches as the model is shown them: in the stain that it was trained in.

    Args:
        found: Whose each is, [N].
        pixels: uint8 [N, H, W, 3], as read.
        spec: The model's.
    """
    if spec.stain is None:
        return pixels
    made = pixels.copy()
    for number in np.unique(found.source):
        change = normaliser(spec, found.sources[number])
        for i in np.flatnonzero(found.source == number):
            made[i] = pixels[i] if change is None else change(pixels[i])
    return made


def shown_alone(pixels: Pixels, spec: ModelSpec) -> Pixels:
    """The same of pictures of no slide, each by its own colours, as predict has image files."""
    if spec.stain is None:
        return pixels
    change = Normaliser.from_dict({**spec.stain, "per_patch": True})
    return np.stack([change(each, None) for each in pixels])
