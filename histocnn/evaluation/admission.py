"""What may be evaluated: no patient that the model has seen, no slide forgotten."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.seen import SAME_PATIENT, SEEN, UNKNOWN_SEEN
from histocnn.cohort.sheet import SlideEntry
from histocnn.cohort.whose import PESSIMISTIC, STAIN_GROUPS
from histocnn.errors import MetricError
from histocnn.evaluation.judged import Judged
from histocnn.reference.cover import is_covered
from histocnn.scores.scorefile import ScoreFile


def chosen_files(
    files: Sequence[ScoreFile], entries: Mapping[str, SlideEntry], split: str | None
) -> list[ScoreFile]:
    """The score files of the slides of a split; all without one.

    Raises:
        MetricError: None of them belongs to it.
    """
    kept = [file for file in files if split is None or file.slide_id in entries]
    if not kept:
        raise MetricError(f"no score file belongs to split {split}", "Score its slides first.")
    return kept


def check_seen(
    judged: Judged, *, allow_seen: bool, allow_shared_patient: bool = False
) -> list[str]:
    """Refuse patients that the model has seen, or say so.

    Args:
        judged: The patches.
        allow_seen: Admit all of them.
        allow_shared_patient: Admit those of whose patient it saw other slides only.

    Raises:
        MetricError: Some were seen, and this is not allowed.
    """
    was_seen = judged.seen >= SEEN.index("val")
    if not was_seen.any():
        return []
    refused = was_seen & ~(judged.shared & allow_shared_patient)
    said = _slides(judged, refused if refused.any() else was_seen)
    if refused.any() and not allow_seen:
        also = "" if (was_seen & ~judged.shared).any() else ", or --allow_shared_patient"
        raise MetricError(
            f"the model saw patients of these in training or validation: {said}",
            f"Score others, or give --allow_seen{also}: every figure will say that it is "
            "optimistic.",
        )
    if refused.any():
        return [f"Includes patients seen in training or validation: optimistic ({said})."]
    return [f"{SAME_PATIENT.capitalize()}: optimistic ({said})."]


def stamp(judged: Judged) -> str:
    """What every figure, picture and page of these patches bears; "" if nobody was seen."""
    was_seen = judged.seen >= SEEN.index("val")
    if not was_seen.any():
        return ""
    return SAME_PATIENT if judged.shared[was_seen].all() else "includes seen patients"


def _slides(judged: Judged, rows: NDArray[np.bool_]) -> str:
    return some(judged.files[i].slide_id for i in np.unique(judged.file[rows]))


def check_missing(
    judged: Judged, entries: Mapping[str, SlideEntry], *, allow_missing: bool
) -> list[str]:
    """Refuse slides of slides.csv without scores, or say which.

    Raises:
        MetricError: Some are missing, and this is not allowed.
    """
    scored = set(judged.slide_ids) | {file.slide_id for file in judged.files}
    missing = sorted(set(entries) - scored)
    if not missing:
        return []
    if not allow_missing:
        raise MetricError(
            f"{_count(len(missing), 'slide')} of slides.csv without scores: {some(missing)}",
            "Score them, name the part that is meant with --split, or give --allow_missing.",
        )
    return [f"Without scores, and without part in any figure: {some(missing)}."]


def truth_remarks(judged: Judged) -> list[str]:
    """Say whose truth is not what the score files hold, or not what slides.csv gives, and why."""
    slides: defaultdict[str, list[str]] = defaultdict(list)
    for truth in judged.truths:
        if truth.remark:
            slides[truth.remark].append(truth.file.slide_id)
    return [f"{remark}: {some(of)}." for remark, of in sorted(slides.items())]


def left_out(judged: Judged) -> list[str]:
    """Say which files have no truth or no like in the reference, and what else is not known."""
    lines = []
    labelled = np.bincount(judged.file, judged.labels >= 0, minlength=len(judged.files))
    bare = [f.slide_id for f, n in zip(judged.files, labelled, strict=True) if not n]
    if bare:
        lines.append(f"Without truth for their patches: {some(bare)}.")
    new = [file.slide_id for file in judged.files if is_covered(file.attributes) is False]
    if new:
        count = f"{len(new)} of {_count(len(judged.files), 'file')}"
        lines.append(f"The reference does not cover {count}: do not trust {some(new)}.")
    adapted = [
        f.slide_id for f in judged.files if "adapted" in (f.attributes.get("training") or ())
    ]
    if adapted:
        lines.append(f"The network was adapted to slides without their labels: {some(adapted)}.")
    classes = np.unique(judged.labels[judged.judged])
    if len(classes) == 1:
        lines.append(
            f"All that is judged is {judged.class_names[classes[0]]}: "
            "accuracy does not say whether other classes are told from it."
        )
    unscored = int(np.isnan(judged.scores).any(axis=1).sum())
    if unscored:
        lines.append(f"{_count(unscored, 'patch', 'patches')} without score (unreadable).")
    if (judged.seen == SEEN.index("unknown")).any():
        lines.append(UNKNOWN_SEEN)
    if STAIN_GROUPS in judged.unit:
        lines.append(PESSIMISTIC)
    return lines


def some(names: Iterable[str]) -> str:
    """The first three of these names, and how many more."""
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
