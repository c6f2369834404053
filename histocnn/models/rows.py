"""The labelled patches of all sources as one table, and what must hold before they are learnt."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.fingerprints import check_same_slides
from histocnn.cohort.sheet import SlideEntry, check_leakage, listed
from histocnn.cohort.whose import patients_of
from histocnn.errors import CohortError, PatchesError
from histocnn.patches.classes import renumber
from histocnn.patches.patches import Patches
from histocnn.patches.truth import recorded_rule
from histocnn.storage.hashing import sha256

log = logging.getLogger(__name__)

Part = Literal["train", "val", "test", "calibration"]
SPLITS: tuple[Part, ...] = ("train", "val", "test")
CALIBRATION: Part = "calibration"  # there if somebody asked for it


@dataclass(frozen=True, eq=False)
class Rows:
    """The labelled patches of all sources, as one table.

    Attributes:
        sources: What they come from.
        source: int64 [N], index into `sources`.
        row: int64 [N], row of that source.
        labels: int64 [N], index into `class_names`.
        class_names: Of all sources together.
        patient_ids: "" unknown.
        slide_ids: "" unknown.
        splits: As the source gives them, "" where it does not.
        splits_from: What gave them: slides.csv, or the patches themselves.
        stain_groups: What stands in for patients that nobody knows; empty where nobody asked.
    """

    sources: Sequence[Patches]
    source: NDArray[np.int64]
    row: NDArray[np.int64]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    patient_ids: list[str]
    slide_ids: list[str]
    splits: list[str]
    splits_from: str = ""
    stain_groups: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: NDArray[np.int64]) -> Rows:
        """Keep these rows alone, in this order."""
        return Rows(
            self.sources,
            self.source[index],
            self.row[index],
            self.labels[index],
            self.class_names,
            [self.patient_ids[i] for i in index],
            [self.slide_ids[i] for i in index],
            [self.splits[i] for i in index],
            self.splits_from,
            [self.stain_groups[i] for i in index] if self.stain_groups else (),
        )

    def name(self, index: int) -> str:
        """What a message calls this patch."""
        source, row = self.sources[self.source[index]], int(self.row[index])
        return source.paths[row] if source.paths is not None else f"{source.name} row {row}"


def gather(
    sources: Sequence[Patches],
    class_names: Sequence[str] | None,
    slides: Path | None,
    *,
    allow_shared_patient: bool = False,
) -> Rows:
    """All labelled patches of the sources, classes matched by name.

    Whose a slide is, and its split, is what slides.csv says; what the patches themselves say holds
    where it says nothing.

    Raises:
        CohortError: As `check_labels`.
        PatchesError: No labels, one class only, a class without patches, a label that is not in
            `class_names`.
    """
    found = sorted({name for s in sources for name in s.class_names})
    names = list(class_names or found)
    outside = [name for name in found if name not in names]
    if outside:
        raise PatchesError(
            f"the patches have labels that are not in class_names: {', '.join(outside)}",
            f"class_names is {', '.join(names)}: add them, or take those patches out.",
        )
    entries = listed(slides, allow_shared_patient=allow_shared_patient)
    check_labels(sources, entries)
    given = {slide: entry.split for slide, entry in entries.items() if entry.split}
    columns: defaultdict[str, list[Any]] = defaultdict(list)
    for number, source in enumerate(sources):
        labels = renumber(source.labels, source.class_names, names)
        rows = np.flatnonzero(labels >= 0)
        columns["source"].append(np.full(len(rows), number))
        columns["row"].append(rows)
        columns["labels"].append(labels[rows])
        lists = {"patient": source.patient_ids, "slide": source.slide_ids, "split": source.splits}
        for column, values in lists.items():
            columns[column] += [values[row] for row in rows]
    columns["split"] = [
        given.get(slide, part)
        for part, slide in zip(columns["split"], columns["slide"], strict=True)
    ]
    columns["patient"] = patients_of(columns["slide"], columns["patient"], entries)
    arrays = {k: np.concatenate([np.empty(0, np.int64), *columns[k]]).astype(np.int64)
              for k in ("source", "row", "labels")}  # fmt: skip
    counts = np.bincount(arrays["labels"], minlength=len(names))
    empty = [name for name, count in zip(names, counts, strict=True) if not count]
    if not len(arrays["labels"]) or len(names) < 2 or empty:
        what = f"class {', '.join(empty)} has no patches" if empty and names else "no labels"
        what = what if empty or not names else f"only the class {names[0]}"
        raise PatchesError(f"nothing can be learnt: {what}", "Give patches of two classes or more.")
    return Rows(
        sources, arrays["source"], arrays["row"], arrays["labels"], tuple(names),
        columns["patient"], columns["slide"], columns["split"],
        str(slides) if given else str(sources[0].name) if sources else "",
    )  # fmt: skip


def check_labels(sources: Sequence[Patches], entries: Mapping[str, SlideEntry]) -> None:
    """Refuse grids that were labelled by another annotation or background than slides.csv names.

    What slides.csv leaves empty, and what a grid does not say, passes.

    Raises:
        CohortError: Names the first, and what is another.
    """
    stale = []
    for source in sources:
        entry = entries.get(source.name)
        if (
            entry is None
            or source.coords is None
            or not (entry.annotation_path or entry.background)
        ):
            continue
        rule = recorded_rule(source.attributes, Path(source.name))
        if rule is None:
            continue
        annotation = sha256(entry.annotation_path) if entry.annotation_path else None
        pairs = {"annotation": (rule.annotation, annotation),
                 "background": (rule.background, entry.background)}  # fmt: skip
        other = [what for what, (then, now) in pairs.items() if then != now]
        if other:
            stale.append(f"{source.name} (another {' and '.join(other)})")
    if stale:
        raise CohortError(
            f"slides.csv names another truth than {len(stale)} grids were labelled by, first "
            f"{stale[0]}",
            "Tile with this slides.csv again: only these slides are done anew.",
        )


By = Literal["patient", "slide", "stain", "file", "given"]


def group(rows: Rows, split_by: By, *, allow_shared_patient: bool = False) -> list[str]:
    """What must stay in one split: each row's patient, slide, stain group or file.

    By patient, a row's slide stands in where its patient is not known; where the split is given,
    its file stands in for both. Where a patient may be shared, slides take the place of patients.

    Raises:
        CohortError: By patient, and neither patient nor slide is known of some row.
    """
    if split_by == "file":
        log.warning("split by file: patches of one patient are in several splits, so the figures "
                    "will be optimistic")  # fmt: skip
        return [rows.name(i) for i in range(len(rows))]
    if split_by == "stain":
        return list(rows.stain_groups)
    patients = [""] * len(rows) if allow_shared_patient else rows.patient_ids
    groups = [p or s for p, s in zip(patients, rows.slide_ids, strict=True)]
    if split_by == "given":
        return [g or rows.name(i) for i, g in enumerate(groups)]
    unknown = groups.count("")
    if unknown:
        wanted = "their slide is not" if allow_shared_patient else "neither patient nor slide is"
        raise CohortError(
            f"of {unknown} patches {wanted} known, first {rows.name(groups.index(''))}",
            "Give --data.patient_pattern or a patient_id column; if patients are truly unknown, "
            "--data.split_by stain, which is pessimistic.",
        )
    by_slide = sum(not p for p in rows.patient_ids)
    if by_slide:
        log.warning("%d patches are split by slide, because their patient is not known", by_slide)
    return groups


def is_given(rows: Rows) -> bool:
    """Whether the split of every row is given.

    Raises:
        CohortError: Of some it is, so that the others' would have to be guessed.
    """
    without = [i for i, part in enumerate(rows.splits) if not part]
    if without and len(without) < len(rows):
        raise CohortError(
            f"{rows.splits_from}: gives {len(rows) - len(without)} patches a split and "
            f"{len(without)} none, first {rows.name(without[0])}",
            "Give all of them a split, or none, or take those patches out.",
        )
    return not without


def check(
    rows: Rows,
    parts: NDArray[np.str_],
    decided_by: str,
    *,
    by_file: bool = False,
    allow_shared_patient: bool = False,
    needed: Sequence[Part] = SPLITS,
) -> None:
    """Refuse splits that share a patient, a slide under two ids or an image, or that are empty.

    Args:
        rows: The patches.
        parts: [N], the split of each.
        decided_by: What the split follows.
        by_file: Somebody asked for a split that shares patients; `group` said what that means.
        allow_shared_patient: Somebody asked for a split that shares patients, but no slides.
        needed: The splits that must not be empty.

    Raises:
        CohortError: Names them.
    """
    if not by_file:
        patients = [""] * len(rows) if allow_shared_patient else rows.patient_ids
        slides = ["" if p else s for p, s in zip(patients, rows.slide_ids, strict=True)]
        check_leakage(patients, parts.tolist())
        check_leakage(slides, parts.tolist(), what="slide")
        sides = sorted(set(zip(rows.source.tolist(), rows.slide_ids, parts.tolist(), strict=True)))
        check_same_slides((s, rows.sources[i].slide_fingerprint, part) for i, s, part in sides)
    for part in needed:
        if not (parts == part).any():
            raise CohortError(f"the {part} split is empty", f"Change {decided_by}.")
    same = defaultdict(list)
    for index, size in enumerate(_sizes(rows)):
        same[size].append(index)
    for size, indices in same.items():
        if size and len(set(parts[indices])) > 1:
            _check_bytes(rows, parts, indices)


def _sizes(rows: Rows) -> list[int]:
    """The bytes of each image file; 0 for a patch of a slide, which is no file."""
    return [
        path.stat().st_size if (path := _path(rows, i)) is not None and path.exists() else 0
        for i in range(len(rows))
    ]


def _path(rows: Rows, index: int) -> Path | None:
    source = rows.sources[rows.source[index]]
    if source.paths is None:
        return None
    root: str = source.attributes["slide_path"]
    return Path(root, source.paths[rows.row[index]])


def _check_bytes(rows: Rows, parts: NDArray[np.str_], indices: Sequence[int]) -> None:
    first: dict[str, int] = {}
    for index in indices:
        digest = sha256(cast(Path, _path(rows, index)))
        other = first.setdefault(digest, index)
        if parts[other] != parts[index]:
            raise CohortError(
                f"{rows.name(other)} ({parts[other]}) and {rows.name(index)} ({parts[index]}) are "
                "the same image",
                "Remove one, or put both into one split.",
            )
