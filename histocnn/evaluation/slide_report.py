"""Figures of whole slides: slide AUROC, FROC over lesions, CAMELYON17's classes and stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import MetricError, UsageError
from histocnn.evaluation.judged import Judged
from histocnn.evaluation.patch_report import described, nest
from histocnn.evaluation.truth import annotations_of, cells_of, detections_of, lesions_of
from histocnn.metrics import camelyon17, confusion, froc
from histocnn.metrics.intervals import Intervals, bootstrap, delong
from histocnn.metrics.patch import number
from histocnn.metrics.tally import tally

Section = dict[str, Any]


@dataclass(frozen=True)
class SlideOptions:
    """What decides slide figures; see `stages.evaluate.evaluate` for the words of each."""

    target: str | None = None
    froc: Literal["interp", "step"] = "interp"
    fp_slides: Literal["all", "normal"] = "all"
    radius_um: float = 200.0
    min_prob: float = 0.1
    stage_threshold: float = 0.5
    stage_merge_um: float = 0.0
    detections: Path | None = None
    replicates: int = 1000
    seed: int = 0


class Case(NamedTuple):
    """One slide: its heatmap of the target class and what is known of it."""

    slide_id: str
    patient: str
    prob: NDArray[np.float32]  # [rows, cols]
    cell_um: tuple[float, float]
    score: float
    positive: bool | None
    label: str | None
    hits: froc.Hits | None  # None: neither lesions nor their absence are known


def choose_target(
    judged: Judged, entries: Mapping[str, SlideEntry], asked: str | None
) -> str | None:
    """The class whose presence makes a slide positive.

    As asked; else, of two classes, the one that is no slide's background.

    Raises:
        UsageError: The scores have no such class.
    """
    names = judged.class_names
    if asked is not None:
        if asked not in names:
            raise UsageError(
                f"--target {asked}: the scores have no such class", f"They have {', '.join(names)}."
            )
        return asked
    background = {entry.background for entry in entries.values()} & set(names)
    if len(names) == 2 and len(background) == 1:
        return next(name for name in names if name not in background)
    return None


def read_cases(
    judged: Judged, entries: Mapping[str, SlideEntry], target: str, options: SlideOptions
) -> list[Case]:
    """Heatmap and truth of every slide that slides.csv lists.

    Raises:
        StoreError: A slide's patches do not lie on a grid of known scale.
        MetricError: Its detections are missing.
    """
    column = judged.class_names.index(target)
    cases = []
    for i, file in enumerate(judged.files):
        entry = entries.get(file.slide_id)
        if entry is None or not file.is_slide:
            continue
        grid, drawn = file.grid(), annotations_of(file, entry)
        prob, cell_um = cells_of(file, grid, judged.scores[judged.file == i, column])
        if options.detections is None:
            points = detections_of(
                grid, prob, radius_um=options.radius_um, min_prob=options.min_prob
            )
            score = float(np.nanmax(prob)) if np.isfinite(prob).any() else 0.0
        else:
            points = _own_detections(options.detections, file.slide_id)
            score = float(points.prob.max(initial=0.0))
        annotated = drawn is not None and target in drawn.classes
        positive = is_positive(entry, target, annotated=annotated)
        known = annotated or positive is False
        lesions = lesions_of(file, drawn, target) if annotated else None
        cases.append(
            Case(
                slide_id=file.slide_id,
                patient=entry.patient_id or file.attributes.get("patient_id") or file.slide_id,
                prob=prob,
                cell_um=cell_um,
                score=score,
                positive=positive,
                label=entry.label,
                hits=froc.hits(points, lesions) if known else None,
            )
        )
    return cases


def _own_detections(folder: Path, slide_id: str) -> froc.Detections:
    path = folder / f"{slide_id}.csv"
    if not path.is_file():
        raise MetricError(
            f"{path} is missing", "Give one p,x,y file per slide, empty if nothing was found."
        )
    return froc.read_detections(path)


def is_positive(entry: SlideEntry, target: str, *, annotated: bool) -> bool | None:
    """Whether the slide has the target class: by its label, else by annotation; None = unknown."""
    if entry.label in camelyon17.SLIDE_CLASSES:
        return entry.label != "negative"
    if entry.label is not None:
        return entry.label == target
    if entry.annotation_path is not None:
        return annotated
    return False if entry.background not in (None, target) else None


def slide_figures(cases: Sequence[Case], target: str, options: SlideOptions) -> Section:
    """AUROC of slides by their most probable patch, with DeLong's and a bootstrap interval."""
    known = [case for case in cases if case.positive is not None]
    positive = np.array([case.positive for case in known], bool)
    section: Section = {
        "target": target,
        "n": len(known),
        "positive": int(positive.sum()),
        "score": "highest probability",
        "figures": {"auroc": {"value": None, "low": None, "high": None}},
        "note": "",
    }
    if positive.all() or not positive.any():
        section["note"] = "AUROC undefined: the slides are of one class only"
        return section
    score = np.array([case.score for case in known])
    section["figures"]["auroc"]["value"] = number(froc.slide_auroc(score, positive))
    group = np.unique([case.patient for case in known], return_inverse=True)[1]
    counted = tally(np.stack([1 - score, score], 1), positive.astype(int), group, ("no", "yes"))
    found = bootstrap(
        counted.figures, counted.patches, replicates=options.replicates, seed=options.seed
    )
    low, high = found.bounds.get("auroc:yes", (None, None))
    section["figures"]["auroc"] |= {"low": low, "high": high}
    section["interval"] = described(found, "patients")
    if min(positive.sum(), (~positive).sum()) >= 2:
        bounds = delong(score, positive).bounds[0]
        section["delong"] = {"low": float(bounds[0]), "high": float(bounds[1])}
        if group.max() + 1 < len(known):
            section["delong"]["note"] = "takes slides of one patient as independent"
    return section


