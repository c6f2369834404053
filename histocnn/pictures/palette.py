"""Colours that colour-blind people can tell apart and that stand out from pink and purple."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Okabe and Ito's palette (jfly.uni-koeln.de/color), those that stand out from H&E first; of the
# first six one is blue.
OKABE_ITO = np.array(
    [
        [0, 114, 178],  # blue
        [230, 159, 0],  # orange
        [0, 158, 115],  # bluish green
        [213, 94, 0],  # vermillion
        [240, 228, 66],  # yellow
        [204, 121, 167],  # reddish purple
        [86, 180, 233],  # sky blue: far from the other blue, and from its lighter second round
        [0, 0, 0],
    ],
    dtype=np.uint8,
)
SCORE_MAP = "viridis"
NOVELTY_MAP = "plasma"


def class_colours(count: int) -> NDArray[np.uint8]:
    """One colour per class, [count, 3]; beyond eight, the palette again, lighter each round."""
    index = np.arange(count)
    towards_white = 1 - 0.6 ** (index // len(OKABE_ITO))
    base = OKABE_ITO[index % len(OKABE_ITO)].astype(np.float64)
    return np.rint(base + (255 - base) * towards_white[:, None]).astype(np.uint8)


def map_table(name: str) -> NDArray[np.uint8]:
    """A perceptually even colour map of matplotlib's as 256 steps from 0 to 1, [256, 3]."""
    from matplotlib import colormaps

    return np.asarray(colormaps[name](np.arange(256), bytes=True)[:, :3], dtype=np.uint8)


def shade(values: NDArray[np.floating], name: str = SCORE_MAP) -> NDArray[np.uint8]:
    """Values from 0 to 1 as RGBA, [..., 4]; NaN is transparent, everything else opaque."""
    defined = np.isfinite(values)
    step = np.rint(np.clip(np.where(defined, values, 0), 0, 1) * 255).astype(np.intp)
    return np.concatenate(
        [map_table(name)[step], np.where(defined, 255, 0).astype(np.uint8)[..., None]], axis=-1
    )


def paint_classes(labels: NDArray[np.int64], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Class numbers as RGBA, [..., 4]; -1 is transparent."""
    labelled = labels >= 0
    rgb = colours[np.where(labelled, labels, 0)]
    return np.concatenate([rgb, np.where(labelled, 255, 0).astype(np.uint8)[..., None]], axis=-1)
