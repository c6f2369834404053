"""Do two slides show one piece of tissue? Serial sections under two patients' names are a leak.

The overview of each slide, its tissue brought to one area and its light and dark at one scale, is
laid over the other's in eight orientations and a few turns, shifted by correlation, and the best
of these is refined by an affine registration (Evangelidis and Psarakis 2008, IEEE TPAMI 30:1858).
docs/benchmarks.md has what it finds and what it takes for alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.regions.tissue import TissueMask
from histocnn.slides.slide import Slide

Image = NDArray[np.float32]

ALIKE = 0.65  # correlation; other tissue reached 0.57, planted neighbours 0.62 to 0.94
TISSUE_PX = 32  # root of the tissue's area
SIDE_PX = 64  # of the canvas; what lies outside is cut off
BLUR_PX = 0.5  # makes up for what two sections differ by between neighbouring pixels
MAX_DENSITY = 1.5  # darker is ink, folds and dirt
MAX_AREA_RATIO = 2.0  # of two sections of one block
TURNS_DEG = (-10.0, 0.0, 10.0)  # beside the eight orientations
WORTH_REFINING = 0.25  # correlation before registration
MIN_OVERLAP = 0.6  # of the smaller tissue
MAX_SCALING = 0.35  # of the area, by registration


@dataclass(frozen=True, eq=False)
class Section:
    """A slide's tissue, small and of one size.

    Attributes:
        density: float32 [64, 64]: optical density less its mean over the tissue, 0 on glass.
        tissue: float32 [64, 64], share of tissue, 0 to 1.
        area_um2: Area of all its tissue.
    """

    density: Image
    tissue: Image
    area_um2: float


def section_of(slide: Slide, mask: TissueMask) -> Section | None:
    """The section on a slide; None where no tissue was found, or nothing is to be seen in it."""
    if mask.is_empty:
        return None
    pixels = slide.thumbnail(mpp=float(np.sqrt(mask.area_um2) / TISSUE_PX))
    density = -np.log((pixels.astype(np.float32) + 1) / 256).mean(axis=2)
    tissue = cv2.resize(
        mask.mask.astype(np.float32), pixels.shape[1::-1], interpolation=cv2.INTER_AREA
    )
    return section(density, np.asarray(tissue, np.float32), mask.area_um2)


def section(density: Image, tissue: Image, area_um2: float) -> Section | None:
    """Make a section, as `section_of`, from optical density [h, w] and share of tissue [h, w]."""
    if not tissue.sum() > 0:
        return None
    density = np.minimum(density, np.float32(MAX_DENSITY))
    centred = (density - (density * tissue).sum() / tissue.sum()) * tissue
    rows, cols = np.nonzero(tissue >= min(0.5, tissue.max()))
    box = slice(rows.min(), rows.max() + 1), slice(cols.min(), cols.max() + 1)
    tissue, centred = _on_canvas(tissue[box]), _on_canvas(centred[box])
    centred = np.asarray(cv2.GaussianBlur(centred, (0, 0), BLUR_PX), np.float32) * tissue
    if not (centred**2).sum() > 0:
        return None
    return Section(centred, tissue, area_um2)


def alike(sections: Sequence[Section | None]) -> Iterator[tuple[int, int, float]]:
    """Pairs of sections (first, second, likeness) that look like neighbours of one block."""
    spectra = [None if s is None else _spectrum(_unit(s.density)) for s in sections]
    for i, first in enumerate(sections):
        if first is None:
            continue
        turned = _spectrum(np.stack([_unit(t) for t in _turned(first.density)]))
        for j in range(i + 1, len(sections)):
            second, spectrum = sections[j], spectra[j]
            if second is None or spectrum is None or _too_unequal(first, second):
                continue
            likeness = _likeness(first, second, turned, spectrum)
            if likeness >= ALIKE:
                yield i, j, likeness


def _too_unequal(first: Section, second: Section) -> bool:
    areas = sorted((first.area_um2, second.area_um2))
    return areas[1] > MAX_AREA_RATIO * areas[0]


def _likeness(
    first: Section, second: Section, turned: NDArray[np.complex64], spectrum: NDArray[np.complex64]
) -> float:
    from scipy import fft

    size = (2 * SIDE_PX, 2 * SIDE_PX)
    shifted = fft.irfft2(turned * spectrum.conj(), size)  # [24, 128, 128], correlation by shift
    turn, row, col = np.unravel_index(shifted.argmax(), shifted.shape)
    coarse = float(shifted[turn, row, col])
    if coarse < WORTH_REFINING:
        return coarse
    shift = [int(s) if s < SIDE_PX else int(s) - 2 * SIDE_PX for s in (col, row)]
    return max(coarse, _refined(first, second, int(turn), shift))


def _refined(first: Section, second: Section, turn: int, shift_px: Sequence[int]) -> float:
    """Correlation on the common tissue after affine registration; -1 where it finds none."""
    density, tissue = _turned(first.density)[turn], _turned(first.tissue)[turn]
    motion = np.array([[1, 0, shift_px[0]], [0, 1, shift_px[1]]], np.float32)
    everywhere = np.ones((SIDE_PX, SIDE_PX), np.uint8)
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-4)
    try:
        _, found = cv2.findTransformECC(
            second.density, density, motion, cv2.MOTION_AFFINE, until, everywhere, 5
        )
    except cv2.error:  # it does not converge: they are not alike
        return -1.0
    if abs(np.linalg.det(found[:, :2]) - 1) > MAX_SCALING:
        return -1.0
    size, how = (SIDE_PX, SIDE_PX), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(density, found, size, flags=how)
    common = cv2.warpAffine(tissue, found, size, flags=how) * second.tissue
    if common.sum() < MIN_OVERLAP * min(first.tissue.sum(), second.tissue.sum()):
        return -1.0
    return _correlation(moved, second.density, common)


def _correlation(a: NDArray[np.generic], b: Image, weights: NDArray[np.generic]) -> float:
    w = np.asarray(weights, np.float64) / np.sum(np.asarray(weights, np.float64))
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    x, y = x - (x * w).sum(), y - (y * w).sum()
    length = np.sqrt((x * x * w).sum() * (y * y * w).sum())
    return float((x * y * w).sum() / length) if length else -1.0


def _on_canvas(image: Image) -> Image:
    """The middle of an image, or the image in the middle of 0: [64, 64]."""
    canvas = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    h, w = (min(side, SIDE_PX) for side in image.shape)
    top, left = (image.shape[0] - h) // 2, (image.shape[1] - w) // 2
    row, col = (SIDE_PX - h) // 2, (SIDE_PX - w) // 2
    canvas[row : row + h, col : col + w] = image[top : top + h, left : left + w]
    return canvas


def _turned(image: Image) -> list[Image]:
    """Turn it into eight orientations and by each of TURNS_DEG, 24 in all."""
    centre, turned = ((SIDE_PX - 1) / 2, (SIDE_PX - 1) / 2), []
    for degrees in TURNS_DEG:
        matrix = cv2.getRotationMatrix2D(centre, degrees, 1)
        one = np.asarray(cv2.warpAffine(image, matrix, (SIDE_PX, SIDE_PX)), np.float32)
        for quarter in range(4):
            four = np.rot90(one, quarter)
            turned += [np.ascontiguousarray(four), np.ascontiguousarray(four[:, ::-1])]
    return turned


def _unit(image: Image) -> Image:
    return np.asarray(image / np.sqrt((image**2).sum()), np.float32)


def _spectrum(images: Image) -> NDArray[np.complex64]:
    from scipy import fft

    return np.asarray(fft.rfft2(images, (2 * SIDE_PX, 2 * SIDE_PX)), np.complex64)
