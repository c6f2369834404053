"""CAMELYON17's figures: lesion sizes, pN stages of patients, and their quadratic kappa.

Source: Bándi et al., IEEE Trans. Med. Imaging 2019, and the challenge's evaluation page. How a
heatmap becomes a slide's class is our own rule: the challenge defines none.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.errors import MetricError
from histocnn.metrics import confusion
from histocnn.metrics.detections import lines_of

SLIDE_CLASSES = ("negative", "itc", "micro", "macro")
STAGES = ("pN0", "pN0(i+)", "pN1mi", "pN1", "pN2")
ITC_UM, MICRO_UM = 200.0, 2000.0  # the longest diameter up to which a focus is itc, or micro
THRESHOLDS = tuple(np.round(np.arange(0.3, 0.96, 0.05), 2).tolist())
MERGES_UM = (0.0, 100.0, 200.0, 500.0)


def patient_stage(nodes: Iterable[str]) -> str:
    """Stage a patient by the classes of the lymph nodes.

    A node is positive if micro or macro; isolated tumour cells never make one. Ten or more
    positive nodes cannot occur with the challenge's five per patient, and stay pN2.

    Raises:
        MetricError: A class that is not one of SLIDE_CLASSES, or no node.
    """
    nodes = list(nodes)
    unknown = sorted(set(nodes) - set(SLIDE_CLASSES))
    if unknown or not nodes:
        raise MetricError(
            f"node classes {unknown or 'missing'}", f"Use {', '.join(SLIDE_CLASSES)}."
        )
    macro, micro = nodes.count("macro"), nodes.count("micro")
    if macro:
        return "pN1" if macro + micro <= 3 else "pN2"
    if micro:
        return "pN1mi"
    return "pN0(i+)" if "itc" in nodes else "pN0"


def kappa(truth: Mapping[str, str], predicted: Mapping[str, str]) -> float:
    """Quadratic weighted kappa of the patients' stages, the challenge's score.

    Args:
        truth: {patient: stage}.
        predicted: The same patients' predicted stages.

    Returns:
        At most 1; NaN if truth and prediction are all of one stage, or without any patient.

    Raises:
        MetricError: A patient without prediction, or an unknown stage.
    """
    missing = sorted(set(truth) - set(predicted))
    if missing:
        raise MetricError(f"no stage predicted for {', '.join(missing)}", "Stage every patient.")
    for patient, stage in (*truth.items(), *predicted.items()):
        if stage not in STAGES:
            raise MetricError(f"{patient}: unknown stage {stage!r}", f"Use {', '.join(STAGES)}.")
    first = [STAGES.index(stage) for stage in truth.values()]
    second = [STAGES.index(predicted[patient]) for patient in truth]
    return confusion.quadratic_kappa(first, second, len(STAGES)) if truth else float("nan")


class StagedPatients(NamedTuple):
    """Stages of the patients that can be compared.

    truth: {patient: stage} by the labels of all nodes.
    predicted: The same patients' stages by the predicted classes of the same nodes.
    left_out: Patients with a node that lacks its label or its scores.
    """

    truth: dict[str, str]
    predicted: dict[str, str]
    left_out: tuple[str, ...]


def staged_patients(
    labels: Mapping[str, str], predicted: Mapping[str, str], nodes: Iterable[str]
) -> StagedPatients:
    """Stage patients by truth and by prediction, from the same nodes.

    A stage is that of all nodes together: one of labelled nodes only against one of all nodes would
    compare two different things, and so would a patient with a node that nobody scored.

    Args:
        labels: {patient_NNN_node_N: class} of the labelled nodes.
        predicted: {patient_NNN_node_N: class} of the scored nodes.
        nodes: Every node that is known, labelled, scored or neither.

    Raises:
        MetricError: A node is not named patient_NNN_node_N.
    """
    of_patient: dict[str, set[str]] = {}
    for node in (*nodes, *labels, *predicted):
        of_patient.setdefault(patient_of(node), set()).add(node)
    whole = {
        patient: own
        for patient, own in sorted(of_patient.items())
        if own <= labels.keys() and own <= predicted.keys()
    }
    return StagedPatients(
        {patient: patient_stage(labels[node] for node in own) for patient, own in whole.items()},
        {patient: patient_stage(predicted[node] for node in own) for patient, own in whole.items()},
        tuple(sorted(of_patient.keys() - whole.keys())),
    )


class StageLabels(NamedTuple):
    """A stage_labels.csv: {patient: stage} and {slide: class}, names without .zip and .tif."""

    patients: dict[str, str]
    slides: dict[str, str]


def patient_of(slide: str) -> str:
    """Give `patient_012` for `patient_012_node_3`.

    Raises:
        MetricError: The name has no `_node_`.
    """
    patient, node, _ = slide.partition("_node_")
    if not node:
        raise MetricError(f"{slide!r} is not named patient_NNN_node_N", "Rename the slide.")
    return patient


def read_stage_labels(path: Path) -> StageLabels:
    """Read the challenge's `patient,stage` table of patients (.zip) and slides (.tif).

    Raises:
        MetricError: No such columns, or an unknown stage or class.
    """
    patients: dict[str, str] = {}
    slides: dict[str, str] = {}
    reader = csv.DictReader(lines_of(path))
    if not {"patient", "stage"} <= set(reader.fieldnames or ()):
        raise MetricError(f"{path} has no columns patient and stage", "Give stage_labels.csv.")
    for row in reader:
        name, stage = (row.get("patient") or "").strip(), (row.get("stage") or "").strip()
        is_slide = "_node_" in name
        allowed = SLIDE_CLASSES if is_slide else STAGES
        if stage not in allowed:
            raise MetricError(f"{path}: {name} is {stage!r}", f"Use {', '.join(allowed)}.")
        (slides if is_slide else patients)[name.rsplit(".", 1)[0]] = stage
    return StageLabels(patients, slides)


def write_stage_labels(path: Path, slides: Mapping[str, str]) -> StageLabels:
    """Stage the patients of these slides and write both, in the challenge's order and names.

    Args:
        path: The CSV to write.
        slides: {patient_NNN_node_N: class}.

    Returns:
        What was written.
    """
    nodes: dict[str, dict[str, str]] = {}
    for slide, stage in sorted(slides.items()):
        nodes.setdefault(patient_of(slide), {})[slide] = stage
    stages = {patient: patient_stage(own.values()) for patient, own in nodes.items()}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", "stage"])
        for patient, own in nodes.items():
            writer.writerow([f"{patient}.zip", stages[patient]])
            writer.writerows([f"{slide}.tif", stage] for slide, stage in own.items())
    return StageLabels(stages, dict(slides))


def slide_class(diameter_um: float) -> str:
    """Class of a slide by the longest diameter of its largest focus; 0 = no focus."""
    if diameter_um <= 0:
        return "negative"
    if diameter_um <= ITC_UM:
        return "itc"
    return "micro" if diameter_um <= MICRO_UM else "macro"


def largest_focus_um(
    prob: ArrayLike, cell_um: tuple[float, float], *, threshold: float, merge_um: float
) -> float:
    """Longest diameter of the largest focus of a heatmap.

    Cells at or above the threshold are one focus if they touch (8-connected) or if the gap of two
    (centres' distance less one cell) is at most `merge_um`. The diameter is the largest distance of
    two cells' centres plus one cell, so that a single cell is one cell wide.

    Args:
        prob: float [rows, cols]; NaN = not scored.
        cell_um: (x, y) size of a cell in µm.
        threshold: Of tumour.
        merge_um: Largest gap inside a focus.

    Returns:
        µm; 0 without any tumour cell.
    """
    from scipy import ndimage

    tumour = np.nan_to_num(np.asarray(prob, np.float64), nan=-np.inf) >= threshold
    if not tumour.any():
        return 0.0
    cell = (cell_um[0] + cell_um[1]) / 2
    label, number = ndimage.label(tumour, structure=np.ones((3, 3)))
    edge = tumour & ~ndimage.binary_erosion(tumour)
    focus = _merge(_centres_um(edge, cell_um), label[edge] - 1, number, merge_um + cell)
    of_cell = focus[label[tumour] - 1]
    centres = _centres_um(tumour, cell_um)
    return cell + max(_span(centres[of_cell == i]) for i in np.unique(focus))


def _centres_um(mask: NDArray[np.bool_], cell_um: tuple[float, float]) -> NDArray[np.float64]:
    rows, columns = np.nonzero(mask)
    return np.stack([columns * cell_um[0], rows * cell_um[1]], axis=1)


def _merge(
    points: NDArray[np.float64], part: NDArray[np.integer], number: int, reach_um: float
) -> NDArray[np.int32]:
    """Join parts that come within reach of each other; [number] gives each part's focus."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    pairs = part[KDTree(points).query_pairs(reach_um * (1 + 1e-9), output_type="ndarray")]
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(number, number))
    focus: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return focus


