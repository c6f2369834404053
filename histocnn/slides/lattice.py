"""Large squares of a slide with the sharpness of its patches.

A patch whose crop is a whole multiple of its side, as 224 of 224.4 px, is a plain copy or a mean of
whole pixels. A region of 3,072 px would miss the multiple by several pixels and be resampled, and
blurred as the patches that a network was trained on never were. So its pixels are copied, too:
pixel i of the slide's own lattice at the asked µm/px has the level's pixels from (i × step) on, and
every few hundred pixels one is passed over or comes twice. Where a square begins changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from histocnn.slides.geometry import Crops, Pixels, resample
from histocnn.slides.slide import Slide

SAME = 1e-6  # of a pixel: rounding errors decide no tie


class Lattice(NamedTuple):
    """How squares at one µm/px are read from one level.

    Attributes:
        level: Index of the level.
        times: Pixels of the level, each way (x, y), of which one is made; 0: they are resampled.
        step: From pixel to pixel, px of the level, (x, y).
    """

    level: int
    times: tuple[int, int]
    step: tuple[float, float]

    @classmethod
    def of(cls, slide: Slide, patch_px: int, mpp: float) -> Lattice:
        """That of patches of this side and µm/px."""
        level, size, _ = slide.crops([(0.0, 0.0)], patch_px, mpp)
        whole = all(length % patch_px == 0 for length in size)
        times = (size[0] // patch_px, size[1] // patch_px) if whole else (0, 0)
        downsample = np.array(slide.size_l0) / slide.level_sizes[level]
        x, y = (mpp / np.array(slide.require_mpp()) / downsample).tolist()
        return cls(level, times, (x, y))

    def crops(self, slide: Slide, starts_px: NDArray[np.int64], side_px: int, mpp: float) -> Crops:
        """What to read for squares.

        Args:
            slide: The slide.
            starts_px: int64 [N, 2], (x, y) of their top left corners on the lattice.
            side_px: Their side, px of the lattice.
            mpp: µm/px of the lattice.
        """
        if not self.times[0]:
            px_l0 = mpp / np.array(slide.require_mpp())
            return slide.crops(starts_px * px_l0, side_px, mpp)
        side = [
            int(np.ceil(side_px * each)) + more + 1
            for each, more in zip(self.step, self.times, strict=True)
        ]
        return Crops(self.level, (side[0], side[1]), self._first(starts_px))

    def pixels(self, crop: Pixels, start_px: NDArray[np.int64], side_px: int) -> Pixels:
        """The square uint8 [side, side, 3] that begins at `start_px` (x, y), from its crop."""
        if not self.times[0]:
            return resample(crop, (side_px, side_px))
        along = np.arange(side_px)[:, None]
        places = self._first(start_px + along) - self._first(start_px[None])
        columns, rows = places.T
        across, down = self.times
        if (across, down) == (1, 1):
            return _taken(crop, rows, columns, (1, 1))
        total = np.zeros((side_px, side_px, 3), np.uint32)
        for each in range(down):
            for other in range(across):
                total += _taken(crop, rows + each, columns + other, (down, across))
        count = across * down
        return ((total + count // 2) // count).astype(np.uint8)

    def _first(self, at_px: NDArray[np.int64]) -> NDArray[np.int64]:
        """The first of the level's pixels of which pixels at (x, y) [N, 2] are made."""
        # Centred on the pixel's exact extent, as a patch's crop is on its footprint.
        spare = (np.array(self.step) - self.times) / 2
        first = np.floor(at_px * np.array(self.step) + spare + 0.5 + SAME)
        return np.asarray(first, np.int64)


def _taken(
    crop: Pixels, rows: NDArray[np.int64], columns: NDArray[np.int64], steps: tuple[int, int]
) -> Pixels:
    """The crossings of rows and columns, copied in blocks: they mostly lie `steps` apart."""
    out = np.empty((len(rows), len(columns), 3), np.uint8)
    for to_rows, from_rows in _runs(rows, steps[0]):
        for to_columns, from_columns in _runs(columns, steps[1]):
            out[to_rows, to_columns] = crop[from_rows, from_columns]
    return out


def _runs(places: NDArray[np.int64], step: int) -> list[tuple[slice, slice]]:
    """Where runs of places that lie `step` apart go, and where they come from."""
    breaks = (np.flatnonzero(np.diff(places) != step) + 1).tolist()
    bounds = zip([0, *breaks], [*breaks, len(places)], strict=True)
    return [
        (slice(first, last), slice(places[first], places[last - 1] + 1, step))
        for first, last in bounds
    ]
