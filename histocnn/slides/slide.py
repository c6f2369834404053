"""Slide: what a file says of itself, and pixels at a physical scale."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import openslide
from numpy.typing import ArrayLike

from histocnn.errors import ResolutionError, SlideError, UsageError
from histocnn.slides.geometry import Crops, Pixels, Resolution, Size, choose_level, crops, resample
from histocnn.slides.handles import opened
from histocnn.slides.image_reader import ImageReader
from histocnn.slides.jpeg_tiff_reader import jpeg_tiff_reader
from histocnn.slides.openslide_reader import OpenSlideReader
from histocnn.slides.readers import Reader, not_openable, unreadable
from histocnn.slides.resolution import flat_tiff_mpp, ome_mpp
from histocnn.slides.thumbnail import shrink_level

MIN_MPP, MAX_MPP = 0.05, 50.0  # no scanner is outside
MIB = 2**20


class Slide:
    """A whole-slide image, or a flat image in its place.

    Metadata are read at once; pixels lazily, with handles of their own in every process and
    thread. A slide pickles as its path and the resolution given.

    Args:
        path: The file.
        mpp: µm/px of level 0, one number or (x, y); wins over the file's own.

    Attributes:
        path: The file.
        size_l0: Width and height of level 0, px.
        level_sizes: (width, height) of each level, px.
        mpp: µm/px of level 0 along x and y: as given, else the file's, else None. Not yet judged:
            see `require_mpp`.
        file_mpp: The file's own, or None.
        vendor: As OpenSlide names it; "image" for a flat image.
        objective_power: Nominal magnification, or None.
        bounds_l0: (x, y, width, height) of the scanned part of level 0, or None.
        properties: OpenSlide's properties.

    Raises:
        SlideError: The file is missing or nobody can open it.

    >>> slide = Slide("demo/cohort/slides/phantom_01.tif")
    >>> slide.size_l0, slide.mpp
    ((1024, 1024), (0.5, 0.5))
    >>> slide.read((100, 200), size_px=224, mpp=1.0).shape
    (224, 224, 3)
    """

    def __init__(self, path: str | Path, mpp: float | Resolution | None = None) -> None:
        self.path = Path(path)
        self._chosen_mpp = mpp
        if not self.path.is_file():
            reason = "is a folder" if self.path.is_dir() else "there is no such file"
            raise SlideError(f"{self.path}: {reason}", "Check the path of the slide.")
        self.vendor, self.level_sizes, self.properties = self._metadata()
        self.size_l0 = self.level_sizes[0]
        self.file_mpp = self._own_mpp()
        self.mpp = self.file_mpp if mpp is None else _both_axes(mpp)
        self.objective_power = _number(self.properties, "openslide.objective-power")
        self.bounds_l0 = _bounds(self.properties)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self._chosen_mpp)

    def __repr__(self) -> str:
        return f"Slide({str(self.path)!r}, mpp={self.mpp})"

    @cached_property
    def reader(self) -> Reader:
        """What reads it, for those who work in a level's own pixels."""
        if self.vendor == "image":
            return ImageReader(self.path)
        opened(self)
        fast = jpeg_tiff_reader(self.path, self.vendor, self.level_sizes)
        return fast or OpenSlideReader(self.path, self.level_sizes, self.properties)

    def close(self) -> None:
        """Give back the file, which is opened again when it is read; who reads now reads on."""
        self.__dict__.pop("reader", None)

    @cached_property
    def fingerprint(self) -> str:
        """The file's size and the sha256 of its first and last MiB: its content, not its name."""
        return _fingerprint(self.path)

    def check_same(self, fingerprint: str) -> None:
        """Refuse what was read of a file that somebody wrote to meanwhile, or took away.

        Raises:
            SlideError: Its fingerprint is no longer the one that it had.
        """
        if _fingerprint(self.path) != fingerprint:
            raise SlideError(
                f"{self.path}: was changed while it was read", "Run again when it is whole."
            )

    def require_mpp(self) -> Resolution:
        """µm/px of level 0 along x and y.

        Raises:
            ResolutionError: It is unknown, or no scanner has it (outside 0.05 to 50 µm/px).
        """
        remedy = "Give it in the mpp column of slides.csv or with --slide_mpp."
        if self.mpp is None:
            raise ResolutionError(f"{self.path}: the file names no resolution", remedy)
        if not all(MIN_MPP <= value <= MAX_MPP for value in self.mpp):
            mpp = " × ".join(f"{value:g}" for value in self.mpp)
            raise ResolutionError(
                f"{self.path}: a resolution of {mpp} µm/px,"
                f" which no scanner has ({MIN_MPP:g} to {MAX_MPP:g})",
                remedy,
            )
        return self.mpp

    def crops(self, xy_l0: ArrayLike, size_px: int | Size, mpp: float) -> Crops:
        """The rectangles of a level that `read` and `stream` take: see `geometry.crops`."""
        return crops(xy_l0, _size(size_px), mpp, self.require_mpp(), self.level_sizes)

    def read(self, xy_l0: tuple[float, float], size_px: int | Size, mpp: float) -> Pixels:
        """Read one patch: uint8 [height, width, 3], white outside the slide and where transparent.

        Args:
            xy_l0: (x, y) of its top left corner in level-0 pixels.
            size_px: Its side, or its (width, height), px at `mpp`.
            mpp: Its µm/px.

        Raises:
            ResolutionError: See `require_mpp`.
            ReadError: A tile of it cannot be read or decoded.
        """
        level, (w, h), origins_px = self.crops([xy_l0], size_px, mpp)
        x, y = origins_px[0].tolist()
        return resample(self.reader.read(level, x, y, w, h), _size(size_px))

    def thumbnail(self, max_px: int | None = None, mpp: float | None = None) -> Pixels:
        """The whole of level 0, small: uint8 [height, width, 3], white where nothing is stored.

        Args:
            max_px: The longer side at most; a smaller slide is not enlarged.
            mpp: µm/px instead; the size is exactly round(size_l0 × slide µm/px / mpp).

        Raises:
            ResolutionError: With `mpp`, see `require_mpp`.
            ReadError: Not one tile could be decoded; single ones are white.
        """
        if (max_px is None) == (mpp is None):
            raise ValueError("give either max_px or mpp")
        if mpp is not None:
            slide_mpp = self.require_mpp()
            level = choose_level(slide_mpp, self.level_sizes, mpp)
            scale = mpp / slide_mpp[0], mpp / slide_mpp[1]
        else:
            shrink = max(1.0, max(self.size_l0) / max(1, max_px or 1))
            # The choice of a level needs no unit: level-0 pixels serve as well as µm.
            level = choose_level((1.0, 1.0), self.level_sizes, shrink)
            scale = shrink, shrink
        w, h = (max(1, round(side / by)) for side, by in zip(self.size_l0, scale, strict=True))
        return shrink_level(self.reader, level, (w, h))

    def _own_mpp(self) -> Resolution | None:
        if self.vendor == "image":
            return flat_tiff_mpp(self.path)
        named = _pair(self.properties, "openslide.mpp-x", "openslide.mpp-y")
        return named or ome_mpp(self.properties.get("tiff.ImageDescription", ""))

    def _metadata(self) -> tuple[str, tuple[Size, ...], Mapping[str, str]]:
        try:
            with openslide.OpenSlide(self.path) as slide:
                sizes = tuple((int(w), int(h)) for w, h in slide.level_dimensions)
                return slide.properties["openslide.vendor"], sizes, dict(slide.properties)
        except openslide.OpenSlideUnsupportedFormatError:
            self.reader: Reader = ImageReader(self.path)
            return "image", self.reader.level_sizes, {}
        except (openslide.OpenSlideError, OSError) as error:
            raise not_openable(self.path, error) from error


