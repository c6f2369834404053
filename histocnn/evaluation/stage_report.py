"""CAMELYON17: the classes of slides by their largest focus, and the stages of patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
        MetricError: None of them has one of the challenge's classes, or one is evaluated, too.
    """
    nodes = [case for case in training if case.label in camelyon17.SLIDE_CLASSES]
    both = {case.slide_id for case in nodes} & {case.slide_id for case in cases}
    if both or not nodes:
        found = f"evaluated, too: {some(sorted(both))}" if both else "no labelled node"
        raise MetricError(f"--fit_stages: {found}", "Give other nodes, labelled in slides.csv.")
    return camelyon17.fit_rule([(c.prob, c.cell_um) for c in nodes], [str(c.label) for c in nodes])


def stage_report(
    cases: Sequence[Case], rule: camelyon17.Rule
) -> tuple[StageReport, dict[str, str]]:
    """Classes of the slides by their largest focus, and the kappas of classes and stages.

    Returns:
        The report, and {slide: class}.
    """
    classes = {case.slide_id: rule.classify(case.prob, case.cell_um) for case in cases}
    truth = {case.slide_id: case.label for case in cases if case.label is not None}
    index = camelyon17.SLIDE_CLASSES.index
    slides = confusion.quadratic_kappa(
        [index(label) for label in truth.values()], [index(classes[s]) for s in truth], 4
    )
    patients, patient_kappa = None, None
    if all("_node_" in slide for slide in classes):
        stages, true_stages = (_stages(nodes) for nodes in (classes, truth))
        patients, patient_kappa = len(true_stages), camelyon17.kappa(true_stages, stages)
    report = StageReport(
        threshold=rule.threshold,
        merge_um=rule.merge_um,
        fitted_kappa=number(rule.kappa),
        slide_kappa=number(slides),
        patients=patients,
        patient_kappa=number(patient_kappa),
    )
    return report, classes


def _stages(nodes: Mapping[str, str]) -> dict[str, str]:
    by_patient: dict[str, list[str]] = {}
    for slide, label in nodes.items():
        by_patient.setdefault(camelyon17.patient_of(slide), []).append(label)
    return {patient: camelyon17.patient_stage(own) for patient, own in by_patient.items()}
