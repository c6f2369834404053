"""The whole report, section by section, from score files and slides.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from histocnn.cohort.seen import SEEN
from histocnn.cohort.sheet import SlideEntry, read_cohort
from histocnn.errors import StoreError, UsageError
from histocnn.evaluation.admission import (
    check_missing,
    check_seen,
    chosen_files,
    left_out,
    stamp,
    truth_remarks,
)
from histocnn.evaluation.cases import Case, choose_target, read_cases
from histocnn.evaluation.colour_report import colour_reports
from histocnn.evaluation.comparison import compare
from histocnn.evaluation.judged import Judged, judge
from histocnn.evaluation.neighbour_curve import k_curve
from histocnn.evaluation.options import Inputs, Options
from histocnn.evaluation.patch_report import (
    border_report,
    patch_report,
    per_centre,
    stored_points,
)
from histocnn.evaluation.plain_words import plain_words
from histocnn.evaluation.provenance import areas_lost, licences, model_of, slide_rows
from histocnn.evaluation.set_report import sets_report
from histocnn.evaluation.slide_report import froc_report, slide_report
from histocnn.evaluation.stage_report import fit, is_camelyon17, stage_report
from histocnn.evaluation.transfer_report import transfer_report
from histocnn.metrics.camelyon17 import Rule
from histocnn.metrics.froc import Froc
from histocnn.metrics.report import Report
from histocnn.scores.scorefile import open_scores

Entries = Mapping[str, SlideEntry]


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A report, and what its pictures are drawn from.

    Attributes:
        report: The figures.
        judged: The patches.
        entries: Rows of slides.csv by slide id.
        target: The class whose presence makes a slide positive.
        curve: The FROC.
        classes: CAMELYON17's class of every slide, where these are its nodes.
    """

    report: Report
    judged: Judged
    entries: Entries
    target: str | None = None
    curve: Froc | None = None
    classes: Mapping[str, str] | None = None


def evaluated(options: Options) -> Evaluated:
    """Judge scores by their truth.

    Raises:
        UsageError: slides.csv, split, target or classes do not fit what the scores are of.
        MetricError: Patients were seen, slides are missing, or nothing can be judged.
    """
    inputs, resampling = options.inputs, options.resampling
    entries = _entries(inputs, inputs.split)
    files = open_scores(inputs.scores)
    judged = judge(chosen_files(files, entries, inputs.split), entries, inputs.match)
    warnings = _admitted(judged, inputs)
    notes = check_missing(judged, entries, allow_missing=inputs.allow_missing) + left_out(judged)
    notes += truth_remarks(judged)
    target = choose_target(judged, entries, options.target)
    patches = patch_report(judged, resampling)
    by_training, within = colour_reports(judged, resampling)
    report = Report(
        title=inputs.scores.resolve().name,
        class_names=judged.class_names,
        patch=patches,
        transfer=transfer_report(
            judged,
            files,
            _entries(inputs, None),
            resampling,
            target=target,
            accuracy=patches.figures["accuracy"],
        ),
        sets=sets_report(judged, resampling),
        target=target,
        split=inputs.split,
        colour_training=by_training,
        colour_within=within,
        with_border=border_report(judged, resampling),
        centres=per_centre(judged, _centres(entries), resampling),
        k_curve=k_curve(judged),
        areas=areas_lost(judged.truths),
        slides=slide_rows(judged, entries, show_ids=options.show_ids),
        seen=_seen(judged),
        stamp=stamp(judged),
        score_files=len(judged.files),
        model=_model(judged, show_ids=options.show_ids),
        words=licences(judged),
    )
    if inputs.compare is not None:
        report, admitted = _compared(report, judged, entries, options, inputs.compare)
        warnings += admitted
    notes += stored_points(judged).notes
    if entries and target is None:
        notes.append("No figures of slides: say with --target which class they have.")
    report = replace(report, warnings=tuple(dict.fromkeys(warnings)), notes=tuple(notes))
    found = _with_slides(Evaluated(report, judged, entries, target), options)
    words = (*plain_words(found.report), *found.report.words)
    return replace(found, report=replace(found.report, words=words))


def _compared(
    report: Report, judged: Judged, entries: Entries, options: Options, second: Path
) -> tuple[Report, list[str]]:
    """The report with the comparison, and what must be said of the other scores."""
    inputs = options.inputs
    other = _read(second, entries, inputs)
    admitted = _admitted(other, inputs)
    names = (report.title, second.resolve().name)
    found = compare(judged, other, options.resampling, names, inputs.primary)
    words = tuple(dict.fromkeys(report.words + licences(other)))
    said = report.stamp or stamp(other)
    return replace(report, stamp=said, comparison=found, words=words), admitted


