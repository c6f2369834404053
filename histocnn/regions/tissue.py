"""Where the tissue is: a mask from a thumbnail, without glass, pen and dirt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from histocnn.errors import UsageError
from histocnn.regions.doubts import DARK_FIELD, doubts
from histocnn.regions.geojson import Bounds, Feature, Frame, write_geojson
from histocnn.regions.ink import glass_colour, pen_mask, stain, with_rim
from histocnn.regions.lightness import covered, is_dark_field, lit
from histocnn.regions.morphology import blurred, closed, without_small
from histocnn.regions.raster import box_sums, outline, rasterise

if TYPE_CHECKING:
    import shapely

    from histocnn.slides.slide import Slide

Pixels: TypeAlias = NDArray[np.uint8]
Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class TissueSettings:
    """How tissue is told from glass.

    Args:
        mpp: µm/px of the mask; a slide coarser than this is taken as it is.
        threshold: Least stain (see `detect_tissue`); None finds it by Otsu's method within
            `threshold_range`.
        threshold_range: Bounds of the automatic threshold: the lower keeps dust and JPEG noise
            out of nearly empty slides, the upper keeps pale tissue beside strongly stained.
        smooth_um: Standard deviation of the Gaussian that evens out cells and noise.
        close_um: Gaps in tissue up to about this wide are tissue (fat cells, clefts).
        min_tissue_um2: Specks smaller than this are dirt.
        max_hole_um2: Holes smaller than this are tissue (lumina, fat cells).
        pen: Exclude pen and marker ink.
        min_pen_um2: Inked spots smaller than this are not pen, and gaps in ink are.
        keep_fat: Keep what is darker than glass without being stained, too: fat, mucin, dirt.
    """

    mpp: float = 8.0
    threshold: float | None = None
    threshold_range: tuple[float, float] = (0.02, 0.04)
    smooth_um: float = 4.0
    close_um: float = 64.0
    min_tissue_um2: float = 20_000.0
    max_hole_um2: float = 20_000.0
    pen: bool = True
    min_pen_um2: float = 4_000.0
    keep_fat: bool = False

    def __post_init__(self) -> None:
        low, high = self.threshold_range
        lengths = (self.smooth_um, self.close_um, self.min_tissue_um2, self.max_hole_um2)
        if not (
            0 < self.mpp < float("inf")
            and 0 < low <= high
            and (self.threshold is None or self.threshold > 0)
            and min(*lengths, self.min_pen_um2) >= 0
        ):
            raise UsageError(
                f"these tissue settings cannot be meant: {self}",
                "Lengths and areas are at least 0, mpp and thresholds above 0, ranges ascending.",
            )


@dataclass(frozen=True, eq=False)
class TissueMask:
    """Tissue of one slide, as pixels that together cover exactly level 0.

    Args:
        mask: bool [h, w].
        size_l0: Width and height of level 0 in pixels.
        slide_mpp: µm/px of level 0, x and y.
        bounds_l0: The slide's (x, y, w, h) where it has `openslide.bounds-*`; only for GeoJSON.
        doubts: Why it should be looked at before it is believed.

    >>> left_half = np.array([[True, False]])
    >>> tissue = TissueMask(left_half, size_l0=(1000, 600), slide_mpp=(0.5, 0.5))
    >>> tissue.area_um2
    75000.0
    >>> tissue.fraction(np.array([[400.0, 0.0, 600.0, 200.0]])).tolist()
    [0.5]
    """

    mask: Bools
    size_l0: tuple[int, int]
    slide_mpp: tuple[float, float]
    bounds_l0: Bounds | None = None
    doubts: tuple[str, ...] = ()

    @property
    def pixel_l0(self) -> tuple[float, float]:
        """Width and height of one mask pixel in level-0 pixels."""
        rows, cols = self.mask.shape
        return self.size_l0[0] / cols, self.size_l0[1] / rows

    @property
    def is_empty(self) -> bool:
        """Whether no tissue was found."""
        return not self.mask.any()

    @property
    def area_um2(self) -> float:
        """Area of the tissue in µm²."""
        pixel_um2 = float(np.prod(self.pixel_l0) * np.prod(self.slide_mpp))
        return float(self.mask.sum()) * pixel_um2

    def fraction(self, boxes_l0: NDArray[np.float64]) -> Floats:
        """Share of each box that is tissue, exact; what lies outside the slide is not.

        Args:
            boxes_l0: float64 [N, 4], minx, miny, maxx, maxy in level-0 pixels, of positive area.

        Returns:
            float32 [N], 0 to 1.
        """
        boxes = np.asarray(boxes_l0, np.float64).reshape(-1, 4) / np.tile(self.pixel_l0, 2)
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        shares: Floats = np.clip(box_sums(self.mask, boxes) / area, 0, 1).astype(np.float32)
        return shares

    @cached_property
    def _polygons(self) -> shapely.MultiPolygon:
        return outline(self.mask, self.pixel_l0)

    def polygons(self) -> shapely.MultiPolygon:
        """Outline of the tissue along the mask's pixels, in level-0 pixels."""
        return self._polygons

    def within(self, geometry: BaseGeometry) -> TissueMask:
        """The tissue whose mask pixels have their centre in a level-0 geometry."""
        inside = rasterise(geometry, self.mask.shape, self.pixel_l0)
        return replace(self, mask=self.mask & inside)

    def to_geojson(self, path: Path, frame: Frame = "bounds") -> None:
        """Write the outline for QuPath, one feature per piece of class "Tissue".

        Args:
            path: The file to write.
            frame: "slide" for QuPath projects made without cropping to the slide's bounds.

        Raises:
            StoreError: The file cannot be written.
        """
        pieces = (Feature(piece, class_name="Tissue") for piece in self.polygons().geoms)
        write_geojson(path, pieces, bounds_l0=self.bounds_l0, frame=frame)


