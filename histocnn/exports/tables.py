"""Tables: WSInfer's columns, and the detections that CAMELYON16's evaluation takes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from shapely.geometry.base import BaseGeometry

from histocnn.scores.detections import outside, peaks
from histocnn.scores.scored import ScoredSlide
from histocnn.storage.atomic import replacing, write_text


def write_wsinfer(slide: ScoredSlide, path: Path, *, classes: list[int]) -> None:
    """Write WSInfer's columns: minx, miny, width, height, prob_<class>; whole level-0 pixels.

    A patch that was not scored has empty probabilities. Behind them come the columns of quality,
    where it was measured.
    """
    width, height = (round(side) for side in slide.grid.footprint_l0)
    header = ["minx", "miny", "width", "height"]
    header += [f"prob_{slide.class_names[index]}" for index in classes] + [*slide.quality]
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        known = slide.scored
        for row, (x, y) in enumerate(slide.grid.coords.tolist()):
            scores = [f"{slide.scores[row, i]:.6g}" if known[row] else "" for i in classes]
            measured = (values[row] for values in slide.quality.values())
            quality = ["" if np.isnan(value) else f"{value:.4g}" for value in measured]
            writer.writerow([x, y, width, height, *scores, *quality])


def write_camelyon16(
    slide: ScoredSlide,
    path: Path,
    class_index: int,
    *,
    radius_um: float,
    min_prob: float,
    exclusion: BaseGeometry | None = None,
) -> int:
    """Write detections as the challenge takes them: lines of p,x,y, level-0 pixels, no header.

    Coordinates are whole, because the published reader knows no others; probabilities have all
    their digits, so that those that are equal, and only those, stay equal.

    Returns:
        How many detections lay in the exclusion and are left out: the published evaluation would
        count them as false positives.
    """
    heat = slide.grid.raster(slide.scores[:, class_index])
    points = peaks(slide.grid, heat, radius_um=radius_um, min_prob=min_prob)
    kept, left_out = outside(points, exclusion)
    lines = zip(kept.prob.tolist(), kept.xy_l0.tolist(), strict=True)
    write_text(path, "".join(f"{p!r},{x},{y}\n" for p, (x, y) in lines))
    return left_out