def froc_figures(cases: Sequence[Case], options: SlideOptions) -> tuple[Section, froc.Froc | None]:
    """The FROC of the slides whose lesions, or whose lack of them, are known."""
    left_out = [case.slide_id for case in cases if case.slide_id.lower() in froc.LEFT_OUT]
    used = [case for case in cases if case.hits is not None and case.slide_id not in left_out]
    hits = [case.hits for case in used if case.hits is not None]
    section: Section = {
        "n": len(used),
        "lesions": sum(h.lesions for h in hits),
        "normal": sum(h.normal for h in hits),
        "unknown": len(cases) - len(used) - len(left_out),
        "left_out": left_out,
        "mode": options.froc,
        "fp_slides": options.fp_slides,
        "note": "",
    }
    if options.detections is None:
        section |= {"radius_um": options.radius_um, "min_prob": options.min_prob}
    try:
        curve = froc.Froc(hits, options.froc, options.fp_slides)
    except MetricError as error:
        return section | {"note": error.message}, None
    group = np.unique([case.patient for case in used], return_inverse=True)[1]
    member = np.eye(int(group.max()) + 1)[group]  # [S, G]
    presence = member.T @ np.stack([curve.lesions, curve.counts_fp], axis=1)
    found: Intervals = bootstrap(
        lambda weights: curve.figures(weights @ member.T), presence,
        replicates=options.replicates, seed=options.seed,
    )  # fmt: skip
    section |= {"figures": nest(curve.figures(), found)["figures"]}
    section["interval"] = described(found, "patients")
    return section, curve


def camelyon17_figures(
    cases: Sequence[Case], options: SlideOptions, rule: camelyon17.Rule | None
) -> tuple[Section, dict[str, str]]:
    """Classes of the slides by their largest focus, and the kappas of classes and stages.

    Returns:
        The section, and {slide: class}.
    """
    rule = rule or camelyon17.Rule(options.stage_threshold, options.stage_merge_um, float("nan"))
    classes = {case.slide_id: rule.classify(case.prob, case.cell_um) for case in cases}
    truth = {case.slide_id: case.label for case in cases if case.label is not None}
    index = camelyon17.SLIDE_CLASSES.index
    slides = confusion.quadratic_kappa(
        [index(label) for label in truth.values()], [index(classes[s]) for s in truth], 4
    )
    section: Section = {
        "threshold": rule.threshold,
        "merge_um": rule.merge_um,
        "fitted_kappa": number(rule.kappa),
        "slide_kappa": number(slides),
        "patients": None,
        "patient_kappa": None,
    }
    if all("_node_" in slide for slide in classes):
        stages, true_stages = (_stages(nodes) for nodes in (classes, truth))
        section["patients"] = len(true_stages)
        section["patient_kappa"] = number(camelyon17.kappa(true_stages, stages))
    return section, classes


def _stages(nodes: Mapping[str, str]) -> dict[str, str]:
    by_patient: dict[str, list[str]] = {}
    for slide, label in nodes.items():
        by_patient.setdefault(camelyon17.patient_of(slide), []).append(label)
    return {patient: camelyon17.patient_stage(own) for patient, own in by_patient.items()}