def _span(points: NDArray[np.float64]) -> float:
    """The largest distance of two points, which is found among the corners of their convex hull."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    if len(np.unique(points[:, 0])) > 1 and len(np.unique(points[:, 1])) > 1 and len(points) > 50:
        points = points[ConvexHull(points, qhull_options="QJ").vertices]
    return float(pdist(points).max(initial=0.0))


class Rule(NamedTuple):
    """How a heatmap becomes a slide's class, and how well it did on the slides it was fitted on."""

    threshold: float
    merge_um: float
    kappa: float

    def classify(self, prob: ArrayLike, cell_um: tuple[float, float]) -> str:
        """The class that this rule gives one slide's heatmap."""
        return slide_class(
            largest_focus_um(prob, cell_um, threshold=self.threshold, merge_um=self.merge_um)
        )


def fit_rule(
    heatmaps: Sequence[tuple[ArrayLike, tuple[float, float]]],
    classes: Sequence[str],
    thresholds: Sequence[float] = THRESHOLDS,
    merges_um: Sequence[float] = MERGES_UM,
) -> Rule:
    """Choose threshold and merging distance by the quadratic kappa of slide classes.

    Args:
        heatmaps: (prob [rows, cols], cell_um (x, y)) of training nodes, never of the test.
        classes: Their classes.
        thresholds: To try.
        merges_um: To try.

    Returns:
        The best Rule, the first of equals; kappa is NaN if all nodes are of one class.
    """
    truth = [SLIDE_CLASSES.index(name) for name in classes]
    rules = []
    for threshold, merge_um in product(thresholds, merges_um):
        rule = Rule(threshold, merge_um, 0.0)
        called = [SLIDE_CLASSES.index(rule.classify(*heatmap)) for heatmap in heatmaps]
        agreement = confusion.quadratic_kappa(truth, called, len(SLIDE_CLASSES))
        rules.append(rule._replace(kappa=agreement))
    return max(rules, key=lambda rule: -np.inf if np.isnan(rule.kappa) else rule.kappa)
