"""Judged patches as the figures of a report; see `pictures.curves` for how each is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.evaluation.judged import Judged
from histocnn.metrics.counts import cumulative
from histocnn.metrics.froc import RATES, Froc
from histocnn.pages.html import interval_text
from histocnn.pictures import curves

NAMES = ("roc", "precision_recall", "reliability", "confusion", "strip", "froc", "k_curve")


def draw(
    folder: Path,
    judged: Judged,
    patch: Mapping[str, Any],
    *,
    shown: Sequence[str],
    froc: Froc | None,
    k_curve: Sequence[Mapping[str, Any]],
    footnote: str,
) -> None:
    """Write every figure that there is something to show in, and remove an older run's others.

    Args:
        folder: Where PNG and SVG go.
        judged: The patches.
        patch: Their figures, as `patch_report.patch_figures` gives.
        shown: Classes that curves are drawn for.
        froc: The curve, if lesions are known.
        k_curve: [{"k", "accuracy", …}] of a k-NN.
        footnote: Said below every figure.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        for suffix in ("png", "svg"):
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)

    def save(name: str, figure: Any) -> None:
        curves.save(figure, folder, name, footnote)

    _draw_curves(save, judged, patch, shown)
    save("reliability", curves.reliability(patch["reliability"], patch["figures"]["ece"]["value"]))
    save("confusion", curves.confusion(patch["confusion"], judged.class_names))
    rows = strip_rows(judged)
    if rows:
        save("strip", curves.strip(rows, judged.class_names))
    if froc is not None:
        save("froc", curves.froc(*froc.curve(), RATES, froc.sensitivity()))
    if k_curve:
        ks = [point["k"] for point in k_curve]
        lines = {
            name.replace("_", " "): [point[name] for point in k_curve]
            for name in ("accuracy", "balanced_accuracy", "macro_auroc")
        }
        save("k_curve", curves.k_curve(ks, lines))


def _draw_curves(save: Any, judged: Judged, patch: Mapping[str, Any], shown: Sequence[str]) -> None:
    rows = judged.judged
    roc, precision, prevalence = [], [], []
    for name in shown:
        own = patch["per_class"][name]
        if own["auroc"]["value"] is None:
            continue
        column = judged.class_names.index(name)
        positive = judged.labels[rows] == column
        _, tp, fp = cumulative(judged.scores[rows, column], positive)
        recall = tp / tp[-1]
        short = curves.short(name)
        roc.append(curves.Curve(f"{short}: {interval_text(own['auroc'])}", fp / fp[-1], recall))
        label = f"{short}: {interval_text(own['average_precision'])}"
        share = tp[1:] / (tp[1:] + fp[1:])
        precision.append(curves.Curve(label, recall, np.append(share[0], share)))
        prevalence.append(float(positive.mean()))
    if roc:
        save("roc", curves.roc(roc))
        save("precision_recall", curves.precision_recall(precision, prevalence))


def strip_rows(
    judged: Judged,
) -> list[tuple[str, NDArray[np.float32], NDArray[np.int64], float]]:
    """One row per slide, the worst first: scores of the true class, labels, share called right."""
    kept = np.flatnonzero(judged.judged & (judged.slide >= 0))
    kept = kept[np.argsort(judged.slide[kept], kind="stable")]
    called, result = judged.called, []
    starts = np.flatnonzero(np.diff(judged.slide[kept], prepend=-1))
    for rows in np.split(kept, starts[1:]) if len(kept) else []:
        label = judged.labels[rows]
        right = float((called[rows] == label).mean())
        result.append(
            (judged.slide_ids[judged.slide[rows[0]]], judged.scores[rows, label], label, right)
        )
    return sorted(result, key=lambda row: row[3])
