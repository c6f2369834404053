"""The pictures of an evaluation as PNG and SVG: ROC, precision-recall, FROC, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter
from numpy.typing import ArrayLike, NDArray

from histocnn.metrics.sections import ReliabilityBin
from histocnn.pictures.lettering import short
from histocnn.pictures.palette import OKABE_ITO, Colours, class_colours, palette
from histocnn.pictures.sheet import FOOTNOTE
from histocnn.storage.atomic import replacing

POINTS = 1000  # of a curve; more cannot be seen
SLIDES = 40  # rows of the strip
PER_SLIDE = 200  # patches drawn per row
_BANDWIDTH = 0.03  # of a density of scores
BLUE = tuple(OKABE_ITO[0] / 255)
# Text as text keeps an SVG small; a fixed salt makes equal pictures equal files.
STYLE: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "histocnn", "font.size": 9}


class Curve(NamedTuple):
    """One line of a picture, with what its legend says."""

    name: str
    x: ArrayLike
    y: ArrayLike


def save(picture: Figure, folder: Path, name: str, footnote: str = "") -> None:
    """Write FOLDER/name.png and FOLDER/name.svg, with "research use only" and the footnote."""
    said = " · ".join(filter(None, [FOOTNOTE, footnote]))
    picture.text(0.01, 0.005, said, fontsize=6, color="0.35", ha="left", va="bottom")
    _take_literally(picture)
    picture.draw_without_rendering()  # lays out once for both kinds
    picture.set_layout_engine("none")
    for kind, more in (("png", {"dpi": 200}), ("svg", {"metadata": {"Date": None}})):
        with rc_context(STYLE), replacing(folder / f"{name}.{kind}") as temporary:
            picture.savefig(temporary, format=kind, **more)


def save_png(picture: Figure, path: Path, dpi: int = 200) -> None:
    """Write one PNG."""
    _take_literally(picture)
    with rc_context(STYLE), replacing(path) as temporary:
        picture.savefig(temporary, format="png", dpi=dpi)


def _take_literally(picture: Figure) -> None:
    """Names are somebody's own: a `$` in one begins no formula. Powers of ten on an axis do."""
    scales = [axis for axes in picture.axes for axis in (axes.xaxis, axes.yaxis)]
    powers = {text for axis in scales if isinstance(axis.get_major_formatter(), LogFormatter)
              for text in axis.get_ticklabels(which="both")}  # fmt: skip
    for text in picture.findobj(Text):
        text.set_parse_math(text in powers)


def roc(curves: Sequence[Curve], colours: NDArray[np.uint8] | None = None) -> Figure:
    """Sensitivity against false positive rate, one line per class, in its colour."""
    picture, axes = _square("False positive rate (1 - specificity)", "Sensitivity")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":")
    _lines(axes, curves, colours, loc="lower right")
    return picture


def precision_recall(
    curves: Sequence[Curve], prevalence: Sequence[float], colours: NDArray[np.uint8] | None = None
) -> Figure:
    """Precision against recall, one line per class; a dotted line is what chance gives."""
    picture, axes = _square("Recall (sensitivity)", "Precision")
    shown = _colours(len(curves)) if colours is None else colours / 255
    for colour, share in zip(shown, prevalence, strict=True):
        axes.axhline(share, color=colour, linewidth=0.8, linestyle=":")
    _lines(axes, curves, colours, loc="lower left", drawstyle="steps-post")
    return picture


def froc(fp: ArrayLike, sensitivity: ArrayLike, rates: Sequence[float], at: ArrayLike) -> Figure:
    """Sensitivity for lesions against false positives per slide, and the six published points."""
    picture, axes = axes_of("False positives per slide", "Sensitivity for lesions")
    fp, sensitivity = _thin(
        np.append(fp, max(8, np.max(fp))), np.append(sensitivity, np.max(sensitivity))
    )
    axes.plot(fp, sensitivity, color=BLUE, linewidth=1.5)
    axes.plot(rates, at, "o", color=BLUE, markersize=5, clip_on=False)
    axes.set(xlim=(0.125, 8), ylim=(0, 1.02), xscale="log")
    axes.set_xticks([0.125, *rates], labels=["1/8", "1/4", "1/2", "1", "2", "4", "8"])
    axes.minorticks_off()
    return picture


