"""`histocnn knn`: features in; scores, and the labelled neighbours that explain them, out.

>>> import histocnn
>>> result = histocnn.knn("reference", "features", "scores", k=20)  # doctest: +SKIP
>>> result.failures, result.to_dataframe().patches.sum()  # doctest: +SKIP
({}, 1389)
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from histocnn.cohort.sheet import listed
from histocnn.jobs.ownership import check_files, claim_files, has_records
from histocnn.jobs.ranges import NonNegativeInt, PositiveFloat, PositiveInt, check_range
from histocnn.jobs.result import StageResult
from histocnn.pictures.palette import check_colours, parse_colours
from histocnn.reference.apart import Exclude
from histocnn.reference.cover import NOT_COVERED
from histocnn.reference.features import feature_files, load
from histocnn.reference.memory import stays
from histocnn.reference.methods import ByNeighbours
from histocnn.reference.neighbours import UNI, Knn, Metric, Weights
from histocnn.scores.compared import score_features


def knn(
    reference: str | Path,
    query: str | Path,
    out: str | Path,
    k: PositiveInt = 20,
    metric: Metric = "cosine",
    weights: Weights = "distance",
    center: bool = True,
    exclude: Exclude = "patient",
    protocol: Literal["uni"] | None = None,
    explain: NonNegativeInt = 0,
    explain_at: tuple[tuple[int, int], ...] = (),
    map: bool = False,  # noqa: A002 - the flag's name
    slides: str | Path | None = None,
    colours: str = "",
    memory_gb: PositiveFloat | None = None,
    index: Literal["ivf", "hnsw"] | None = None,
) -> StageResult:
    """Label features by their nearest labelled neighbours.

    Writes OUT/<slide_id>.h5 (scores, neighbours, distances, novelty), and says of every slide
    whether the reference covers it; with --explain
    OUT/<slide_id>_neighbours.png (patches beside their neighbours), with --map OUT/map.png.
    Reference and query may be the same folder.

    Args:
        reference: Folder of features with labels, or one such file.
        query: Folder of features to be labelled, or one file.
        out: Folder for the scores.
        k: Number of neighbours.
        metric: Distance between features. Novelty by the cosine may miss what is no tissue.
        weights: Whether near neighbours count more (1 / distance).
        center: Subtract the reference's mean first.
        exclude: Never compare with the same patient (slide or patch where unknown), slide, or all.
        protocol: uni: centred, L2-normalised, Euclidean, k = 20, uniform votes, as published.
        explain: Show so many most and least confident and most novel patches of each class.
        explain_at: Show the patches at these level-0 points: [[x, y], …].
        map: Draw a t-SNE of reference and query by class and by slide or patient.
        slides: Where the slides are now, if they were moved: a slide, a folder or slides.csv,
            which says whose they are, too.
        colours: Of classes in these pictures, such as tumour=#c00,normal=#3a7f44.
        memory_gb: Most memory to take; a reference that needs more stays in its files and is
            compared block by block, the neighbours are the same. Default: half of what is free.
        index: An approximate index of the reference by faiss (pip install "histocnn[ann]"), made
            once and kept in .index/ beside it: inverted lists, or a graph.

    Returns:
        The score files and what failed, with a row per slide.
    """
    settings = UNI if protocol == "uni" else Knn(k=k, metric=metric, weights=weights, center=center)
    check_range("memory_gb", memory_gb, PositiveFloat)
    sheet, chosen = None, parse_colours(colours)
    if explain or explain_at:
        from histocnn.pictures.neighbour_sheets import Shown

        sheet = Shown(
            count=explain,
            at=tuple(explain_at),
            slides=None if slides is None else Path(slides),
            exclude=exclude,
            colours=chosen,
        ).draw
    entries = listed(None if slides is None else Path(slides))
    out = Path(out)
    if map:
        check_files(out, "knn", ["map.png"], lambda: has_records(out, "knn"))
    queries = feature_files(Path(query))
    files = feature_files(Path(reference))
    if why := stays(files, memory_gb):
        print(why[0].upper() + why[1:])
    examples = load(files, entries, stay=bool(why or index)).labelled()
    check_colours(chosen, examples.class_names)
    shown = {"explain": [explain, explain_at], **({"colours": colours} if colours else {})}
    summary = score_features(
        queries,
        out,
        ByNeighbours(examples, settings, exclude, memory_gb, index),
        source=Path(query),
        more=shown,
        explain=sheet,
        entries=entries,
    )
    new = [row["slide_id"] for row in summary.rows if NOT_COVERED in row["message"]]
    if new:
        print(f"Of {len(summary.rows)} files the reference does not cover {len(new)}: "
              f"{', '.join(new[:3])}{' …' * (len(new) > 3)}")  # fmt: skip
    if map:
        from histocnn.pictures.feature_map import draw_map, read_called

        claim_files(out, "knn", ["map.png"])
        rows = load(queries, entries, stay=bool(stays(queries, memory_gb)))
        draw_map(examples, rows, out / "map.png", read_called(rows, out), chosen)
    return summary
