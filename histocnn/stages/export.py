"""`histocnn export`: scores in; files that QuPath, ASAP, napari, scanpy and scripts read out.

>>> import histocnn
>>> histocnn.export("scores", "qupath", to="geojson").outputs  # doctest: +SKIP
[PosixPath('qupath/s1.geojson')]
"""

from __future__ import annotations

from pathlib import Path

from histocnn.exports.formats import ExportOptions, Format, export_scores
from histocnn.jobs.ranges import NonNegativeFloat, PositiveInt, Probability
from histocnn.jobs.result import StageResult
from histocnn.regions.geojson import Frame


def export(
    scores: str | Path,
    out: str | Path,
    to: Format,
    class_name: str | None = None,
    merge: Probability | None = None,
    frame: Frame = "bounds",
    radius_um: NonNegativeFloat = 200.0,
    min_prob: Probability = 0.1,
    slides: str | Path | None = None,
    colours: str = "",
    workers: PositiveInt = 1,
) -> StageResult:
    """Write scores as one file per slide for other tools.

    geojson: QuPath detections with measurements, or with --merge outlines. asap: ASAP's XML.
    csv: minx, miny, width, height, prob_<class>, as WSInfer. ome-tiff: a float heatmap with its
    physical pixel size, a channel per class. camelyon16: p,x,y of the detections that evaluate
    judges with the same --radius_um and --min_prob, in whole level-0 pixels. parquet: a row per
    patch with all that is known of it. anndata: the same for scanpy and squidpy (.h5ad), of scores
    or of the features of embed.

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
        colours: For geojson and asap: of classes, such as tumour=#c00,normal=#3a7f44; others take
            the palette's.
        workers: Slides in parallel processes.

    Returns:
        The files and what failed, with a row per slide.
    """
    options = ExportOptions(
        to=to,
        class_name=class_name,
        merge=merge,
        frame=frame,
        radius_um=radius_um,
        min_prob=min_prob,
        slides=None if slides is None else Path(slides),
        colours=colours,
    )
    return export_scores(Path(scores), Path(out), options, workers=workers)
