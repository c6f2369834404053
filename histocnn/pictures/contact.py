"""A contact sheet: patches side by side, each with what is to be known of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from histocnn.pictures.curves import short
from histocnn.pictures.sheet import FOOTNOTE
from histocnn.storage.atomic import replacing

COLUMNS = 8
SIDE_IN = 1.3  # of a patch, inches


def contact_sheet(
    patches: Sequence[tuple[NDArray[np.uint8], Sequence[str]]], path: Path, *, title: str
) -> None:
    """Write the sheet as PNG.

    Args:
        patches: Pixels [h, w, 3] and the lines below them.
        path: The PNG; replaced if there.
        title: Above all.
    """
    columns = min(COLUMNS, len(patches))
    rows = -(-len(patches) // columns)
    size = (columns * SIDE_IN + 0.2, rows * (SIDE_IN + 0.3) + 0.6)
    picture = Figure(figsize=size, dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(picture)
    picture.suptitle(title, fontsize=9, x=0.01, ha="left")
    picture.supxlabel(FOOTNOTE, fontsize=6, x=0.01, ha="left", color="0.35")
    grid = picture.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (pixels, lines) in zip(grid.flat, patches, strict=False):
        axes.imshow(pixels)
        text = "\n".join(short(line) for line in lines)
        axes.set_title(text, fontsize=5, loc="left", pad=2)
    with replacing(path) as temporary:
        picture.savefig(temporary, format="png")
