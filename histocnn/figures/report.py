"""report.html of an evaluation, composed from metrics.json's content, figures and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from histocnn.figures.html import (
    Picture,
    gallery,
    interval_text,
    notes,
    section,
    svg,
    table,
    write_page,
)

PURPOSE = (
    "For research use only: not a medical device, not for diagnosis. "
    "Intervals are 95 %, by resampling {unit}."
)
ROWS = 200  # of the cohort table; metrics.json holds all
NAMES = {
    "macro_auroc": "AUROC (mean over classes)",
    "macro_average_precision": "average precision (mean over classes)",
    "macro_f1": "F1 (mean over classes)",
    "macro_precision": "precision (mean over classes)",
    "macro_recall": "recall (mean over classes)",
    "mcc": "Matthews correlation",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
    "kappa": "Cohen's kappa",
    "quadratic_kappa": "quadratic kappa (ordered classes only)",
    "auroc": "AUROC",
    "froc": "FROC score (mean of the six)",
}
CAPTIONS = {
    "roc": "ROC of patches.",
    "precision_recall": "Precision and recall of patches; dotted: what chance gives.",
    "reliability": "Calibration: below the diagonal the scores are too sure.",
    "confusion": "Confusion matrix of patches; shares of each true class.",
    "froc": "FROC: lesions found against false positives per slide.",
    "k_curve": "Figures against the number of neighbours.",
    "strip": "Score of each patch's true class, by slide; at the right the share called right.",
}


def write_report(
    path: Path,
    metrics: Mapping[str, Any],
    *,
    figures: Path,
    worst: Sequence[tuple[str, Sequence[Picture], str]] = (),
    heatmaps: Sequence[Picture] = (),
) -> None:
    """Write the page.

    Args:
        path: report.html.
        metrics: What metrics.json holds.
        figures: Folder of the SVG figures.
        worst: Kind of error, its patches, and what could not be shown.
        heatmaps: Small heatmaps.
    """
    unit = metrics["patch"]["interval"]["unit"]
    drawn = [
        svg(figures / f"{name}.svg", caption)
        for name, caption in CAPTIONS.items()
        if (figures / f"{name}.svg").is_file()
    ]
    write_page(
        path,
        f"Evaluation: {metrics['title']}",
        PURPOSE.format(unit=unit),
        [
            notes(metrics["warnings"], bad=True),
            notes(metrics["notes"]),
            section("Patches", _patch_table(metrics["patch"]), _class_table(metrics["patch"])),
            section("Slides and lesions", *_slide_tables(metrics)),
            section("Figures", gallery(drawn)),
            section("Colour alone", _colour(metrics["colour_only"])),
            section("Patches at outlines", _border(metrics)),
            section("By centre", _centres(metrics["centres"])),
            section("Comparison", _comparison(metrics.get("comparison"))),
            section("Most confident errors", *_worst(worst)),
            section("Heatmaps", gallery(heatmaps)),
            section("Annotated area lost", _areas(metrics["areas"])),
            section("Cohort", _seen(metrics["seen"]), _cohort(metrics["slides"])),
            section("Model, recipe and versions", _recipe(metrics)),
        ],
    )


def _name(figure: str) -> str:
    return NAMES.get(figure, figure.replace("_", " "))


def _patch_table(patch: Mapping[str, Any]) -> str:
    rows = [(_name(key), interval_text(value)) for key, value in patch["figures"].items()]
    interval = patch["interval"]
    said = f"{patch['n']:,} patches of {interval['groups']:,} {interval['unit']}"
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


def _class_table(patch: Mapping[str, Any]) -> str:
    own = patch["per_class"]
    keys = list(next(iter(own.values()), {}))
    rows = [
        (name, *(interval_text(values[key]) if key in values else "" for key in keys))
        for name, values in own.items()
    ]
    return "<h3>Per class</h3>" + table(["class", *map(_name, keys)], rows)


def _slide_tables(metrics: Mapping[str, Any]) -> list[str]:
    parts = []
    slide, froc, c17 = (metrics.get(key) for key in ("slide", "froc", "camelyon17"))
    if slide:
        text = f"{slide['n']} slides, {slide['positive']} with {slide['target']}"
        rows: list[tuple[Any, ...]] = [("slide AUROC", interval_text(slide["figures"]["auroc"]), text)]
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


def _colour(colour: Mapping[str, Any] | str) -> str:
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


def _border(metrics: Mapping[str, Any]) -> str:
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


def _centres(centres: Mapping[str, Any]) -> str:
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


def _comparison(comparison: Mapping[str, Any] | None) -> str:
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


def _worst(worst: Sequence[tuple[str, Sequence[Picture], str]]) -> list[str]:
    parts = []
    for kind, pictures, lost in worst:
        parts += [
            f"<h3>{escape(kind)}</h3>",
            gallery(pictures, "patches"),
            notes([lost] if lost else []),
        ]
    return parts


def _areas(areas: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (
            name,
            f"{own['annotated_um2'] / 1e6:.3f}",
            f"{100 * own['in_tissue_um2'] / own['annotated_um2']:.1f} %",
            f"{100 * own['in_patches_um2'] / own['annotated_um2']:.1f} %",
            ", ".join(own["below_98"]),
        )
        for name, own in areas.items()
        if own["annotated_um2"]
    ]
    header = ["class", "annotated, mm²", "in tissue", "in patches", "slides below 98 %"]
    return table(header, rows) if rows else ""


def _seen(seen: Mapping[str, int]) -> str:
    names = {
        "no": "not seen in training",
        "unknown": "unknown whether seen in training",
        "val": "seen in validation",
        "train": "seen in training",
    }
    return table(["patches", ""], [(seen[key], names[key]) for key in names if seen[key]])


def _cohort(slides: Sequence[Mapping[str, Any]]) -> str:
    if not slides:
        return ""
    keys = [key for key in slides[0] if any(slide[key] not in (None, "") for slide in slides)]
    rows = [[slide[key] for key in keys] for slide in slides[:ROWS]]
    more = f"<p>{len(slides) - ROWS:,} more in metrics.json.</p>" if len(slides) > ROWS else ""
    return table([key.replace("_", " ") for key in keys], rows) + more


def _recipe(metrics: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in metrics["versions"].items())
    text = json.dumps(metrics["model"], indent=1, ensure_ascii=False)
    return f"<p>{escape(versions)}</p><pre>{escape(text)}</pre>"
