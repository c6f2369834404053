"""`histocnn knn`: features in; scores, and the labelled neighbours that explain them, out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from histocnn.errors import UsageError
from histocnn.jobs import run as runs
from histocnn.patches.gridpixels import GridPixels
from histocnn.patches.patches import FilePatches, open_files
from histocnn.reference.features import (
    Exclude,
    Features,
    feature_files,
    groups_of,
    left_out,
    load,
    own_rows,
)
from histocnn.reference.neighbours import UNI, Knn, Metric, Reference, Weights, vote
from histocnn.scores.query import open_query, write_query
from histocnn.storage.hashing import sha256

Coordinates = tuple[tuple[int, int], ...]


def knn(
    reference: Path,
    query: Path,
    out: Path,
    k: int = 20,
    metric: Metric = "cosine",
    weights: Weights = "distance",
    center: bool = True,
    exclude: Exclude = "patient",
    protocol: Literal["uni"] | None = None,
    explain: int = 0,
    explain_at: Coordinates = (),
    map: bool = False,  # noqa: A002 - the flag's name
    slides: Path | None = None,
) -> int:
    """Label features by their nearest labelled neighbours.

    Writes OUT/<slide_id>.h5 (scores, neighbours, distances, novelty), with --explain
    OUT/<slide_id>_neighbours.png (patches beside their neighbours), with --map OUT/map.png.
    Reference and query may be the same folder.

    Args:
        reference: Folder of features with labels, or one such file.
        query: Folder of features to be labelled, or one file.
        out: Folder for the scores.
        k: Number of neighbours.
        metric: Distance between features.
        weights: Whether near neighbours count more (1 / distance).
        center: Subtract the reference's mean first.
        exclude: Never compare with the same patient (slide or patch where unknown), slide, or all.
        protocol: uni: centred, L2-normalised, Euclidean, k = 20, uniform votes, as published.
        explain: Show so many most and least confident and most novel patches of each class.
        explain_at: Show the patches at these level-0 points: [[x, y], …].
        map: Draw a t-SNE of reference and query by class and by slide or patient.
        slides: Where the slides are now, if they were moved: a slide, a folder or slides.csv.

    Returns:
        0, or 1 if a slide failed.
    """
    settings = UNI if protocol == "uni" else Knn(k, metric, weights, center)
    if settings.k < 1:
        raise UsageError(f"--k {k} is no number of neighbours", "Give 1 or more, such as 20.")
    queries = open_files(feature_files(query))
    examples = load(feature_files(reference)).labelled()
    shown = Shown(explain, tuple(explain_at), slides)
    index = Reference(examples.values, groups_of(examples, examples), settings)
    summary = runs.run(
        queries,
        out=out,
        command="knn",
        source=query,
        recipe=partial(recipe_of, examples=examples, knn=settings, exclude=exclude, shown=shown),
        work=partial(score, examples=examples, index=index, exclude=exclude, shown=shown),
    )
    if map:
        from histocnn.pictures.feature_map import draw_map

        draw_map(examples, load([query.file for query in queries]), out / "map.png")
    return summary.exit_code


@dataclass(frozen=True)
class Shown:
    """Which patches the neighbour sheets show, and where their slides are."""

    count: int
    at: Coordinates
    slides: Path | None


def recipe_of(
    query: FilePatches, examples: Features, knn: Knn, exclude: Exclude, shown: Shown
) -> dict[str, Any]:
    """The settings and the hashes of reference and query."""
    return {
        "stage": "knn",
        **asdict(knn),
        "exclude": exclude,
        "explain": [shown.count, shown.at],
        "reference": sorted(examples.hashes),
        "query": sha256(query.file),
    }


def score(
    query: FilePatches,
    target: Path,
    recipe: dict[str, Any],
    tick: runs.Tick,
    *,
    examples: Features,
    index: Reference,
    exclude: Exclude,
    shown: Shown,
) -> dict[str, Any]:
    """Write one file's scores, and its sheet of neighbours first, because the scores say "done"."""
    rows = open_query(query, examples)
    found = index.search(rows.values, left_out(rows, examples, exclude), own_rows(rows, examples))
    labels = examples.labels[found.rows]
    arrays = {
        "scores": vote(labels, found.distances, len(examples.class_names), index.knn.weights),
        "neighbours": np.stack(
            [examples.file[found.rows], examples.row[found.rows]], axis=-1
        ).astype(np.int32),
        "neighbour_labels": labels.astype(np.int32),
        "distances": found.distances,
        "novelty": index.novelty(found),
    }
    notes = []
    if shown.count or shown.at:
        sheet = target.with_name(f"{target.stem}_neighbours.png")
        notes = _explain(sheet, rows, examples, arrays, shown)
    facts = write_query(target, rows, examples, arrays, recipe, exclude)
    notes.append(f"novelty: reference rows compared without their own {index.calibration[0]}")
    facts["notes"] += notes
    tick(facts["patches"], facts["patches"])
    return facts


def _explain(
    path: Path, rows: Features, examples: Features, arrays: dict[str, Any], shown: Shown
) -> list[str]:
    """Draw the sheet of the wanted patches beside their neighbours.

    Returns:
        A note for each point without a patch.
    """
    from histocnn.pictures.neighbour_sheets import at_points, choose, draw_sheet

    patches, *sources = open_files((*rows.files, *examples.files), shown.slides)
    lines = choose(arrays["scores"], arrays["novelty"], examples.class_names, shown.count)
    missed = list(shown.at)
    if isinstance(patches.pixels, GridPixels):
        coords = patches.pixels.coords[rows.row]
        found, missed = at_points(coords, patches.pixels.footprint_l0, shown.at)
        lines += found
    if lines:
        draw_sheet(path, lines, (rows, patches), (examples, sources), arrays)
    return [f"no scored patch at ({x}, {y})" for x, y in missed]
