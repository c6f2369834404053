"""Networks side by side: by number of neighbours, and by number of labelled patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from histocnn.pictures.curves import axes_of
from histocnn.pictures.lettering import short
from histocnn.pictures.palette import OKABE_ITO

_STYLES = ("-", "--", "-.")


class Line(NamedTuple):
    """One network's line.

    name: Of it; x: Numbers; y: Figures; low, high: Bounds, empty where there are none;
    baseline: It is colour alone.
    """

    name: str
    x: Sequence[int]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    baseline: bool = False


def by_number(lines: Sequence[Line], what: str, figure: str) -> Figure:
    """Figures by a number that doubles.

    Args:
        lines: Of the networks.
        what: The number is of.
        figure: Name of the figure.
    """
    picture, axes = axes_of(what, figure, size=(5.2, 3.6))
    number = 0
    for line in lines:
        colour = (0.45, 0.45, 0.45) if line.baseline else tuple(OKABE_ITO[number % 8] / 255)
        style = ":" if line.baseline else _STYLES[number // 8 % len(_STYLES)]
        number += not line.baseline
        axes.plot(line.x, line.y, style, color=colour, marker="o", ms=3, lw=1.4,
                  label=short(line.name, 34))  # fmt: skip
        if line.low:
            axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.12, lw=0)
    ticks = sorted({x for line in lines for x in line.x})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, labels=[str(x) for x in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=7, loc="best")
    return picture
