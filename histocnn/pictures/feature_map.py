"""A map of features: t-SNE of reference and query, by class and by where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from histocnn.errors import FeaturesError
from histocnn.pictures.palette import class_colours
from histocnn.pictures.sheet import FOOTNOTE
from histocnn.reference.features import Features

SAMPLE = 1_500  # of reference and of query: t-SNE takes some 10 s for both
COMPONENTS = 50  # before t-SNE, as its authors do
SOURCES = 10  # more colours cannot be told apart


def draw_map(reference: Features, query: Features, path: Path) -> None:
    """Draw a t-SNE of a sample: once by class, once by patient, slide or file.

    Points of one class that fall apart by slide are a batch effect. Reference patches are dots,
    query patches crosses; t-SNE keeps neighbourhoods, not distances.

    Args:
        reference: Labelled rows.
        query: Rows to compare; where it is the reference itself, it is drawn once.
        path: The PNG.

    Raises:
        FeaturesError: Fewer than 3 rows.
    """
    parts = [reference]
    if set(query.hashes) != set(reference.hashes):
        parts.append(query)
    parts = [_sample(part) for part in parts]
    values = np.concatenate([part.values for part in parts])
    points = _tsne(values)
    is_query = np.repeat([False, True][: len(parts)], [len(part) for part in parts])
    picture = Figure(figsize=(13, 6), dpi=100, layout="constrained")
    FigureCanvasAgg(picture)
    left, right = picture.subplots(1, 2)
    by_class = [_class_name(part, label) for part in parts for label in part.labels]
    _scatter(left, points, by_class, is_query, "class")
    _scatter(right, points, [s for part in parts for s in _sources(part)], is_query, "source")
    picture.suptitle(
        f"t-SNE of {int((~is_query).sum())} reference (●) and {int(is_query.sum())} query (×) "
        f"patches · {FOOTNOTE}",
        fontsize=9,
    )
    picture.savefig(path)


def _sample(rows: Features) -> Features:
    chosen = np.random.default_rng(0).permutation(len(rows))[:SAMPLE]
    return rows.only(np.sort(chosen))


def _tsne(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embed features [N, D] in the plane: float32 [N, 2]."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if len(values) < 3:
        raise FeaturesError(f"a map of {len(values)} patches shows nothing", "Leave out --map.")
    components = min(COMPONENTS, *values.shape)
    reduced = PCA(components, random_state=0).fit_transform(values - values.mean(0))
    perplexity = min(30, (len(values) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=0)
    return np.asarray(tsne.fit_transform(reduced), np.float32)


def _class_name(rows: Features, label: int) -> str:
    return rows.class_names[label] if label >= 0 else "unknown"


def _sources(rows: Features) -> list[str]:
    """Name the patient, else slide, else file of each row."""
    files = [rows.files[i].stem for i in rows.file]
    return [
        patient or slide or file
        for patient, slide, file in zip(rows.patient_ids, rows.slide_ids, files, strict=True)
    ]


def _scatter(
    axes: Axes,
    points: NDArray[np.float32],
    names: Sequence[str],
    is_query: NDArray[np.bool_],
    title: str,
) -> None:
    """Points by name; beyond ten names the rarer ones share a grey."""
    unique, counts = np.unique(names, return_counts=True)
    kept = sorted(unique[np.argsort(-counts, kind="stable")[:SOURCES]])
    colours = class_colours(len(kept)) / 255
    for name, colour in [*zip(kept, colours, strict=True), ("others", np.full(3, 0.7))]:
        chosen = ~np.isin(names, kept) if name == "others" else np.asarray(names) == name
        for marker, part in (("o", chosen & ~is_query), ("x", chosen & is_query)):
            if part.any():
                size = 6 if marker == "o" else 14
                label = f"{name} ({int(part.sum())})"
                x, y = points[part].T
                axes.scatter(
                    x, y, s=size, marker=marker, color=[colour], label=label, linewidths=0.7
                )
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(fontsize=6, markerscale=1.5, loc="best")