def _admitted(judged: Judged, inputs: Inputs) -> list[str]:
    return check_seen(
        judged,
        allow_seen=inputs.allow_seen,
        allow_shared_patient=inputs.allow_shared_patient,
    )


def _entries(inputs: Inputs, split: str | None) -> dict[str, SlideEntry]:
    return read_entries(inputs.slides, split, allow_shared_patient=inputs.allow_shared_patient)


def read_entries(
    slides: Path | None, split: str | None, *, allow_shared_patient: bool = False
) -> dict[str, SlideEntry]:
    """The rows of slides.csv that are evaluated, by slide id.

    Raises:
        UsageError: A split is asked for without slides.csv, or it holds no slide.
    """
    if slides is None:
        if split is not None:
            raise UsageError(f"--split {split} needs slides.csv", "Give --slides.")
        return {}
    rows = read_cohort(slides, allow_shared_patient=allow_shared_patient)
    kept = {row.slide_id: row for row in rows if split is None or row.split == split}
    if not kept:
        raise UsageError(f"{slides} has no slide in split {split}", "See its column split.")
    return kept


def _read(folder: Path, entries: Entries, inputs: Inputs) -> Judged:
    files = chosen_files(open_scores(folder), entries, inputs.split)
    return judge(files, entries, inputs.match)


def _centres(entries: Entries) -> dict[str, str]:
    return {slide: entry.center for slide, entry in entries.items() if entry.center}


def _seen(judged: Judged) -> dict[str, int]:
    return dict(zip(SEEN, np.bincount(judged.seen, minlength=len(SEEN)).tolist(), strict=True))


def _model(judged: Judged, *, show_ids: bool) -> dict[str, Any]:
    """What the score files say of their making, operating points by the truth's class names."""
    model = model_of(judged.files[0], show_ids=show_ids)
    applied = {"thresholds": stored_points(judged).points or {}} if "thresholds" in model else {}
    return model | applied


def _with_slides(evaluation: Evaluated, options: Options) -> Evaluated:
    """Add the sections on slides, lesions and stages, where a target is known."""
    cases, notes = _cases(evaluation, options)
    report = replace(evaluation.report, notes=evaluation.report.notes + notes)
    curve, classes = None, None
    if evaluation.target is not None and cases:
        slides = slide_report(cases, evaluation.target, options.resampling)
        lesions, curve = froc_report(cases, options.lesions, options.resampling)
        report = replace(report, slide=slides, froc=lesions)
    if is_camelyon17(cases):
        stages, classes = stage_report(cases, _rule(evaluation, cases, options), evaluation.entries)
        classes = None if stages.patients is None else classes
        report = replace(report, camelyon17=stages)
    elif options.stages.fit is not None:
        raise UsageError(
            "--fit_stages without CAMELYON17's classes",
            "Label the slides negative, itc, micro or macro in slides.csv.",
        )
    return replace(evaluation, report=report, curve=curve, classes=classes)


def _cases(evaluation: Evaluated, options: Options) -> tuple[Sequence[Case], tuple[str, ...]]:
    """The slides, or why there is nothing to say of them though nobody asked for it.

    Raises:
        StoreError: A target, detections or stages were asked for, and patches lie on no grid.
    """
    if evaluation.target is None:
        return (), ()
    try:
        judged, entries = evaluation.judged, evaluation.entries
        return read_cases(judged, entries, evaluation.target, options.lesions), ()
    except StoreError as error:
        if any((options.target, options.lesions.detections, options.stages.fit)):
            raise
        said = error.message
        for file in evaluation.judged.files:  # a report shows no paths
            said = said.replace(str(file.path), file.path.name)
        return (), (f"No figures of slides and lesions, which need a grid: {said}.",)


def _rule(evaluation: Evaluated, cases: Sequence[Case], options: Options) -> Rule:
    """The rule of the stages as it was given, or fitted on other nodes."""
    stages, inputs = options.stages, options.inputs
    if stages.fit is None:
        return Rule(stages.threshold, stages.merge_um, float("nan"))
    everyone = _entries(inputs, None)
    training = _read(stages.fit, everyone, replace(inputs, split=None))
    return fit(read_cases(training, everyone, str(evaluation.target), options.lesions), cases)
