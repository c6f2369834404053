"""A map of features: t-SNE of reference and query, by class and by where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from histocnn.cohort.seen import SEEN, Verdict, worst
from histocnn.errors import FeaturesError
from histocnn.patches.patches import FilePatches
from histocnn.pictures.curves import save_png
from histocnn.pictures.palette import Colours, class_colours
from histocnn.pictures.sheet import FOOTNOTE
from histocnn.reference.features import Features
from histocnn.scores.scored import most_likely
from histocnn.scores.scorefile import open_score_file

SAMPLE = 1_500  # of reference and of query: t-SNE takes some 10 s for both
COMPONENTS = 50  # before t-SNE, as its authors do
NOT_SCORED = "not scored"
SOURCES = 10  # more colours cannot be told apart


@dataclass(frozen=True, eq=False)
class Called:
    """What came of the query's rows.

    Attributes:
        names: The class that each was called, `NOT_SCORED` where it was not.
        stamp: Whether the reference or the network has seen their patients; "" where not.
    """

    names: Sequence[str]
    stamp: str = ""


def read_called(query: Features, scores: Path) -> Called:
    """Look up each row of the query in its score file of a folder.

    Raises:
        StoreError: As `open_score_file`.
    """
    names, verdicts = [NOT_SCORED] * len(query), []
    for number, path in enumerate(query.files):
        place = scores / f"{FilePatches(path).name}.h5"
        if not place.is_file():  # its slide failed
            continue
        file = open_score_file(place)
        called = most_likely(file.scores())
        rows = np.flatnonzero(query.file == number)
        for own, row in zip(rows.tolist(), query.row[rows].tolist(), strict=True):
            names[own] = file.class_names[called[row]] if called[row] >= 0 else NOT_SCORED
        by_patient = file.shared_patient()
        verdicts += [
            Verdict(SEEN[part], "patient" if by_patient[file.seen() == part].all() else "slide")
            for part in np.unique(file.seen()).tolist()
        ]
    return Called(names, worst(verdicts).stamp)


def draw_map(
    reference: Features,
    query: Features,
    path: Path,
    called: Called | None = None,
    colours: Colours | None = None,
) -> None:
    """Draw a t-SNE of a sample: once by class, once by patient (who is not named), slide or file.

    Points of one class that fall apart by slide are a batch effect. Reference patches are dots in
    their true class, query patches crosses in the class they were called; t-SNE keeps
    neighbourhoods, not distances.

    Args:
        reference: Labelled rows.
        query: Rows to compare; where it is the reference itself, it is drawn once.
        path: The PNG.
        called: What the query's rows were called; their true class where nobody says.
        colours: Chosen for classes.

    Raises:
        FeaturesError: Fewer than 3 rows.
    """
    true = [[_class_name(part, label) for label in part.labels] for part in (reference, query)]
    named = [true[0], list(called.names) if called else true[1]]
    alone = set(query.hashes) == set(reference.hashes)
    chosen = [_sample(len(part)) for part in (reference, query)][: 1 if alone else 2]
    parts = [part.only(rows) for part, rows in zip((reference, query), chosen, strict=False)]
    values = np.concatenate([part.rows[np.arange(len(part))] for part in parts])
    points = _tsne(values)
    is_query = np.repeat([False, True][: len(parts)], [len(part) for part in parts])
    picture = Figure(figsize=(13, 6), dpi=100, layout="constrained")
    FigureCanvasAgg(picture)
    left, right = picture.subplots(1, 2)
    by_class = [own[row] for own, rows in zip(named, chosen, strict=False) for row in rows]
    what = "true class (●), called class (×)" if called and not alone else "class"
    _scatter(left, points, by_class, is_query, what, colours)
    _scatter(right, points, _sources(parts), is_query, "source")
    picture.suptitle(
        f"t-SNE of {int((~is_query).sum())} reference (●) and {int(is_query.sum())} query (×) "
        f"patches · {' · '.join(filter(None, [FOOTNOTE, called.stamp if called else '']))}",
        fontsize=9,
    )
    save_png(picture, path, dpi=100)


def _sample(count: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(0).permutation(count)[:SAMPLE])


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


def _sources(parts: Sequence[Features]) -> list[str]:
    """The source of each row: its patient, by a number and the first slide, else slide, else file.

    Patients are not named: the picture is shown to others.
    """
    slides: dict[str, set[str]] = {}
    for part in parts:
        for slide, patient in part.owners:
            slides.setdefault(patient, set()).add(slide)
    names = {}
    for number, patient in enumerate(sorted(slides.keys() - {""}), start=1):
        first, *more = [*sorted(slides[patient] - {""}), ""]
        names[patient] = f"patient {number}" + f", {first}" * bool(first) + " …" * (len(more) > 1)
    return [
        names.get(patient) or slide or part.files[file].stem
        for part in parts
        for patient, slide, file in zip(
            part.patient_ids, part.slide_ids, part.file.tolist(), strict=True
        )
    ]


def _scatter(
    axes: Axes,
    points: NDArray[np.float32],
    names: Sequence[str],
    is_query: NDArray[np.bool_],
    title: str,
    fixed: Colours | None = None,
) -> None:
    """Points by name; beyond ten names the rarer ones share a grey."""
    unique, counts = np.unique(names, return_counts=True)
    kept = sorted(unique[np.argsort(-counts, kind="stable")[:SOURCES]])
    colours = class_colours(kept, fixed) / 255
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
