"""What is wrong with a patch before any network sees it: blur, ink, a fold, an edge in the glass.

Colour is looked at in means of about `COARSE_UM`, where nuclei are no longer dark spots in a pale
field and pen is told from stain (`regions/ink.py`). What is sharp or dark depends on the slide, so
blur and folds are measured against the slide's own patches, when all of them were seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.patches.patch_set import Patches
from histocnn.regions.ink import density, pen_by_density
from histocnn.slides.sharpness import detail, equivalent_blur, sharpest_detail
from histocnn.slides.stream import Batch

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

COARSE_UM = 8.0
GLASS = np.full(3, 245, np.float32)  # a patch alone does not show it
TISSUE_OD = 0.1  # mean over R, G, B; what absorbs less is glass
FOLD_TIMES = 2.5  # what the slide's tissue usually absorbs; dense nuclei alone come to twice
GREY_SPREAD = 0.25  # of the strongest channel: what a bubble or coverslip's edge refracts is grey
GREY_OD = 0.25
_BINS, _WIDTH = 32, 0.1  # of optical density, up to 3.2

BLURRED_UM = 0.62  # set on CRC01-west alone: docs/benchmarks.md
SPOILT = 0.05  # share of a patch
FLAWS: Mapping[str, tuple[str, float]] = {  # in words: column, from where on a patch has it
    "blurred": ("blur_um", BLURRED_UM),
    "pen": ("pen_fraction", SPOILT),
    "fold, or as dark": ("fold_fraction", SPOILT),
    "edge of a bubble or coverslip": ("edge_fraction", SPOILT),
}


class Quality:
    """Quality of a slide's patches, measured while their pixels go by.

    Args:
        patches: How many there are, N.
        mpp: Their µm/px.
    """

    def __init__(self, patches: int, mpp: float) -> None:
        self.mpp = mpp
        self._detail = np.full(patches, np.nan, np.float32)
        self._shares = np.full((patches, 2), np.nan, np.float32)  # pen, edge
        self._absorbed = np.zeros((patches, _BINS), np.uint16)  # pixels that could be folded
        self._pixels = np.zeros(patches, np.uint32)

    def see(self, batch: Batch) -> None:
        """Measure the patches of a batch that could be read."""
        rows, pixels = batch.rows[batch.readable], batch.pixels[batch.readable]
        if not len(rows):
            return
        self._detail[rows] = detail(pixels, self.mpp)
        small = _coarse(pixels, self.mpp)
        count, side = len(rows), small.shape[1] * small.shape[2]
        flat = small.reshape(count * small.shape[1], -1, 3)
        absorbed = density(flat, GLASS)
        pen = pen_by_density(absorbed)
        red, green, blue = (absorbed[..., channel] for channel in range(3))
        low, high = (each(each(red, green), blue) for each in (np.minimum, np.maximum))
        grey = high - low < GREY_SPREAD * high
        edge = grey & (low > GREY_OD) & ~pen
        for column, mask in enumerate((pen, edge)):
            self._shares[rows, column] = mask.reshape(count, -1).mean(axis=1)
        step = np.minimum((red + green + blue) / (3 * _WIDTH), _BINS - 1).astype(np.int64)
        step[pen | grey] = 0  # a fold is saturated
        at = np.arange(count)[:, None] * _BINS + step.reshape(count, -1)
        found = np.bincount(at.ravel(), minlength=count * _BINS).reshape(count, _BINS)
        self._absorbed[rows], self._pixels[rows] = np.minimum(found, 65535), side

    def columns(self) -> dict[str, Floats]:
        """What was found, once all patches were seen: each float32 [N], NaN where not read.

        `blur_um` is the deviation of the Gaussian that would take the slide's sharpest tenth as
        far, NaN, too, where nothing is to be seen; the others are shares of the patch.
        """
        pen, edge = self._shares.T
        blur = equivalent_blur(self._detail, self.mpp, sharpest_detail(self._detail))
        return {
            "blur_um": blur,
            "pen_fraction": pen.copy(),
            "fold_fraction": self._folded(),
            "edge_fraction": edge.copy(),
        }

    def _folded(self) -> Floats:
        """The share of each patch that absorbs so many times what the slide's tissue does."""
        first = round(TISSUE_OD / _WIDTH)
        tissue = self._absorbed.sum(axis=0, dtype=np.int64)[first:]
        usual = TISSUE_OD + _WIDTH * (
            0.5 + np.searchsorted(np.cumsum(tissue), tissue.sum() / 2) if tissue.any() else 0
        )
        folded = self._absorbed[:, int(np.ceil(FOLD_TIMES * usual / _WIDTH)) :].sum(axis=1)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(self._pixels, folded / self._pixels, np.nan), np.float32)


def _coarse(pixels: Pixels, mpp: float) -> Pixels:
    """Means of whole pixels that are about `COARSE_UM` wide: uint8 [B, h, w, 3]."""
    height, width = pixels.shape[1:3]
    factor = max(1, min(round(COARSE_UM / mpp), height, width))
    size = width // factor, height // factor
    whole = pixels[:, : size[1] * factor, : size[0] * factor]  # the rest would make it slow
    return np.stack([cv2.resize(patch, size, interpolation=cv2.INTER_AREA) for patch in whole])


def unmeasured(patches: Patches) -> Quality | None:
    """Where to measure these patches; None where it was done, or they are of no slide or scale."""
    known = "blur_um" in patches.datasets
    if known or patches.coords is None or patches.mpp is None:
        return None
    return Quality(len(patches), patches.mpp)


def flaws(columns: Mapping[str, Floats]) -> dict[str, NDArray[np.bool_]]:
    """Which patches have which flaw, by its name: bool [N]; what is not known is none.

    >>> found = flaws({"blur_um": np.float32([0.1, 2, np.nan])})
    >>> {name: rows.tolist() for name, rows in found.items()}
    {'blurred': [False, True, False]}
    """
    return {
        name: np.asarray(columns[column] >= least)
        for name, (column, least) in FLAWS.items()
        if column in columns
    }
