"""A slide's heatmaps, its page among them, and the table of slide-level scores."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from shapely.geometry.base import BaseGeometry

from histocnn.jobs import run as runs
from histocnn.jobs.ownership import check_files, claim_files, first_line
from histocnn.jobs.ranges import Percent, Probability, check_ranges
from histocnn.patches import patch_set
from histocnn.patches.patches import FilePatches, open_files
from histocnn.patches.truth import TruthRule, recorded_rule
from histocnn.pictures.palette import Colours, check_colours, parse_colours
from histocnn.scores.scored import ScoredSlide, read_scored, summarise
from histocnn.scores.scorefile import score_files
from histocnn.storage.atomic import sum_up, write_text
from histocnn.storage.hashing import sha256
from histocnn.storage.hdf5 import opening

if TYPE_CHECKING:
    from histocnn.pictures.heat import Drawn, View

Task: TypeAlias = Callable[[], None]

FIRST = ("slide_id", "patches", "scored")  # columns of slides.csv
NOVELTY, QUALITY = "novelty", "quality"  # pictures that are of no class


@dataclass(frozen=True)
class HeatmapOptions:
    """What is drawn and summed up.

    Attributes:
        class_name: Draw the probability of this class only; None draws all.
        html: Write a page per slide, too.
        top_percent: Share of the patches, in %, whose mean is the slide's `top_mean`.
        threshold: Probability from which on a patch counts for the slide's `area_mm2`, and where
            contours run for scores without operating points.
        colours: CLASS=COLOUR, separated by commas.

    Raises:
        UsageError: A number is out of range, or `colours` is no such list.
    """

    class_name: str | None = None
    html: bool = False
    top_percent: Percent = 1.0
    threshold: Probability = 0.5
    colours: str = ""

    def __post_init__(self) -> None:
        check_ranges(self)
        parse_colours(self.colours)

    @property
    def chosen(self) -> Colours:
        """The colours of classes by name."""
        return parse_colours(self.colours)


def draw_heatmaps(
    scores: Path,
    out: Path,
    options: HeatmapOptions,
    *,
    slides: Path | None = None,
    workers: int = 1,
) -> runs.Summary:
    """Draw every slide, and write OUT/slides.csv of all that lie in the folder.

    Args:
        scores: A folder of score files, or one.
        out: Folder for the pictures.
        options: What is drawn.
        slides: Where the slides are now, if they were moved.
        workers: Slides in parallel processes.

    Returns:
        The run's summary; each row also holds its slide's scores.

    Raises:
        StoreError: No score files, or `out` cannot be written.
    """
    check_files(out, "heatmap", ["slides.csv"], lambda: _is_slide_scores(out / "slides.csv"))
    summary = runs.run(
        open_files(score_files(scores), slides),
        out=out,
        command="heatmap",
        source=scores,
        recipe=partial(_recipe, options=options),
        work=partial(_draw_slide, options=options),
        workers=workers,
        files=runs.Files(".png", partial(_beside, options=options), keeps=False),
    )
    claim_files(out, "heatmap", ["slides.csv"])
    sum_up(
        lambda: _as_csv(_slide_scores(out)),
        lambda text: write_text(out / "slides.csv", text),
    )
    known = _slide_scores(out)
    return replace(
        summary, rows=[{**row, **known.get(row["slide_id"], {})} for row in summary.rows]
    )


def _recipe(patches: FilePatches, options: HeatmapOptions) -> dict[str, Any]:
    """The options, and the hashes of the scores and of the annotation that is drawn over them.

    Without colours and annotation it is what version 0.1.0 wrote.
    """
    recipe = {"stage": "heatmap", **asdict(options), "scores": sha256(patches.file)}
    if not recipe["colours"]:
        del recipe["colours"]
    if patches.annotation_path is not None:
        recipe["annotation"] = sha256(patches.annotation_path)
    return recipe


def _annotations(patches: FilePatches, slide: ScoredSlide) -> Mapping[str, BaseGeometry]:
    """What slides.csv says was drawn on the slide, by class, as its truth is read."""
    if patches.annotation_path is None:
        return {}
    rule = recorded_rule(patches.attributes, patches.file) or TruthRule()
    return rule.read(patches.annotation_path, slide.grid.size_l0, slide.bounds_l0).classes


def _draw_slide(
    patches: FilePatches,
    target: Path,
    recipe: Mapping[str, Any],
    tick: runs.Tick,
    *,
    options: HeatmapOptions,
) -> dict[str, Any]:
    """Write all that belongs to one slide, `target`, the most likely class, last."""
    from histocnn.pictures.heat import View, class_picture
    from histocnn.pictures.overlay import OVERVIEW_PX, PICTURE_PX, shrunk

    slide = read_scored(patches.file)
    check_colours(options.chosen, slide.class_names)
    overview = patches.slide.thumbnail(max_px=OVERVIEW_PX if options.html else PICTURE_PX)
    view = View(
        slide,
        shrunk(overview, PICTURE_PX),
        annotations=_annotations(patches, slide),
        colours=options.chosen,
        threshold=options.threshold,
    )
    grid = slide.grid
    title = f"{slide.slide_id}: {grid.patch_px} px at {grid.mpp:g} µm/px"
    drawn = class_picture(view)  # what the others share is made by the way
    tasks = _pictures(view, options, target, title)
    if options.html:
        from histocnn.pages.viewer import write_viewer

        tasks.append(partial(write_viewer, view, overview, target.with_suffix(".html")))
    _two_at_a_time(tasks)
    patches.check_same()
    view.write(drawn, target, title)
    unscored = int((~slide.scored).sum())
    tick(len(grid), len(grid))
    return {
        "patches": len(grid),
        "outcome": "ok" if len(grid) else "no patches",
        "notes": [f"{unscored} patches were not scored and are transparent"] * bool(unscored),
        "slide_scores": summarise(
            slide, top_percent=options.top_percent, threshold=options.threshold
        ),
    }


def _pictures(view: View, options: HeatmapOptions, target: Path, title: str) -> list[Task]:
    """What draws and writes each picture beside the most likely class."""
    from histocnn.pictures.heat import novelty_picture, quality_picture, score_picture

    slide = view.slide
    drawings: list[tuple[str, Callable[[], Drawn]]] = [
        (slide.class_names[index], partial(score_picture, view, index))
        for index in slide.only(options.class_name)
    ]
    if slide.novelty is not None:
        drawings.append((NOVELTY, partial(novelty_picture, view)))
    if slide.quality:
        drawings.append((QUALITY, partial(quality_picture, view)))

    def write(name: str, draw: Callable[[], Drawn]) -> None:
        view.write(draw(), _picture(target, name), title)

    return [partial(write, *each) for each in drawings]


def _two_at_a_time(tasks: Sequence[Task]) -> None:
    """Do them by two threads, because compressing a picture leaves Python to the next.

    Raises:
        Exception: The first that a task raised; those not begun are left undone.
    """
    with ThreadPoolExecutor(2, thread_name_prefix="pictures") as pool:
        done = [pool.submit(task) for task in tasks]
        try:
            for each in done:
                each.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _beside(patches: FilePatches, target: Path, options: HeatmapOptions) -> list[Path]:
    """What `_draw_slide` writes beside its target."""
    names = [str(name) for name in patches.stored.get("scores.class_names", ())]
    shown = [name for name in names if options.class_name in (None, name)]
    with opening(patches.file) as file:
        shown += [NOVELTY] * (NOVELTY in file)
        shown += [QUALITY] * (not file.keys().isdisjoint(patch_set.QUALITY))
    pictures = [_picture(target, name) for name in shown]
    return [*pictures, target.with_suffix(".html")] if options.html else pictures


def _picture(target: Path, shown: str) -> Path:
    return target.with_name(f"{target.stem}_{_file_name(shown)}.png")


def _is_slide_scores(path: Path) -> bool:
    return first_line(path).startswith(",".join(FIRST))


def _slide_scores(out: Path) -> dict[str, dict[str, Any]]:
    """Look up by slide id the scores of all that lie in the folder, one-slide jobs' slides too."""
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return {slide_id: facts["slide_scores"] for slide_id, facts in run["slides"].items()}


def _as_csv(scores: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [{"slide_id": slide_id, **row} for slide_id, row in scores.items()]
    columns = dict.fromkeys([*FIRST, *(column for row in rows for column in row)])
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
    return text.getvalue()


def _file_name(class_name: str) -> str:
    """A class name as part of a file name: what folders and shells trip over becomes "-"."""
    return re.sub(r"[^\w.+-]+", "-", class_name)
