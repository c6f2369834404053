"""The pictures of a search: its course, what mattered, what was good, and how sure that is.

Crosses are trials without an end; bars are the standard error of the mean over the folds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from histocnn.pictures.curves import BLUE, STYLE, axes_of, canvas
from histocnn.pictures.lettering import short

SHOWN = 15  # trials in the picture of the folds
MOST_KEYS = 9  # in parallel coordinates, and panels of slices
SHADES = "viridis"
_DECADES = 1.5  # from which numbers are drawn by their logarithm
_ORANGE = "#d55e00"


class Tried(NamedTuple):
    """One trial that came to an end.

    number: Of the trial; value: mean over the folds; folds: the metric on each; values: by key.
    """

    number: int
    value: float
    folds: Sequence[float]
    values: Mapping[str, Any]

    @property
    def sem(self) -> float:
        """The standard error of the mean over the folds; 0 of one fold."""
        n = len(self.folds)
        return float(np.std(self.folds, ddof=1) / np.sqrt(n)) if n > 1 else 0.0


def history(trials: Sequence[Tried], stopped: Sequence[int], metric: str, maximize: bool) -> Figure:
    """The metric by trial, and the best so far; below, the trials that came to no end.

    Args:
        trials: Those that came to an end, by number.
        stopped: Numbers of the others.
        metric: Its name.
        maximize: Whether more is better.
    """
    picture, axes = axes_of("Trial", _said(metric), size=(5.2, 3.4))
    numbers, values = [t.number for t in trials], [t.value for t in trials]
    axes.errorbar(
        numbers, values, [t.sem for t in trials], fmt="o", color=BLUE, ms=4, lw=0.8, label="trial"
    )
    so_far = (np.maximum if maximize else np.minimum).accumulate(values)
    axes.plot(numbers, so_far, drawstyle="steps-post", color=_ORANGE, lw=1.4, label="best so far")
    if stopped:
        low = axes.get_ylim()[0]
        axes.plot(stopped, [low] * len(stopped), "x", color="0.5", ms=5, clip_on=False,
                  label="failed or stopped early")  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=7, loc="best")
    return picture


def importance(shares: Mapping[str, float]) -> Figure:
    """How much of the metric's variance each key explains."""
    picture, axes = axes_of(
        "Share of the variance explained", "", size=(5.2, 1.0 + 0.32 * len(shares))
    )
    names = [short(key, 30) for key in shares]
    axes.barh(range(len(shares)), list(shares.values()), color=BLUE, height=0.6)
    for place, share in enumerate(shares.values()):
        axes.text(share + 0.01, place, f"{share:.2f}", va="center", fontsize=7)
    axes.set_yticks(range(len(shares)), labels=names, fontsize=8)
    axes.set(xlim=(0, 1.05), ylim=(len(shares) - 0.4, -0.6))
    return picture


def parallel(trials: Sequence[Tried], keys: Sequence[str], metric: str, maximize: bool) -> Figure:
    """One line per trial through its values, light where it is good; the best lie on top.

    A key that a trial has not breaks its line.
    """
    keys = keys[:MOST_KEYS]
    with rc_context(STYLE):
        picture = canvas(max(5.2, 1.5 * (len(keys) + 1)), 3.8)
        axes = picture.add_subplot()
    scales = [_Scale([t.values.get(key) for t in trials]) for key in keys]
    scales.append(_Scale([t.value for t in trials]))
    shade = _shades(trials, maximize)
    for place in np.argsort(shade, kind="stable"):
        trial, own = trials[place], [*(trials[place].values.get(key) for key in keys)]
        heights = [s.at(v) for s, v in zip(scales, [*own, trial.value], strict=True)]
        axes.plot(heights, color=colormaps[SHADES](shade[place]), lw=1.3, alpha=0.85,
                  marker="o", ms=2.5)  # fmt: skip
    for place, scale in enumerate(scales):
        axes.axvline(place, color="0.75", lw=0.8, zorder=0)
        for height, text in scale.ticks():
            axes.text(place + 0.03, height, text, fontsize=6.5, va="center", color="0.25",
                      bbox={"facecolor": "white", "alpha": 0.7, "lw": 0, "pad": 0.6})  # fmt: skip
    names = [short(key.partition(".")[2] or key, 18) for key in keys]
    axes.set_xticks(range(len(scales)), labels=[*names, short(metric, 18)], fontsize=8)
    axes.set(xlim=(-0.15, len(scales) - 0.45), ylim=(-0.06, 1.06))
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return picture


