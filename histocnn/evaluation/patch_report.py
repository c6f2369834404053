"""Figures of judged patches with intervals: all, per centre, by colour alone, against others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import MetricError
from histocnn.evaluation.judged import Judged
from histocnn.metrics.calibration import apply_temperature
from histocnn.metrics.intervals import (
    Intervals,
    bootstrap,
    paired_bootstrap,
)
from histocnn.metrics.patch import details, excluded, figures, number
from histocnn.metrics.tally import Points, Tally, tally
from histocnn.patches.classes import recolumn, renumber

COLOUR_ROWS = 20_000  # patches that the colour baseline looks at
COLOUR_FOLDS = 5
CURVE_ROWS = 100_000  # patches that the k curve looks at
Section = dict[str, Any]


def patch_figures(
    judged: Judged,
    *,
    labels: NDArray[np.int64] | None = None,
    scores: NDArray[np.float32] | None = None,
    rows: NDArray[np.bool_] | None = None,
    points: Points | None = None,
    replicates: int = 1000,
    seed: int = 0,
) -> Section:
    """All patch figures with their intervals over patients.

    Args:
        judged: The patches.
        labels: Another truth than theirs, int [N].
        scores: Other scores than theirs, float [N, C].
        rows: Only these, bool [N].
        points: Stored operating points.
        replicates: Of the bootstrap; 0 = no intervals.
        seed: Of the bootstrap.

    Returns:
        {"n", …, "figures": {figure: {"value", "low", "high"}}, "per_class": …, "confusion",
        "reliability", "interval": {"groups", "unit", "replicates", "redrawn", "note"}}.

    Raises:
        MetricError: No patch is both labelled and scored.
    """
    rows = np.ones(len(judged), bool) if rows is None else rows
    labels = (judged.labels if labels is None else labels)[rows]
    scores = (judged.scores if scores is None else scores)[rows]
    groups, known = _groups(judged.patient[rows], labels)
    counted = tally(scores, labels, groups, judged.class_names, points)
    return {
        **excluded(scores, labels),
        **_intervals(counted, known, judged.unit, replicates=replicates, seed=seed),
        **details(counted),
    }


def ece_before(judged: Judged, temperature: float) -> float:
    """The calibration error that the scores had before the temperature was applied to them."""
    before = apply_temperature(judged.scores, 1 / temperature)
    return float(figures(before, judged.labels, judged.class_names)["ece"])


def _groups(
    patient: NDArray[np.int64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], bool]:
    """Patients as 0 .. G - 1, and whether every labelled patch has one."""
    known = bool((patient[labels >= 0] >= 0).all())
    return np.unique(patient, return_inverse=True)[1], known


def _intervals(
    counted: Tally, known: bool, unit: str, *, replicates: int, seed: int
) -> dict[str, Any]:
    note = "" if known else "no interval: some patches are of no known patient or slide"
    found = Intervals(note=note)
    if known and replicates:
        found = bootstrap(counted.figures, counted.patches, replicates=replicates, seed=seed)
    return nest(counted.figures(), found) | {"interval": described(found, unit)}


def described(found: Intervals, unit: str) -> dict[str, Any]:
    """What an interval rests on, for metrics.json."""
    return {
        "level": 0.95,
        "method": "percentile bootstrap",
        "unit": unit,
        "groups": found.groups,
        "replicates": found.replicates,
        "redrawn": found.redrawn,
        "note": found.note.replace("patients", unit),
    }


def nest(flat: Mapping[str, Any], found: Intervals) -> dict[str, Any]:
    """Figures as {"value", "low", "high"}, those of one class gathered under `per_class`."""
    result: dict[str, Any] = {"figures": {}, "per_class": {}}
    for key, value in flat.items():
        figure, _, name = key.partition(":")
        low, high = found.bounds.get(key, (None, None))
        entry = {"value": number(value), "low": low, "high": high}
        into = result["per_class"].setdefault(name, {}) if name else result["figures"]
        into[figure] = entry if entry["value"] is not None else dict.fromkeys(entry)
    return result


def per_centre(
    judged: Judged, centre_of: Mapping[str, str], *, replicates: int, seed: int
) -> dict[str, Section]:
    """The patch figures of every centre, where slides.csv names centres."""
    centres = np.array([*(centre_of.get(slide, "") for slide in judged.slide_ids), ""])
    of_patch = centres[judged.slide]
    result = {}
    for name in sorted(set(centres) - {""}):
        rows = of_patch == name
        if (rows & judged.judged).any():
            section = patch_figures(judged, rows=rows, replicates=replicates, seed=seed)
            result[str(name)] = {k: section[k] for k in ("n", "figures", "per_class", "interval")}
    return result


def colour_only(judged: Judged, *, replicates: int, seed: int) -> Section | str:
    """What k-NN on each patch's RGB mean and deviation scores, with other patients as reference.

    Five folds by patient (by patch where no patient or slide is known: optimistic, and said), on
    at most 20,000 patches.

    Returns:
        As `patch_figures`, with the same patches' figures of the scores under "scores"; or why
        there is none.
    """
    from histocnn.reference.colour import colour_baseline

    rows = np.flatnonzero(judged.judged & np.isfinite(judged.colour).all(axis=1))
    if len(rows) < 2:
        return "the score files hold no colours of the patches"
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(rows)[:COLOUR_ROWS])
    patient = judged.patient[rows]
    known = bool((patient >= 0).all())
    group = np.unique(patient, return_inverse=True)[1] if known else np.arange(len(rows))
    if group.max() == 0:
        return "all patches are of one patient"
    fold = (rng.permutation(group.max() + 1) % COLOUR_FOLDS)[group]
    scores = np.full_like(judged.scores, np.nan)
    for test in np.unique(fold):
        inside = fold == test
        scores[rows[inside]] = colour_baseline(
            judged.colour[rows[~inside]], judged.labels[rows[~inside]],
            judged.colour[rows[inside]], len(judged.class_names),
        )  # fmt: skip
    chosen = np.zeros(len(judged), bool)
    chosen[rows] = True
    options: dict[str, Any] = {"rows": chosen, "replicates": replicates, "seed": seed}
    section = patch_figures(judged, scores=scores, **options)
    section["scores"] = patch_figures(judged, **options)["figures"]
    section["folds"] = judged.unit if known else "patches: optimistic"
    return section


def k_curve(judged: Judged) -> list[dict[str, Any]]:
    """Figures of a k-NN for fewer neighbours, from those that it stored; empty for other scores.

    Returns:
        [{"k", "accuracy", "balanced_accuracy", "macro_auroc"}], k growing; on at most 100,000
        patches.
    """
    from histocnn.reference.neighbours import scores_by_k

    if not all({"neighbour_labels", "distances"} <= file.shapes.keys() for file in judged.files):
        return []
    first = judged.files[0].attributes
    named = dict(zip(judged.files[0].class_names, judged.score_classes, strict=True))
    labels, distances = [], []
    for file in judged.files:
        arrays = file.read("neighbour_labels", "distances")
        meant = [named[name] for name in file.class_names]
        labels.append(renumber(arrays["neighbour_labels"], meant, judged.class_names))
        distances.append(arrays["distances"])
    rows = np.random.default_rng(0).permutation(np.flatnonzero(judged.judged))[:CURVE_ROWS]
    near, apart = np.concatenate(labels)[rows], np.concatenate(distances)[rows]
    weights = first.get("recipe", {}).get("weights", "distance")
    count = len(judged.class_names)
    result = []
    for k, scores in scores_by_k(near, apart, count, weights):
        found = tally(scores, judged.labels[rows], np.zeros(len(rows), int), judged.class_names)
        figures = found.figures()
        names = ("accuracy", "balanced_accuracy", "macro_auroc")
        result.append({"k": k, **{name: number(figures[name]) for name in names}})
    return result


def compare(first: Judged, second: Judged, *, replicates: int, seed: int) -> Section:
    """Compare two models on the patches that both scored, patient by patient.

    Returns:
        {"n", "figures": {figure: {"first", "second", "difference", "low", "high", "p"}}, "note"}.

    Raises:
        MetricError: The classes differ, or no patch is in both.
    """
    if set(first.class_names) != set(second.class_names):
        raise MetricError(
            f"the two score folders have other classes: {', '.join(first.class_names)} and "
            f"{', '.join(second.class_names)}",
            "Compare models of the same classes, or use --match.",
        )
    a, b = _pairs(first, second)
    other = recolumn(second.scores[b], second.class_names, first.class_names)
    labels = np.where(np.isnan(other).any(axis=1), -1, first.labels[a])
    kept = first.judged[a] & (labels >= 0)
    if not kept.any():
        raise MetricError("no patch is judged in both score folders", "Score the same grids.")
    a, other, labels = a[kept], other[kept], labels[kept]
    groups, known = _groups(first.patient[a], labels)
    tallies = [tally(s, labels, groups, first.class_names) for s in (first.scores[a], other)]
    once = [counted.figures() for counted in tallies]
    section: Section = {"n": len(a), "unit": first.unit, "figures": {}, "note": ""}
    gaps = {}
    if known:
        gaps = paired_bootstrap(
            tallies[0].figures, tallies[1].figures, tallies[0].patches,
            replicates=replicates, seed=seed,
        )  # fmt: skip
    if not gaps:
        section["note"] = f"no p-values: fewer than five {first.unit}, or unknown ones"
    for name in once[0]:
        gap = gaps.get(name)
        section["figures"][name] = {
            "first": number(once[0][name]),
            "second": number(once[1][name]),
            "difference": number(once[0][name] - once[1][name]),
            "low": gap.low if gap else None,
            "high": gap.high if gap else None,
            "p": gap.p if gap else None,
        }
    return section


def _pairs(first: Judged, second: Judged) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the same patches in both: same slide and place, or same folder and image."""
    other = {file.slide_id: (i, file) for i, file in enumerate(second.files)}
    rows: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for i, file in enumerate(first.files):
        j, twin = other.get(file.slide_id, (-1, None))
        if twin is None:
            continue
        key = "coords" if file.is_slide else "paths"
        own, its = (f.read(key)[key] for f in (file, twin))
        place = {_place(value): row for row, value in enumerate(its)}
        found = np.array([place.get(_place(value), -1) for value in own], np.int64)
        a, b = np.flatnonzero(first.file == i), np.flatnonzero(second.file == j)
        rows.append((a[found >= 0], b[found[found >= 0]]))
    if not rows:
        raise MetricError("the two score folders have no slide in common", "Score the same grids.")
    return np.concatenate([a for a, _ in rows]), np.concatenate([b for _, b in rows])


def _place(value: Any) -> Any:
    return tuple(value.tolist()) if isinstance(value, np.ndarray) else value


def stored_points(attributes: Mapping[str, Any], class_names: Sequence[str]) -> Points | None:
    """Operating points of the model, as predict writes them: {class: {point: {"threshold"}}}."""
    points = attributes.get("thresholds")
    if not isinstance(points, Mapping):
        return None
    own = {name: points[name] for name in class_names if isinstance(points.get(name), Mapping)}
    return own or None
