"""Where an image speaks for a class, as pictures: over a patch, and over a slide."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.pictures.mosaic import DEAD, MARK, tiles
from histocnn.pictures.palette import OKABE_ITO, shade

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
SIDE_PX = 200
COVER = 0.55  # of the picture by the map's colours
SLIDE_PX = 480  # longest side of a slide's map


def over_image(pixels: Pixels, values: Floats | None, side_px: int = SIDE_PX) -> Pixels:
    """A map over its image, the more covered the lighter its colour.

    Args:
        pixels: uint8 [H, W, 3].
        values: float32 [H, W] from 0 to 1; None: undefined, crossed out.
        side_px: Of the result.
    """
    size = (side_px, side_px)
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float64)
    if values is None:
        grey = np.asarray(0.4 * small + 0.6 * np.array(DEAD), np.uint8)
        cv2.line(grey, (0, 0), (side_px - 1, side_px - 1), MARK, 2, cv2.LINE_AA)
        cv2.line(grey, (side_px - 1, 0), (0, side_px - 1), MARK, 2, cv2.LINE_AA)
        return grey
    laid = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray((1 - COVER) * small + COVER * shade(laid, "plasma"), np.uint8)


def row(pictures: list[Pixels]) -> Pixels:
    """Pictures of one size side by side."""
    return tiles(pictures, len(pictures), gap_px=6)


def diverging(values: Floats) -> Pixels:
    """Values about 0 as colours: blue below, vermillion above, white at 0; NaN light grey.

    The scale ends at the largest of either sign.
    """
    most = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    share = np.clip(np.nan_to_num(values) / (most or 1.0), -1, 1)[..., None]
    ends = np.where(share < 0, OKABE_ITO[0], OKABE_ITO[3]).astype(np.float64)
    colours = 255 + np.abs(share) * (ends - 255)
    colours[np.isnan(values)] = DEAD
    return np.asarray(np.rint(colours), np.uint8)


def probability(values: Floats) -> Pixels:
    """Probabilities as colours; NaN light grey."""
    colours = shade(values)
    colours[np.isnan(values)] = DEAD
    return colours


def beside_slide(overview: Pixels, score: Floats, added: Floats) -> Pixels:
    """A slide, a class's probability, and its attribution, side by side at one size.

    Args:
        overview: uint8 [H, W, 3] of the whole slide.
        score: float32 [rows, cols] over it, NaN beside tissue.
        added: Likewise.
    """
    scale = SLIDE_PX / max(overview.shape[:2])
    size = max(1, round(overview.shape[1] * scale)), max(1, round(overview.shape[0] * scale))
    slide = np.asarray(cv2.resize(overview, size, interpolation=cv2.INTER_AREA), np.uint8)
    painted = [
        np.asarray(cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        for colours in (probability(score), diverging(added))
    ]
    return row([slide, *painted])