def slices(trials: Sequence[Tried], keys: Sequence[str], metric: str) -> Figure:
    """The metric by each key's value alone, one panel per key; dark points came late."""
    keys = keys[:MOST_KEYS]
    columns = min(3, len(keys))
    rows = -(-len(keys) // columns)
    with rc_context(STYLE):
        picture = canvas(max(5.2, 2.9 * columns), 2.6 * rows)
        panels = picture.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes, key in zip(panels, keys, strict=False):
        _slice(axes, [t for t in trials if key in t.values], key)
    for axes in panels[len(keys) :]:
        axes.set_visible(False)
    for row in range(rows):
        panels[row * columns].set_ylabel(_said(metric))
    return picture


def _slice(axes: Axes, trials: Sequence[Tried], key: str) -> None:
    scale = _Scale([t.values[key] for t in trials])
    rng = np.random.default_rng(0)
    x = np.array([scale.place(t.values[key]) for t in trials])
    if scale.names:
        x = x + rng.uniform(-0.12, 0.12, len(x))  # equal values lie side by side
        names = [short(name, 14) for name in scale.names]
        slanted: dict[str, Any] = (
            {"rotation": 25, "ha": "right"} if max(map(len, names)) > 6 else {}
        )
        axes.set_xticks(range(len(names)), labels=names, fontsize=7, **slanted)
        axes.set_xlim(-0.5, len(names) - 0.5)
    elif scale.log:
        axes.set_xscale("log")
    order = [t.number for t in trials]
    axes.errorbar(x, [t.value for t in trials], [t.sem for t in trials], fmt="none",
                  ecolor="0.8", lw=0.8, zorder=1)  # fmt: skip
    axes.scatter(x, [t.value for t in trials], c=order, cmap="Blues", s=18, zorder=2,
                 vmin=-max(order) / 2 - 1, edgecolor="0.4", linewidth=0.4)  # fmt: skip
    axes.set_xlabel(short(key, 28), fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)


def spread(trials: Sequence[Tried], metric: str, maximize: bool) -> Figure:
    """The best trials, each fold a dot and the mean a bar; grey: the best ± its standard error."""
    order = sorted(trials, key=lambda t: (-t.value if maximize else t.value, t.number))[:SHOWN]
    picture, axes = axes_of(_said(metric), "", size=(5.2, 1.1 + 0.26 * len(order)))
    best = order[0]
    axes.axvspan(best.value - best.sem, best.value + best.sem, color="0.9", lw=0)
    for place, trial in enumerate(order):
        axes.plot(trial.folds, [place] * len(trial.folds), "o", color=BLUE, ms=4, alpha=0.55,
                  mew=0)  # fmt: skip
        axes.plot([trial.value] * 2, [place - 0.3, place + 0.3], color=_ORANGE, lw=2)
    axes.set_yticks(range(len(order)), labels=[f"trial {t.number}" for t in order], fontsize=7)
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.grid(axis="y", color="0.94")
    axes.set_axisbelow(True)
    return picture


class _Scale:
    """Where the values of one key lie: numbers by themselves or their logarithm, else by name."""

    def __init__(self, values: Sequence[Any]) -> None:
        known = [v for v in values if v is not None]
        numeric = [v for v in known if isinstance(v, int | float) and not isinstance(v, bool)]
        are_numbers = len(numeric) == len(values) and len(set(numeric)) > 2
        self.names = [] if are_numbers else sorted({_name(v) for v in values}, key=_rank)
        self.low, self.high = (min(numeric), max(numeric)) if are_numbers else (0.0, 1.0)
        self.log = are_numbers and self.low > 0 and np.log10(self.high / self.low) > _DECADES

    def place(self, value: Any) -> float:
        """The number itself, or the number of its name."""
        return float(self.names.index(_name(value)) if self.names else value)

    def at(self, value: Any) -> float:
        """0 at the bottom, 1 at the top."""
        if self.names:
            return self.place(value) / max(1, len(self.names) - 1)
        low, high, own = self.low, self.high, float(value)
        if self.log:
            low, high, own = (float(np.log(x)) for x in (low, high, own))
        return (own - low) / (high - low) if high > low else 0.5

    def ticks(self) -> list[tuple[float, str]]:
        """(height, text): every name, or the ends and the middle."""
        if self.names:
            return [
                (i / max(1, len(self.names) - 1), short(n, 14)) for i, n in enumerate(self.names)
            ]
        middle = (self.low * self.high) ** 0.5 if self.log else (self.low + self.high) / 2
        return [(self.at(v), f"{v:.3g}") for v in (self.low, middle, self.high)]


def _name(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _rank(name: str) -> tuple[int, float, str]:
    """Numbers by size, before names by letter."""
    try:
        return 0, float(name), ""
    except ValueError:
        return 1, 0.0, name


def _shades(trials: Sequence[Tried], maximize: bool) -> NDArray[np.float64]:
    """0 of the worst to 1 of the best, by rank: one bad trial does not make the rest alike."""
    values = np.array([t.value for t in trials]) * (1 if maximize else -1)
    _, ranks = np.unique(values, return_inverse=True)
    return np.asarray(ranks / max(1, ranks.max()), np.float64)


def _said(metric: str) -> str:
    return f"{metric} on validation"
