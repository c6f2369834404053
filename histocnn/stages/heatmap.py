"""`histocnn heatmap`: scores in; pictures over the slides, a viewer and slide-level scores out."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from histocnn.errors import UsageError
from histocnn.jobs import run as runs
from histocnn.patches.patches import FilePatches, open_files
from histocnn.scores.scored import check_share, read_scored, summarise
from histocnn.scores.scorefile import score_files
from histocnn.storage.atomic import sum_up, write_text
from histocnn.storage.hashing import sha256


def heatmap(
    scores: Path,
    out: Path,
    slides: Path | None = None,
    class_name: str | None = None,
    html: bool = False,
    top_percent: float = 1.0,
    threshold: float = 0.5,
    workers: int = 1,
) -> int:
    """Lay scores over the slides: pictures, an interactive page, and slide-level scores.

    Writes OUT/<slide_id>.png (the most likely class), OUT/<slide_id>_<class>.png (probability),
    OUT/<slide_id>_novelty.png (where it is known), OUT/<slide_id>.html (with --html), and
    OUT/slides.csv. What was not scored is left transparent.

    Args:
        scores: Folder that predict, knn or probe wrote, or one file of it.
        out: Folder for the pictures.
        slides: Where the slides are now, if they were moved: a slide, a folder or a slides.csv.
        class_name: Draw the probability of this class only.
        html: Write a page per slide, too: one file that needs no network.
        top_percent: Share of the patches, in %, whose mean is the slide's `top_mean`.
        threshold: Probability from which on a patch counts for the slide's `area_mm2`.
        workers: Slides in parallel processes.

    Returns:
        0, or 1 if a slide failed.
    """
    check_share("threshold", threshold)
    if not 0 < top_percent <= 100:
        raise UsageError(f"--top_percent {top_percent} is no share", "Give more than 0, up to 100.")
    options = {
        "stage": "heatmap",
        "class_name": class_name,
        "html": html,
        "top_percent": top_percent,
        "threshold": threshold,
    }
    summary = runs.run(
        open_files(score_files(scores), slides),
        out=out,
        command="heatmap",
        source=scores,
        recipe=partial(recipe_of, options=options),
        work=draw_slide,
        workers=workers,
        suffix=".png",
    )
    sum_up(partial(_slide_scores, out), partial(write_text, out / "slides.csv"))
    return summary.exit_code


def recipe_of(patches: FilePatches, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, and the hash of the scores."""
    return {**options, "scores": sha256(patches.file)}


def draw_slide(
    patches: FilePatches, target: Path, recipe: Mapping[str, Any], tick: runs.Tick
) -> dict[str, Any]:
    """Write all that belongs to one slide, `target`, the most likely class, last."""
    from histocnn.pictures.heat import class_picture, novelty_picture, score_picture
    from histocnn.pictures.overlay import PICTURE_PX

    slide = read_scored(patches.file)
    drawn = slide.only(recipe["class_name"])
    thumbnail = patches.slide.thumbnail(max_px=PICTURE_PX)
    grid = slide.grid
    title = f"{slide.slide_id}: {grid.patch_px} px at {grid.mpp:g} µm/px"
    for index in drawn:
        path = target.with_name(f"{target.stem}_{_file_name(slide.class_names[index])}.png")
        score_picture(slide, thumbnail, index, path, title)
    if slide.novelty is not None:
        path = target.with_name(f"{target.stem}_novelty.png")
        novelty_picture(slide, thumbnail, path, title)
    if recipe["html"]:
        from histocnn.pages.viewer import OVERVIEW_PX, write_viewer

        overview = patches.slide.thumbnail(max_px=OVERVIEW_PX)
        write_viewer(slide, overview, target.with_suffix(".html"))
    class_picture(slide, thumbnail, target, title)
    unscored = int((~slide.scored).sum())
    tick(len(grid), len(grid))
    return {
        "patches": len(grid),
        "outcome": "ok" if len(grid) else "no patches",
        "notes": [f"{unscored} patches were not scored and are transparent"] * bool(unscored),
        "slide_scores": summarise(
            slide, top_percent=recipe["top_percent"], threshold=recipe["threshold"]
        ),
    }


def _slide_scores(out: Path) -> str:
    """The table of what every slide left in the folder, one-slide jobs' slides too."""
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    rows = [
        {"slide_id": slide_id, **facts["slide_scores"]} for slide_id, facts in run["slides"].items()
    ]
    first = ("slide_id", "patches", "scored")
    columns = dict.fromkeys([*first, *(column for row in rows for column in row)])
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
    return text.getvalue()


def _file_name(class_name: str) -> str:
    """A class name as part of a file name: what folders and shells trip over becomes "-"."""
    return re.sub(r"[^\w.+-]+", "-", class_name)