def reliability(bins: Sequence[ReliabilityBin], ece: float | None) -> Figure:
    """Accuracy against confidence in 15 bins, with how many patches each holds below."""
    with rc_context(STYLE):
        picture = canvas(3.6, 4.2)
        upper, lower = picture.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    full = [b for b in bins if b.n]
    x = [b.confidence for b in full]
    upper.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":")
    upper.plot(x, [b.accuracy for b in full], "o-", color=BLUE, markersize=4, linewidth=1)
    upper.set(ylim=(0, 1.02), xlim=(0, 1), ylabel="Share that is right")
    if ece is not None:
        upper.text(0.05, 0.9, f"calibration error {ece:.3f}", fontsize=8)
    edges = np.arange(len(bins)) / len(bins)
    lower.bar(edges, [b.n for b in bins], 1 / len(bins), align="edge", color=BLUE, alpha=0.5)
    lower.set(xlabel="Confidence of the called class", ylabel="Patches")
    lower.yaxis.get_major_locator().set_params(nbins=2, integer=True)
    return picture


def confusion(matrix: ArrayLike, class_names: Sequence[str], title: str = "") -> Figure:
    """Counts and shares per true class, rows are truth."""
    matrix = np.asarray(matrix)
    size = 2.2 + 0.62 * len(class_names)
    picture, axes = axes_of("Called", "Truth", size=(size, size * 0.9))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.nan_to_num(matrix / matrix.sum(axis=1, keepdims=True))
    axes.set_title(title, fontsize=9)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        colour = "white" if share[row, column] > 0.55 else "black"
        text = f"{count:,}\n{100 * share[row, column]:.0f} %"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    names = [short(name) for name in class_names]
    axes.set_xticks(range(len(names)), labels=names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), labels=names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return picture


def k_curve(ks: Sequence[int], figures: Mapping[str, Sequence[float | None]]) -> Figure:
    """How figures depend on the number of neighbours."""
    picture, axes = axes_of("Neighbours k", "")
    for colour, (name, values) in zip(_colours(len(figures)), figures.items(), strict=True):
        y = [np.nan if value is None else value for value in values]
        axes.plot(ks, y, "o-", color=colour, markersize=4, linewidth=1.2, label=name)
    axes.set_xscale("log")
    axes.set_xticks(ks, labels=[str(k) for k in ks])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8)
    return picture


def against_epsilon(curves: Sequence[Curve], unattacked: float) -> Figure:
    """Share of attacked patches that is right against the attack's bound, grey levels."""
    picture, axes = axes_of("ε (grey levels of 255)", "Share that is right")
    for colour, curve in zip(_colours(len(curves)), curves, strict=True):
        x, y = np.append(0, curve.x), np.append(unattacked, curve.y)
        axes.plot(x, y, "o-", color=colour, markersize=4, linewidth=1.2, label=curve.name)
    axes.set(ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize=8)
    return picture


