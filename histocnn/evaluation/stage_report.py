"""CAMELYON17: the classes of slides by their largest focus, and the stages of patients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from histocnn.errors import MetricError
from histocnn.evaluation.admission import some
from histocnn.evaluation.cases import Case
from histocnn.metrics import camelyon17, confusion
from histocnn.metrics.patch import number
from histocnn.metrics.sections import StageReport


def is_camelyon17(cases: Sequence[Case]) -> bool:
    """Whether the slides' labels are the challenge's classes."""
    labels = {case.label for case in cases} - {None}
    return bool(labels) and labels <= set(camelyon17.SLIDE_CLASSES)


def fit(training: Sequence[Case], cases: Sequence[Case]) -> camelyon17.Rule:
    """Fit the rule on labelled training nodes.

    Raises:
        MetricError: None of them has one of the challenge's classes, or one is of a patient who is
            evaluated, too.
    """
    nodes = [case for case in training if case.label in camelyon17.SLIDE_CLASSES]
    evaluated = {patient for case in cases for patient in _patients(case)}
    both = sorted(case.slide_id for case in nodes if _patients(case) & evaluated)
    if both or not nodes:
        reason = "no labelled node"
        if both:
            reason = f"nodes of patients that are evaluated, too: {some(both)}"
        raise MetricError(
            f"--fit_stages: {reason}", "Give nodes of other patients, labelled in slides.csv."
        )
    return camelyon17.fit_rule([(c.prob, c.cell_um) for c in nodes], [str(c.label) for c in nodes])


def _patients(case: Case) -> set[str]:
    """The patient by slides.csv or the scores, and by the challenge's way to name nodes."""
    named = {camelyon17.patient_of(case.slide_id)} if is_node(case.slide_id) else set()
    return {case.patient} | named


def is_node(slide_id: str) -> bool:
    """Whether a slide bears the challenge's name of a node, patient_NNN_node_N."""
    return "_node_" in slide_id


def stage_report(
    cases: Sequence[Case], rule: camelyon17.Rule, listed: Iterable[str]
) -> tuple[StageReport, dict[str, str]]:
    """Classes of the slides by their largest focus, and the kappas of classes and stages.

    Args:
        cases: The scored slides.
        rule: From heatmap to class.
        listed: Every slide that slides.csv lists, scored or not.

    Returns:
        The report, and {slide: class}.
    """
    classes = {case.slide_id: rule.classify(case.prob, case.cell_um) for case in cases}
    truth = {case.slide_id: case.label for case in cases if case.label is not None}
    index = camelyon17.SLIDE_CLASSES.index
    slides = confusion.quadratic_kappa(
        [index(label) for label in truth.values()], [index(classes[s]) for s in truth], 4
    )
    staged = None
    if all(map(is_node, classes)):
        staged = camelyon17.staged_patients(truth, classes, filter(is_node, listed))
    report = StageReport(
        threshold=rule.threshold,
        merge_um=rule.merge_um,
        fitted_kappa=number(rule.kappa),
        slide_kappa=number(slides),
        patients=len(staged.truth) if staged else None,
        patient_kappa=number(camelyon17.kappa(staged.truth, staged.predicted)) if staged else None,
        patients_left_out=staged.left_out if staged else (),
    )
    return report, classes
