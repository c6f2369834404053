"""`histocnn heatmap`: scores in; pictures over the slides, a viewer and slide-level scores out.

>>> import histocnn
>>> result = histocnn.heatmap("scores", "heatmaps")  # doctest: +SKIP
>>> result.to_dataframe()[["slide_id", "top_mean_tumour"]]  # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path

from histocnn.jobs.ranges import Percent, PositiveInt, Probability
from histocnn.jobs.result import StageResult


def heatmap(
    scores: str | Path,
    out: str | Path,
    slides: str | Path | None = None,
    class_name: str | None = None,
    html: bool = False,
    top_percent: Percent = 1.0,
    threshold: Probability = 0.5,
    colours: str = "",
    workers: PositiveInt = 1,
) -> StageResult:
    """Lay scores over the slides: pictures, an interactive page, and slide-level scores.

    Writes OUT/<slide_id>.png (the most likely class), OUT/<slide_id>_<class>.png (probability),
    where these are known OUT/<slide_id>_novelty.png and OUT/<slide_id>_quality.png (patches that
    are blurred or show pen, folds, edges), OUT/<slide_id>.html (with --html), and OUT/slides.csv.
    The slide shows in its own colours, the more covered the surer a score is; glass and what was
    not scored stay clear. Contours run at the operating points that came with the scores, else at
    --threshold. With --slides slides.csv annotations are drawn as outlines.

    Args:
        scores: Folder that predict, knn or probe wrote, or one file of it.
        out: Folder for the pictures.
        slides: Where the slides are now, if they were moved: a slide, a folder or a slides.csv,
            whose annotations are drawn, too.
        class_name: Draw the probability of this class only.
        html: Write a page per slide, too: one file that needs no network.
        top_percent: Share of the patches, in %, whose mean is the slide's `top_mean`.
        threshold: Probability from which on a patch counts for the slide's `area_mm2`, and of the
            contours where scores have no operating points.
        colours: Of classes, such as tumour=#c00,normal=#3a7f44; others take the palette's.
        workers: Slides in parallel processes.

    Returns:
        The pictures of the most likely class and what failed; its rows hold the slide-level scores.
    """
    from histocnn.pages.heatmaps import HeatmapOptions, draw_heatmaps

    options = HeatmapOptions(
        class_name=class_name, html=html, top_percent=top_percent, threshold=threshold,
        colours=colours,
    )  # fmt: skip
    moved_to = None if slides is None else Path(slides)
    return draw_heatmaps(Path(scores), Path(out), options, slides=moved_to, workers=workers)