def strip(
    rows: Sequence[tuple[str, NDArray[np.floating], NDArray[np.int64], float]],
    class_names: Sequence[str],
    chosen: Colours | None = None,
) -> Figure:
    """One row per slide: the score that each patch gives its own true class, coloured by class.

    Points are a sample of its patches; above them stands each class's density of all of them, as
    high at its peak as the others'.

    Args:
        rows: Slide, scores [n] of the true class, labels [n], accuracy.
        class_names: For the key.
        chosen: Colours of classes.
    """
    rows = rows[:SLIDES]
    picture, axes = axes_of("Score of the true class", "", size=(6.4, 1.2 + 0.24 * len(rows)))
    colours, rng = class_colours(class_names, chosen) / 255, np.random.default_rng(0)
    for place, (_, score, label, accuracy) in enumerate(rows):
        for index, own in enumerate(colours):
            _density(axes, score[label == index], place, own)
        some = _some_of_each(label, rng)
        jitter = rng.uniform(0.05, 0.38, len(some))
        axes.scatter(
            score[some], place + jitter, s=4, c=colours[label[some]], alpha=0.5, linewidth=0,
            rasterized=True,
        )  # fmt: skip
        axes.text(1.02, place, f"{100 * accuracy:.0f} %", va="center", fontsize=7)
    for name, colour in zip(class_names, colours, strict=True):
        axes.scatter([], [], s=14, color=colour, label=short(name))
    axes.set_yticks(range(len(rows)), labels=[short(row[0]) for row in rows], fontsize=7)
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6))
    axes.text(1.02, -0.9, "right", fontsize=7)
    axes.legend(frameon=False, fontsize=7, ncols=6, loc="lower left", bbox_to_anchor=(0, 1))
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    return picture


def _density(axes: Axes, score: NDArray[np.floating], place: int, colour: Any) -> None:
    """Fill a class's smoothed histogram of scores in 0 to 1, above the middle of its row.

    A Gaussian of 0.03, reflected at both ends, so that no score is smeared out of the range.
    """
    counts, edges = np.histogram(score, bins=100, range=(0, 1))
    if not counts.any():
        return
    at = (edges[:-1] + edges[1:]) / 2
    apart = at[:, None] - np.concatenate([-at, at, 2 - at])
    height = np.exp(-0.5 * (apart / _BANDWIDTH) ** 2) @ np.tile(counts, 3)
    top = place - 0.42 * height / height.max()
    axes.fill_between(at, top, place, color=colour, alpha=0.35, linewidth=0.6)


def _some_of_each(label: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw at most PER_SLIDE patches, as many of each class as can be, so that rare ones show."""
    order = rng.permutation(len(label))
    order = order[np.argsort(label[order], kind="stable")]
    first = np.flatnonzero(np.diff(label[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
    return order[np.argsort(rank, kind="stable")][:PER_SLIDE]


def canvas(width: float, height: float) -> Figure:
    """An empty white picture of this size in inches, with room for the footnote."""
    picture = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    picture.get_layout_engine().set(rect=(0, 0.03, 1, 0.97))  # type: ignore[union-attr,call-arg]
    FigureCanvasAgg(picture)
    return picture


def axes_of(x: str, y: str, size: tuple[float, float] = (4.2, 3.6)) -> tuple[Figure, Axes]:
    """A picture of one pair of axes with these labels; its size in inches."""
    with rc_context(STYLE):
        picture = canvas(*size)
        axes = picture.add_subplot()
    axes.set(xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return picture, axes


def _square(x: str, y: str) -> tuple[Figure, Axes]:
    picture, axes = axes_of(x, y, size=(4.0, 4.0))
    axes.set(xlim=(0, 1), ylim=(0, 1.005), aspect="equal")
    return picture, axes


def _lines(
    axes: Axes,
    curves: Sequence[Curve],
    colours: NDArray[np.uint8] | None,
    loc: Any,
    **style: Any,
) -> None:
    shown = _colours(len(curves)) if colours is None else colours / 255
    for colour, curve in zip(shown, curves, strict=True):
        x, y = _thin(curve.x, curve.y)
        axes.plot(x, y, color=colour, linewidth=1.4, label=curve.name, **style)
    axes.legend(frameon=False, fontsize=7, loc=loc)


def _colours(count: int) -> NDArray[np.float64]:
    return palette(count) / 255


def _thin(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Keep at most POINTS points, spread evenly along the curve's length, ends included."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(x) <= POINTS:
        return x, y
    length = np.append(0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    at = np.searchsorted(length, np.linspace(0, length[-1], POINTS))
    at = np.unique(np.clip(at, 0, len(x) - 1))
    return x[at], y[at]
