"""`histocnn export`: scores in; files that QuPath, ASAP, napari and scripts read out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from histocnn.cohort.sheet import read_cohort
from histocnn.errors import UsageError
from histocnn.jobs import run as runs
from histocnn.patches.patches import FilePatches, open_files
from histocnn.scores.scored import check_share, read_scored
from histocnn.scores.scorefile import score_files
from histocnn.storage.hashing import sha256

SUFFIXES = {
    "geojson": ".geojson",
    "csv": ".csv",
    "ome-tiff": ".ome.tiff",
    "asap": ".xml",
    "camelyon16": ".csv",
}

Annotated = Mapping[str, Path | None]  # slide id to its annotation


def export(
    scores: Path,
    out: Path,
    to: Literal["geojson", "csv", "ome-tiff", "asap", "camelyon16"],
    class_name: str | None = None,
    merge: float | None = None,
    frame: Literal["bounds", "slide"] = "bounds",
    radius_um: float = 200.0,
    min_prob: float = 0.1,
    slides: Path | None = None,
    workers: int = 1,
) -> int:
    """Write scores as one file per slide for other tools.

    geojson: QuPath detections with measurements, or with --merge outlines. asap: ASAP's XML.
    csv: minx, miny, width, height, prob_<class>, as WSInfer. ome-tiff: a float heatmap with its
    physical pixel size, a channel per class. camelyon16: p,x,y of the detections that evaluate
    judges with the same --radius_um and --min_prob, in whole level-0 pixels.

    Args:
        scores: Folder that predict, knn or probe wrote, or one file of it.
        out: Folder for the files.
        to: The format.
        class_name: Write this class only; camelyon16 needs it.
        merge: For geojson and asap: dissolve connected patches from this probability on.
        frame: Origin of GeoJSON where a slide has bounds: QuPath's, or level 0.
        radius_um: For camelyon16: of two detections closer than this the more probable one counts.
        min_prob: For camelyon16: the least probability of a detection.
        slides: For camelyon16: slides.csv, to leave out detections in its annotations' Exclusion.
        workers: Slides in parallel processes.

    Returns:
        0, or 1 if a slide failed.
    """
    check_share("merge", merge)
    check_share("min_prob", min_prob)
    if merge is not None and to not in ("geojson", "asap"):
        raise UsageError(f"--merge has no meaning for {to}", "Leave it out, or ask for geojson.")
    if to == "camelyon16" and class_name is None:
        raise UsageError("camelyon16 is about one class", "Name it with --class_name.")
    if slides is not None and to != "camelyon16":
        raise UsageError(f"--slides has no meaning for {to}", "Leave it out.")
    annotations = {e.slide_id: e.annotation_path for e in read_cohort(slides)} if slides else {}
    options: dict[str, Any] = {"stage": "export", "to": to, "class_name": class_name}
    if to in ("geojson", "asap"):
        options |= {"merge": merge}
    if to == "geojson":
        options |= {"frame": frame}
    if to == "camelyon16":
        options |= {"radius_um": radius_um, "min_prob": min_prob, "frame": frame}
    summary = runs.run(
        open_files(score_files(scores)),
        out=out,
        command="export",
        source=scores,
        recipe=partial(recipe_of, options=options, annotations=annotations),
        work=partial(export_slide, annotations=annotations),
        workers=workers,
        suffix=SUFFIXES[to],
    )
    return summary.exit_code


def recipe_of(
    patches: FilePatches, options: Mapping[str, Any], annotations: Annotated
) -> dict[str, Any]:
    """The options, the hash of the scores, and of the annotation where one is asked for."""
    recipe = {**options, "scores": sha256(patches.file)}
    if options["to"] == "camelyon16":
        drawn = annotations.get(patches.slide_id)
        recipe |= {"annotation": sha256(drawn) if drawn else None}
    return recipe


def export_slide(
    patches: FilePatches,
    target: Path,
    recipe: Mapping[str, Any],
    tick: runs.Tick,
    annotations: Annotated,
) -> dict[str, Any]:
    """Write one slide's file."""
    from histocnn.exports import asap, ometiff, qupath, tables

    slide = read_scored(patches.file)
    classes = slide.only(recipe["class_name"])
    notes = []
    match recipe:
        case {"to": "geojson", "merge": None, "frame": frame}:
            qupath.write_detections(slide, target, classes=classes, frame=frame)
        case {"to": "geojson", "merge": threshold, "frame": frame}:
            qupath.write_foci(slide, target, classes=classes, threshold=threshold, frame=frame)
        case {"to": "asap", "merge": threshold}:
            asap.write_asap(slide, target, classes=classes, threshold=threshold)
        case {"to": "csv"}:
            tables.write_wsinfer(slide, target, classes=classes)
        case {"to": "ome-tiff"}:
            ometiff.write_ome_tiff(slide, target, classes=classes)
        case {"to": "camelyon16", "frame": frame, "radius_um": radius_um, "min_prob": least}:
            from histocnn.regions.annotations import read_annotations

            path = annotations.get(patches.slide_id)
            drawn = path and read_annotations(
                path, slide.grid.size_l0, slide.bounds_l0, frame=frame
            )
            left_out = tables.write_camelyon16(
                slide, target, *classes, radius_um=radius_um, min_prob=least,
                exclusion=drawn.exclusion if drawn else None,
            )  # fmt: skip
            notes += [f"{left_out} detections inside Exclusion left out"] * bool(left_out)
    tick(len(slide.grid), len(slide.grid))
    outcome = "ok" if len(slide.grid) else "no patches"
    return {"patches": len(slide.grid), "outcome": outcome, "notes": notes}
