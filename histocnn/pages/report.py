"""report.html of an evaluation, composed from metrics.json's content, figures and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from histocnn.pages.html import (
    Picture,
    beside,
    gallery,
    notes,
    section,
    svg,
    table,
    write_page,
)
from histocnn.pages.report_tables import (
    border_table,
    centre_table,
    class_table,
    colour_table,
    comparison_table,
    patch_table,
    point_table,
    slide_tables,
)

PURPOSE = (
    "For research use only: not a medical device, not for diagnosis. "
    "Intervals are 95 %, by resampling {unit}."
)
ROWS = 200  # of the cohort table; metrics.json holds all
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
    drawn = {
        name: svg(figures / f"{name}.svg", caption)
        for name, caption in CAPTIONS.items()
        if (figures / f"{name}.svg").is_file()
    }
    first = [drawn.pop("roc")] if "roc" in drawn else []
    write_page(
        path,
        f"Evaluation: {metrics['title']}",
        PURPOSE.format(unit=unit),
        [
            notes(metrics["warnings"], bad=True),
            notes(metrics["notes"]),
            section(
                "Patches",
                beside(patch_table(metrics["patch"]), gallery(first)),
                class_table(metrics["patch"]),
                point_table(metrics["patch"], metrics["model"].get("thresholds", {})),
            ),
            section("Slides and lesions", *slide_tables(metrics)),
            section("Figures", gallery(list(drawn.values()))),
            section("Colour alone", colour_table(metrics["colour_only"])),
            section("Patches at outlines", border_table(metrics)),
            section("By centre", centre_table(metrics["centres"])),
            section("Comparison", comparison_table(metrics.get("comparison"))),
            section("Most confident errors", *_worst(worst)),
            section("Heatmaps", gallery(heatmaps)),
            section("Annotated area lost", _areas(metrics["areas"])),
            section("Cohort", _seen(metrics["seen"]), _cohort(metrics["slides"])),
            section("Model, recipe and versions", _recipe(metrics)),
        ],
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
    model = metrics["model"]
    rows = [("versions", ", ".join(f"{n} {v}" for n, v in metrics["versions"].items()))]
    if model.get("patch_px"):
        scale = f" at {model['mpp']:g} µm/px" if model.get("mpp") else ", µm/px not recorded"
        rows.append(("patches", f"{model['patch_px']} px{scale}"))
    training = model.get("training", {})
    if training.get("patches"):
        counts = ", ".join(f"{n:,} {part}" for part, n in training["patches"].items())
        rows.append(("training cohort", f"patches: {counts}"))
    for part in ("prior", "val_prior"):
        if training.get(part):
            shares = ", ".join(f"{name} {share:.1%}" for name, share in training[part].items())
            rows.append(
                ({"prior": "training", "val_prior": "validation"}[part] + " classes", shares)
            )
    if model.get("reference"):
        counts = ", ".join(f"{n:,} {what}" for what, n in model["reference"].items())
        rows.append(("reference", counts))
    if model.get("temperature"):
        after, before = metrics["patch"]["figures"]["ece"]["value"], metrics["patch"]["ece_before"]
        text = f"{model['temperature']:.3f}, fitted on validation"
        rows.append(
            ("temperature", f"{text}; calibration error {before:.3f} before, {after:.3f} after")
        )
    text = json.dumps(model, indent=1, ensure_ascii=False)
    whole = f"<details><summary>Recipe in full</summary><pre>{escape(text)}</pre></details>"
    return table(["", ""], rows) + whole
