"""The tables of an evaluation's report, each from a part of metrics.json."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from histocnn.pages.html import groups_text, interval_text, notes, table

NAMES = {
    "macro_auroc": "AUROC (mean over classes)",
    "macro_average_precision": "average precision (mean over classes)",
    "macro_f1": "F1 (mean over classes)",
    "macro_precision": "precision (mean over classes)",
    "macro_recall": "recall (mean over classes)",
    "mcc": "Matthews correlation",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
    "f1": "F1",
    "kappa": "Cohen's kappa",
    "quadratic_kappa": "quadratic kappa (ordered classes only)",
    "auroc": "AUROC",
    "froc": "FROC score (mean of the six)",
}
POINT = ("_sensitivity", "_specificity")  # figures at a stored threshold end in these
POINT_NAMES = {
    "sensitivity_95": "95 % sensitivity",
    "specificity_95": "95 % specificity",
    "youden": "their greatest sum (Youden)",
}


def _name(figure: str) -> str:
    return NAMES.get(figure, figure.replace("_", " "))


def patch_table(patch: Mapping[str, Any]) -> str:
    """Figures of all patches, and what they rest on."""
    rows = [(_name(key), interval_text(value)) for key, value in patch["figures"].items()]
    interval = patch["interval"]
    said = f"{patch['n']:,} patches{groups_text(interval)}"
    left = [
        f"{patch[key]:,} {what}"
        for key, what in (("n_unlabelled", "without truth"), ("n_unscored", "without score"))
        if patch[key]
    ]
    if left:
        said += f"; left out: {', '.join(left)}"
    if interval["redrawn"]:
        said += f"; {interval['redrawn']:,} replicates lacked a class and were drawn again"
    if interval["note"]:
        said += f"; {escape(interval['note'])}"
    return f"<p>{said}.</p>" + table(["figure", "value (95 % interval)"], rows)


def class_table(patch: Mapping[str, Any]) -> str:
    """Figures of each class."""
    own = patch["per_class"]
    keys = [key for key in next(iter(own.values()), {}) if not key.endswith(POINT)]
    rows = [(name, *(interval_text(values[key]) for key in keys)) for name, values in own.items()]
    return "<h3>Per class</h3>" + table(["class", *map(_name, keys)], rows)


def point_table(patch: Mapping[str, Any], thresholds: Mapping[str, Any]) -> str:
    """Sensitivity and specificity at the thresholds that were stored with the model."""
    rows = []
    for name, own in patch["per_class"].items():
        for key in own:
            point, _, kind = key.rpartition("_")
            if kind == "sensitivity":
                threshold = thresholds.get(name, {}).get(point, {}).get("threshold")
                pair = (interval_text(own[f"{point}_{k}"]) for k in ("sensitivity", "specificity"))
                rows.append((name, POINT_NAMES.get(point, point), threshold, *pair))
    if not rows:
        return ""
    header = ["class", "chosen on validation for", "threshold", "sensitivity", "specificity"]
    return "<h3>Operating points</h3>" + table(header, rows)


def slide_tables(metrics: Mapping[str, Any]) -> list[str]:
    """Figures of slides, lesions and stages."""
    parts = []
    slide, froc, c17 = (metrics.get(key) for key in ("slide", "froc", "camelyon17"))
    if slide:
        text = f"{slide['n']} slides, {slide['positive']} with {slide['target']}"
        rows: list[tuple[Any, ...]] = [
            ("slide AUROC", interval_text(slide["figures"]["auroc"]), text)
        ]
        if "delong" in slide:
            delong = slide["figures"]["auroc"] | slide["delong"]
            rows.append(
                ("slide AUROC (DeLong)", interval_text(delong), slide["delong"].get("note"))
            )
        parts += [
            table(["figure", "value (95 % interval)", "of"], rows),
            notes([slide["note"]] if slide["note"] else []),
        ]
    if froc and "figures" in froc:
        text = f"{froc['lesions']} lesions on {froc['n']} slides, {froc['normal']} without any"
        rows = [(_name(k), interval_text(v), text) for k, v in froc["figures"].items()]
        parts.append(table(["figure", "value (95 % interval)", "of"], rows))
    elif froc and froc["note"]:
        parts.append(notes([froc["note"]]))
    if c17:
        rows = [
            ("CAMELYON17 kappa of patients", c17["patient_kappa"]),
            ("quadratic kappa of slides", c17["slide_kappa"]),
            ("threshold", c17["threshold"]),
            ("merging distance, µm", c17["merge_um"]),
        ]
        parts.append(table(["figure", "value"], rows))
    return [part for part in parts if part]


def colour_table(colour: Mapping[str, Any] | str) -> str:
    """What colour alone scores, beside the scores."""
    if isinstance(colour, str):
        return f"<p>Not computed: {escape(colour)}.</p>"
    rows = [
        (_name(key), interval_text(colour["scores"][key]), interval_text(colour["figures"][key]))
        for key in ("accuracy", "balanced_accuracy", "macro_auroc")
    ]
    text = (
        "k-nearest neighbours on nothing but each patch's mean and deviation of red, green and "
        f"blue, the reference being other {colour['folds']}. A model that is not clearly better "
        f"may have learned the stain. {colour['n']:,} patches."
    )
    return f"<p>{text}</p>" + table(["figure", "these scores", "colour alone"], rows)


def border_table(metrics: Mapping[str, Any]) -> str:
    """Figures without and with the patches that an outline crosses."""
    border = metrics.get("with_border")
    if not border:
        return ""
    rows = [
        (
            _name(key),
            interval_text(metrics["patch"]["figures"][key]),
            interval_text(border["figures"][key]),
        )
        for key in ("accuracy", "balanced_accuracy", "macro_auroc")
    ]
    text = (
        f"{border['n'] - metrics['patch']['n']:,} patches are crossed by an outline and have no "
        "label; here they take the class of their largest part."
    )
    return f"<p>{text}</p>" + table(["figure", "without", "with"], rows)


def centre_table(centres: Mapping[str, Any]) -> str:
    """Headline figures of each centre."""
    if not centres:
        return ""
    keys = ("accuracy", "balanced_accuracy", "macro_auroc")
    rows = [
        (
            name,
            own["n"],
            own["interval"]["groups"],
            *(interval_text(own["figures"][key]) for key in keys),
            own["interval"]["note"],
        )
        for name, own in centres.items()
    ]
    return table(["centre", "patches", "patients", *map(_name, keys), ""], rows)


def comparison_table(comparison: Mapping[str, Any] | None) -> str:
    """Two models on the same patches."""
    if not comparison:
        return ""
    rows = []
    for key, gap in comparison["figures"].items():
        figure, _, name = key.partition(":")
        gain = {"value": gap["difference"], "low": gap["low"], "high": gap["high"]}
        p = None if gap["p"] is None else f"{gap['p']:.3f}"
        rows.append((_name(figure), name, gap["first"], gap["second"], interval_text(gain), p))
    text = f"{comparison['n']:,} patches that both scored; p by paired bootstrap."
    return (
        f"<p>{text}</p>"
        + notes([comparison["note"]] if comparison["note"] else [])
        + table(["figure", "class", "first", "second", "difference (95 % interval)", "p"], rows)
    )
