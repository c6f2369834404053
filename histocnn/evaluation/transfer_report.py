"""Validation beside what is judged: where validation's scores are known from, and the section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from histocnn.cohort.seen import SEEN
from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import MetricError
from histocnn.evaluation.judged import Judged, judge
from histocnn.evaluation.options import Resampling
from histocnn.evaluation.patch_report import groups_of, stored_points
from histocnn.metrics.sections import Figure
from histocnn.metrics.transfer import TransferReport, transfer
from histocnn.metrics.transfer_words import words
from histocnn.metrics.validation import Facts, facts
from histocnn.scores.scorefile import ScoreFile

STORED = "as train measured it and predict stored it with the scores"
AMONG = "the slides of split val, scored in the same folder"


def transfer_report(
    judged: Judged,
    files: list[ScoreFile],
    everyone: Mapping[str, SlideEntry],
    resampling: Resampling,
    *,
    target: str | None,
    accuracy: Figure,
) -> TransferReport | str:
    """The section, or why there is none.

    Args:
        judged: What is judged.
        files: All score files of the folder.
        everyone: All rows of slides.csv, of every split.
        resampling: How bounds of thresholds are made, where validation's scores are in the folder.
        target: The class whose operating points are shown.
        accuracy: Of what is judged.

    Raises:
        MetricError: What is stored of validation cannot be read.
    """
    if (judged.seen[judged.judged] >= SEEN.index("val")).any():
        return "patients of training or validation are among those judged"
    source, validation = STORED, _stored(judged)
    if validation is None:
        source, validation = AMONG, _among(judged, files, everyone, resampling)
    if validation is None:
        return (
            "validation is not known: these scores were made without it (by knn, probe or an older "
            "version), and slides.csv names no scored slide of split val"
        )
    if not validation.patches:
        return "no patch of validation is both labelled and scored"
    groups = replace(groups_of(judged, resampling), replicates=0)
    points = stored_points(judged).points
    test = facts(judged.scores, judged.labels, groups, judged.class_names, points)
    found = transfer(validation, test, source=source, target=target, accuracy=accuracy.value)
    said = words(found)
    if len(validation.present) == 1:
        lone = f"Validation has patches of {validation.present[0]} only: no operating point could "
        said = (lone + "be chosen on it, and no ranking measured.", *said)
    return replace(found, words=said)


def _stored(judged: Judged) -> Facts | None:
    """What the score files say of validation, by the truth's class names."""
    first = judged.files[0]
    text = first.read("validation").get("validation")
    if not text:
        return None
    try:
        found = Facts.from_text(str(text[0]))
    except MetricError as error:
        raise MetricError(f"{first.path}: {error.message}", error.remedy) from error
    names = dict(zip(first.class_names, judged.score_classes, strict=True))
    alone = {
        names[name]: own
        for name, own in found.classes.items()
        if name in names and judged.score_classes.count(names[name]) == 1
    }
    return replace(found, classes=alone)


def _among(
    judged: Judged,
    files: list[ScoreFile],
    everyone: Mapping[str, SlideEntry],
    resampling: Resampling,
) -> Facts | None:
    """Measured on the slides of split val, where they are scored, too."""
    entries = {slide: entry for slide, entry in everyone.items() if entry.split == "val"}
    chosen = [file for file in files if file.slide_id in entries]
    if not chosen:
        return None
    first = judged.files[0]
    match = dict(zip(first.class_names, judged.score_classes, strict=True))
    validation = judge(chosen, entries, match)
    points, names = stored_points(judged).points, validation.class_names
    groups = groups_of(validation, resampling)
    return facts(validation.scores, validation.labels, groups, names, points)