def _fingerprint(path: Path) -> str:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(MIB))
            file.seek(max(0, size - MIB))
            digest.update(file.read(MIB))
    except OSError as error:
        raise unreadable(path, error) from error
    return f"{size}-{digest.hexdigest()}"


def _size(size_px: int | Size) -> Size:
    w, h = (size_px, size_px) if isinstance(size_px, int | np.integer) else size_px
    if min(w, h) < 1:
        raise UsageError(f"a patch of {w}×{h} px", "Give at least one pixel.")
    return int(w), int(h)


def _both_axes(mpp: float | Resolution) -> Resolution:
    x, y = (mpp, mpp) if isinstance(mpp, int | float | np.number) else mpp
    return float(x), float(y)


def _number(properties: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(properties[name])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _pair(properties: Mapping[str, str], x_name: str, y_name: str) -> Resolution | None:
    x, y = _number(properties, x_name), _number(properties, y_name)
    return None if x is None or y is None else (x, y)


def _bounds(properties: Mapping[str, str]) -> tuple[int, int, int, int] | None:
    x, y, w, h = (
        _number(properties, f"openslide.bounds-{name}") for name in ("x", "y", "width", "height")
    )
    if x is None or y is None or w is None or h is None:
        return None
    return int(x), int(y), int(w), int(h)