def detect_tissue(slide: Slide, settings: TissueSettings | None = None) -> TissueMask:
    """Find the tissue of a slide on a thumbnail; deterministic.

    Stain is measured as optical density relative to the glass around it, as what green absorbs
    beyond the least absorbed of red and blue: haematoxylin and eosin both peak in green (Ruifrok
    and Johnston 2001, Anal Quant Cytol Histol 23:291), whereas glass, dust, scanner borders and
    black are neutral, and green ink absorbs the opposite. This is the observation of Schreiber et
    al. 2024 (Sci Rep 14:309), who multiply the differences of red and blue to green and threshold
    by Otsu's method; a product loses pale mucin, whose red equals its green, so the larger of the
    two differences is taken here, and Otsu's threshold is held within a range because a slide
    without tissue, or without glass, has no two classes to divide.

    Returns:
        The mask; `is_empty` where nothing was found.

    Raises:
        ResolutionError: The slide's µm/px is unknown or implausible.
        ReadError: The thumbnail cannot be read.
    """
    settings = settings or TissueSettings()
    slide_mpp = slide.require_mpp()
    thumbnail = slide.thumbnail(mpp=max(settings.mpp, *slide_mpp))
    rows, cols = thumbnail.shape[:2]
    pixel_um = np.multiply(slide.size_l0, slide_mpp) / (cols, rows)  # x, y
    mask, why = judged_pixels(thumbnail, (float(pixel_um[0]), float(pixel_um[1])), settings)
    return TissueMask(mask, slide.size_l0, slide_mpp, slide.bounds_l0, tuple(why))


def tissue_pixels(
    rgb: Pixels, pixel_um: tuple[float, float], settings: TissueSettings | None = None
) -> Bools:
    """Tissue of an image whose pixels are `pixel_um` (x, y) µm wide and high; bool [h, w]."""
    return judged_pixels(rgb, pixel_um, settings or TissueSettings())[0]


def judged_pixels(
    rgb: Pixels, pixel_um: tuple[float, float], settings: TissueSettings
) -> tuple[Bools, list[str]]:
    """Tissue as `tissue_pixels`, and why it should be looked at before it is believed."""
    no_pen = np.zeros(rgb.shape[:2], bool)
    if is_dark_field(rgb):
        return _cleaned(lit(rgb, pixel_um), no_pen, pixel_um, settings), [DARK_FIELD]
    glass = glass_colour(rgb)
    pen = _pen(rgb, glass, pixel_um, settings) if settings.pen else no_pen
    on_glass = covered(rgb, glass, pixel_um)
    mask = _stained(rgb, glass, pen, pixel_um, settings) | pen
    if settings.keep_fat:
        mask |= on_glass
    mask = _cleaned(mask, pen, pixel_um, settings)
    return mask, doubts(rgb, mask, pen, on_glass)


def _cleaned(
    mask: Bools, pen: Bools, pixel_um: tuple[float, float], settings: TissueSettings
) -> Bools:
    pixel_um2 = pixel_um[0] * pixel_um[1]
    # Ink counts as covered until the end: tissue that it cuts off is no speck, and a lumen beside
    # it is a hole.
    mask = closed(mask, pixel_um, settings.close_um)
    mask = ~without_small(~mask, settings.max_hole_um2 / pixel_um2)
    mask = without_small(mask, settings.min_tissue_um2 / pixel_um2) & ~pen
    return without_small(mask, settings.min_pen_um2 / pixel_um2)


def _stained(
    rgb: Pixels,
    glass: Floats,
    pen: Bools,
    pixel_um: tuple[float, float],
    settings: TissueSettings,
) -> Bools:
    """Mark the pixels around which there is more stain than the threshold; ink is none."""
    amount = np.empty(rgb.shape[:2], np.float32)
    for rows in _strips(len(rgb)):
        amount[rows] = stain(rgb[rows], glass)
    amount[pen] = 0  # before smoothing, which would smear ink over the glass around
    amount = blurred(amount, pixel_um, settings.smooth_um)
    threshold = settings.threshold
    if threshold is None:
        low, high = settings.threshold_range
        threshold = min(max(_otsu(amount), low), high)
    return np.asarray(amount > threshold)


def _pen(
    rgb: Pixels, glass: Floats, pixel_um: tuple[float, float], settings: TissueSettings
) -> Bools:
    """Strokes of pen without specks, to their edge."""
    pen = np.concatenate([pen_mask(rgb[rows], glass) for rows in _strips(len(rgb))])
    pixel_um2 = pixel_um[0] * pixel_um[1]
    pen = without_small(pen, settings.min_pen_um2 / pixel_um2)
    if not pen.any():
        return pen
    halo = 16  # rows; further than `with_rim` looks
    rimmed = pen.copy()
    for rows in _strips(len(rgb)):
        near = slice(max(rows.start - halo, 0), rows.stop + halo)
        if pen[near].any():
            first = rows.start - near.start
            rim = with_rim(pen[near], rgb[near])
            rimmed[rows] = rim[first : first + rows.stop - rows.start]
    # Light that shines through a gap in a stroke is still seen through ink.
    return ~without_small(~rimmed, settings.min_pen_um2 / pixel_um2)


def _strips(rows: int) -> list[slice]:
    """Rows in strips: colours are computed in float, for which a whole thumbnail can be large."""
    return [slice(start, min(start + 512, rows)) for start in range(0, rows, 512)]


def _otsu(values: Floats) -> float:
    top = float(values.max())
    if top <= 0:
        return 0.0
    levels = cv2.convertScaleAbs(values, alpha=255 / top)
    level, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(level) * top / 255
