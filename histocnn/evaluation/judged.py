"""Scores beside their truth: all score files as one table, classes matched by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.sheet import SlideEntry
from histocnn.cohort.whose import owners, patients_of
from histocnn.errors import MetricError, UsageError
from histocnn.evaluation.truth import SlideTruth
from histocnn.patches.classes import UNKNOWN, recolumn, renumber, used
from histocnn.scores.scorefile import ScoreFile


@dataclass(frozen=True, eq=False)
class Judged:
    """Patches with scores and truth.

    Attributes:
        files: Where they come from.
        truths: What is known of each of these.
        class_names: C classes of scores and truth.
        score_classes: The score files' own classes, each by its name among `class_names`.
        scores: float32 [N, C]; a row of NaN was not scored.
        labels: int64 [N], -1 unknown.
        border: int64 [N]: as `labels`, but patches that an outline crosses have the class of
            their largest part.
        file: int64 [N], index into `files`; row: int64 [N], row of that file.
        slide: int64 [N], index into `slide_ids`, -1 unknown.
        patient: int64 [N], index into `patient_ids` (see `owners` for what stands in), or -1.
        seen: int64 [N], index into SEEN.
        shared: bool [N]: seen is the patch's patient, but not its slide, as far as is known.
        colour: float32 [N, 6], NaN where no file has it.
    """

    files: tuple[ScoreFile, ...]
    truths: tuple[SlideTruth, ...]
    class_names: tuple[str, ...]
    score_classes: tuple[str, ...]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    border: NDArray[np.int64]
    file: NDArray[np.int64]
    row: NDArray[np.int64]
    slide: NDArray[np.int64]
    slide_ids: tuple[str, ...]
    patient: NDArray[np.int64]
    patient_ids: tuple[str, ...]
    unit: str
    seen: NDArray[np.int64]
    shared: NDArray[np.bool_]
    colour: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property  # asked for each of thousands of slides
    def judged(self) -> NDArray[np.bool_]:
        """Which patches figures are made from: labelled and scored."""
        return np.asarray((self.labels != UNKNOWN) & ~np.isnan(self.scores).any(axis=1))

    def errors(self) -> NDArray[np.int64]:
        """Judged patches that are called wrong, the most confident first."""
        called = self.called
        wrong = np.flatnonzero(self.judged & (called != self.labels))
        confidence = self.scores[wrong, called[wrong]]
        return wrong[np.argsort(-confidence, kind="stable")]

    @cached_property
    def called(self) -> NDArray[np.int64]:
        """int64 [N]: the class of the highest score; 0 where nothing was scored."""
        return np.asarray(np.nan_to_num(self.scores, nan=-1).argmax(axis=1), np.int64)


def parse_match(text: str) -> dict[str, str]:
    """Read `AC=Tumor,H=Normal`: name in the scores to name in the truth.

    Raises:
        UsageError: Not of this form.
    """
    pairs = [part.split("=") for part in text.split(",") if part.strip()]
    if any(len(pair) != 2 or not all(name.strip() for name in pair) for pair in pairs):
        raise UsageError(f"--match {text!r} is not SCORES=TRUTH", "Such as --match AC=Tumor.")
    return {name.strip(): truth.strip() for name, truth in pairs}


def judge(
    files: Sequence[ScoreFile],
    entries: Mapping[str, SlideEntry] | None = None,
    match: Mapping[str, str] | None = None,
) -> Judged:
    """Read all scores and labels into one table.

    Args:
        files: From `open_scores`.
        entries: Rows of slides.csv by slide id: patients, and the truth of today.
        match: A score's class to the truth's name for it; classes of one name are added up.

    Raises:
        MetricError: Score files of different classes, a label that no score stands for, no label.
    """
    match, entries = dict(match or {}), entries or {}
    score_classes = _classes(files, match)
    class_names = tuple(dict.fromkeys(score_classes))
    truths = tuple(SlideTruth(file, entries.get(file.slide_id)) for file in files)
    parts = [_part(truth, class_names, match) for truth in truths]
    slide, slide_ids = _codes([part["slide_ids"] for part in parts])
    slides = [name for part in parts for name in part["slide_ids"]]
    patients, stains = (
        [name for part in parts for name in part[key]] for key in ("patient_ids", "stain_groups")
    )
    owned = owners(slides, patients_of(slides, patients, entries), stains)
    return Judged(
        files=tuple(files),
        truths=truths,
        class_names=class_names,
        score_classes=score_classes,
        slide=slide,
        slide_ids=slide_ids,
        patient=owned.of_row,
        patient_ids=owned.names,
        unit=owned.unit,
        file=np.repeat(np.arange(len(files)), [len(part["labels"]) for part in parts]),
        row=np.concatenate([np.arange(len(part["labels"])) for part in parts]),
        **{
            name: np.concatenate([part[name] for part in parts])
            for name in ("scores", "labels", "border", "seen", "shared", "colour")
        },
    )


def _classes(files: Sequence[ScoreFile], match: Mapping[str, str]) -> tuple[str, ...]:
    """The first file's classes by the truth's names; all files must have the same."""
    first = files[0].class_names
    for file in files[1:]:
        if set(file.class_names) != set(first):
            raise MetricError(
                f"{file.path} scores {', '.join(file.class_names)}, but "
                f"{files[0].path.name} {', '.join(first)}",
                "Evaluate one model at a time.",
            )
    unknown = [name for name in match if name not in first]
    if unknown:
        raise UsageError(
            f"--match: the scores have no class {unknown[0]!r}", f"They have {', '.join(first)}."
        )
    return tuple(match.get(name, name) for name in first)


def _part(
    truth: SlideTruth, class_names: tuple[str, ...], match: Mapping[str, str]
) -> dict[str, Any]:
    """The columns of one file."""
    file = truth.file
    names = [match.get(name, name) for name in file.class_names]
    labels, border = _labels(truth, class_names)
    return {
        "scores": recolumn(file.scores(), names, class_names),
        "labels": labels,
        "border": border,
        "slide_ids": file.slide_ids(),
        "patient_ids": file.patient_ids(),
        "stain_groups": file.stain_groups(),
        "seen": file.seen(),
        "shared": file.shared_patient(),
        "colour": file.colour(),
    }


def _labels(
    truth: SlideTruth, class_names: tuple[str, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels as indices into the classes of the scores, without and with border patches."""
    if truth.patches is None:
        nothing = np.full(len(truth.file), UNKNOWN, np.int64)
        return nothing, nothing
    names, labels = truth.patches.names, truth.patches.index
    unknown = sorted(used(labels, names) - set(class_names))
    if unknown:
        near = difflib.get_close_matches(unknown[0], class_names, n=1, cutoff=0.3)
        raise MetricError(
            f"{truth.file.path}: the truth has {', '.join(unknown)}, the scores have "
            f"{', '.join(class_names)}",
            f"Say which score means {unknown[0]}: --match {(near or class_names)[0]}={unknown[0]}.",
        )
    return renumber(labels, names, class_names), renumber(truth.border, names, class_names)


def _codes(columns: Sequence[Sequence[str]]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Names as indices into the sorted names; "" is -1."""
    names = sorted({name for column in columns for name in set(column)} - {""})
    index = {name: i for i, name in enumerate(names)} | {"": UNKNOWN}
    return (
        np.concatenate([np.array([index[name] for name in c], np.int64) for c in columns]),
        tuple(names),
    )
