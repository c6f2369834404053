"""A picture of a slide in its frame: title, scale bar, and a legend or a colour bar beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from histocnn.storage.atomic import replacing

DPI = 100
FOOTNOTE = "histocnn · research use only"


@dataclass(frozen=True)
class Entry:
    """One line of a legend: its name, its colour (RGB, 0 to 255) and how it is drawn."""

    name: str
    colour: Sequence[int]
    drawn: Literal["area", "square", "line"] = "area"


@dataclass(frozen=True)
class ColourBar:
    """A colour map by name, what it shows, the values at its ends, how opaque it lay."""

    map_name: str
    meaning: str
    ends: tuple[float, float] = (0, 1)
    opacity: float = 1.0


class Copied(Artist):
    """Pixels [h, w, 3] copied to their axes, of that size, as they are.

    matplotlib's own image is resampled, and that twice (once to find the sheet's margins), which
    took more time than all else.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        super().__init__()
        opaque = np.full(pixels.shape[:2], 255, dtype=np.uint8)
        self._rgba = cv2.merge([*cv2.split(pixels[::-1]), opaque])

    def draw(self, renderer: RendererBase) -> None:
        """Copy them."""
        if self.axes is not None:
            left, bottom = self.axes.bbox.min
            renderer.draw_image(renderer.new_gc(), left, bottom, self._rgba)


def scale_bar_um(width_um: float) -> float:
    """The largest of 1, 2, 5, 10, 20, 50 … µm that is at most a third of the picture's width."""
    longest = width_um / 3
    decade = 10.0 ** math.floor(math.log10(longest))
    return max(step * decade for step in (1, 2, 5) if step * decade <= longest * (1 + 1e-9))


def length_text(length_um: float) -> str:
    """A length as people write it: 200 µm, 2 mm."""
    return f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"


def write_sheet(
    picture: NDArray[np.uint8],
    path: Path,
    *,
    title: str,
    width_um: float,
    key: Sequence[Entry] | ColourBar | None = None,
    note: str = "",
) -> None:
    """Write a picture [h, w, 3], pixel for pixel, with its title, scale bar and key as a PNG.

    The sheet is as large as the picture asks; letters grow with it.

    Args:
        picture: What is shown; its width is the slide's.
        path: The PNG; replaced if there.
        title: Above the picture.
        width_um: The physical width of the picture.
        key: A legend or a colour bar, right of the picture.
        note: What the picture rests on, in small letters below it.
    """
    height_px, width_px = picture.shape[:2]
    letter_px = min(max(max(height_px, width_px) / 75, 12), 26)
    figure = Figure(figsize=(width_px / DPI, height_px / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.add_artist(Copied(picture))
    axes.set(xlim=(0, width_px), ylim=(height_px, 0), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color="0.75", linewidth=0.6)
    points = letter_px * 72 / DPI
    axes.set_title(title, loc="left", fontsize=points * 1.2, pad=letter_px * 0.6)
    footnote = f"{FOOTNOTE} · {note}" if note else FOOTNOTE
    _add_scale_bar(axes, width_px, height_px, width_um, letter_px, footnote)
    if isinstance(key, ColourBar):
        _add_colour_bar(axes, key, width_px, height_px, letter_px)
    elif key is not None:
        _add_legend(axes, key, points)
    margin = letter_px / DPI
    with replacing(path) as temporary:
        figure.savefig(
            temporary,
            format="png",
            dpi=DPI,
            bbox_inches="tight",
            pad_inches=margin,
            pil_kwargs={"compress_level": 3},  # half the time of 6 for a twentieth more bytes
        )
    _give_back(figure)


def _give_back(figure: Figure) -> None:
    """Free a drawn figure's pixels now: its parts refer to each other, and dozens would pile up."""
    renderer = vars(figure.canvas).get("renderer")
    figure.clear()
    if renderer is not None:
        vars(renderer).clear()  # its texts hold it, and it the canvas's pixels


def _add_scale_bar(
    axes: Axes, width_px: int, height_px: int, width_um: float, letter_px: float, footnote: str
) -> None:
    length_um = scale_bar_um(width_um)
    length_px = length_um / width_um * width_px
    top_px, thick_px = height_px + letter_px * 0.7, letter_px * 0.35
    axes.add_patch(
        Rectangle((0, top_px), length_px, thick_px, color="black", linewidth=0, clip_on=False)
    )
    points = letter_px * 72 / DPI
    below: dict[str, Any] = {"va": "top", "clip_on": False}
    text_px = top_px + thick_px + letter_px * 0.3
    axes.text(0, text_px, length_text(length_um), fontsize=points, **below)
    text_px += 1.5 * letter_px
    axes.text(0, text_px, footnote, fontsize=points * 0.75, color="0.45", **below)


def _add_legend(axes: Axes, entries: Sequence[Entry], points: float) -> None:
    axes.legend(
        handles=[_handle(entry) for entry in entries],
        loc="upper left",
        bbox_to_anchor=(1, 1),
        borderaxespad=0,
        frameon=False,
        fontsize=points,
    )


def _handle(entry: Entry) -> Artist:
    colour = "#{:02x}{:02x}{:02x}".format(*entry.colour)
    if entry.drawn == "line":
        return Line2D([], [], color=colour, linewidth=2, label=entry.name)
    # Half transparent, as the tint is.
    face = f"{colour}80" if entry.drawn == "area" else "none"
    return Patch(facecolor=face, edgecolor=colour, linewidth=1.2, label=entry.name)


def _add_colour_bar(
    axes: Axes, bar: ColourBar, width_px: int, height_px: int, letter_px: float
) -> None:
    length_px = min(height_px, 24 * letter_px)
    inset = axes.inset_axes(
        (
            1 + letter_px / width_px,
            1 - length_px / height_px,
            letter_px / width_px,
            length_px / height_px,
        )
    )
    points = letter_px * 72 / DPI
    values = ScalarMappable(Normalize(*bar.ends), bar.map_name)
    colour_bar = axes.figure.colorbar(values, cax=inset, alpha=bar.opacity)
    colour_bar.set_label(bar.meaning, fontsize=points)
    colour_bar.ax.tick_params(labelsize=points * 0.9)
