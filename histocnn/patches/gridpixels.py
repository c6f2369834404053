"""Pixels of patches that are places on a slide, checked to be the slide that was tiled."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import PatchesError
from histocnn.patches.grid import window_of
from histocnn.patches.images import resize
from histocnn.slides.lattice import Lattice
from histocnn.slides.partial import Boxes, read_partly, touching
from histocnn.slides.slide import Slide
from histocnn.slides.stain import Sampled, Stains, sample
from histocnn.slides.stream import Batch, stream, stream_crops


class GridPixels:
    """Rows of pixels straight from a slide.

    Args:
        file: The file that the coordinates come from, for messages.
        attributes: Its attributes: where the slide was, its fingerprint, the patches' scale.
        coords: int64 [N, 2], (x, y) of the patches' top left corners, level-0 px.
        path: Where the slide is now; default: where the attributes say.
    """

    problems: tuple[str, ...] = ()

    def __init__(
        self,
        file: Path,
        attributes: Mapping[str, Any],
        coords: NDArray[np.int64],
        path: Path | None = None,
    ) -> None:
        self.file = file
        self.attributes = attributes
        self.coords = coords
        self.path = path or attributes.get("slide_path")
        self._is_given = path is not None

    @cached_property
    def slide(self) -> Slide:
        """The slide that was tiled.

        Raises:
            PatchesError: It is gone, or another file lies in its place, or the file says no
                fingerprint: it could name any picture of this machine.
        """
        tiled = self.attributes.get("fingerprint")
        if not tiled and not self._is_given and self.path is not None:
            raise PatchesError(
                f"{self.file}: says no fingerprint, so its slide cannot be known",
                "Say where it is with --slides.",
            )
        if self.path is None or not Path(self.path).is_file():
            raise PatchesError(
                f"{self.file}: its slide {self.path or self.file.stem} is not there",
                "Say where it is now with --slides.",
            )
        slide = Slide(self.path, mpp=self._slide_mpp)
        if tiled and slide.fingerprint != tiled:
            raise PatchesError(
                f"{self.path}: not the file that {self.file} was made from (its fingerprint "
                "differs)",
                "Tile it again, or give the original with --slides.",
            )
        return slide

    def check_same(self) -> None:
        """Refuse what was read if the slide is not the same any more.

        Raises:
            SlideError: Its file was changed, or is gone.
        """
        tiled = self.attributes.get("fingerprint")
        if tiled:
            self.slide.check_same(tiled)

    def close(self) -> None:
        """Give the slide back; it is opened again when asked for."""
        self.__dict__.pop("slide", None)

    @property
    def _is_foreign(self) -> bool:
        return "footprint_l0" in self.attributes  # its µm/px are nominal, its footprint is not

    @property
    def _slide_mpp(self) -> tuple[float, float] | None:
        mpp = self.attributes.get("slide_mpp")
        return None if mpp is None or self._is_foreign else (float(mpp[0]), float(mpp[1]))

    @property
    def footprint_l0(self) -> tuple[float, float]:
        """Width and height of a patch, level-0 px."""
        if self._is_foreign:
            width, height = self.attributes["footprint_l0"]
            return float(width), float(height)
        patch_px, mpp = self._scale()
        window = window_of(self.attributes)
        side_px = window.side_px if window else patch_px
        x, y = self._slide_mpp or self.slide.require_mpp()
        return side_px * mpp / x, side_px * mpp / y

    @property
    def _corners_l0(self) -> NDArray[Any]:
        """(x, y) where patches begin, [N, 2]; where footprints are larger, in their middle."""
        window = window_of(self.attributes)
        patch_px, mpp = self._scale()
        if window is None or window.side_px == patch_px:
            return self.coords
        px_l0 = mpp / np.array(self._slide_mpp or self.slide.require_mpp())
        inset: NDArray[np.float64] = (window.side_px - patch_px) / 2 * px_l0
        return self.coords + inset

    def _scale(self) -> tuple[int, float]:
        patch_px, mpp = self.attributes.get("patch_px"), self.attributes.get("mpp")
        if patch_px is None or mpp is None:
            raise PatchesError(
                f"{self.file}: no patch_px or mpp, so its pixels cannot be found",
                "Tile the slide with histocnn.",
            )
        if self._is_foreign:
            mpp = self.footprint_l0[0] / patch_px * self.slide.require_mpp()[0]
        return int(patch_px), float(mpp)

    def read(self, row: int) -> NDArray[np.uint8]:
        """Give the pixels [H, W, 3] of one row."""
        x, y = self._corners_l0[row]
        return self.slide.read((float(x), float(y)), *self._scale())

    def batches(
        self, batch_size: int, threads: int, rows: Sequence[int], size_px: int | None
    ) -> Generator[Batch, None, None]:
        """The rows' pixels in the order given, each native tile decoded once."""
        patch_px, mpp = self._scale()
        how: dict[str, Any] = {"batch_size": batch_size, "threads": threads, "rows": rows}
        for batch in stream(self.slide, self._corners_l0, patch_px, mpp, **how):
            if size_px is None or size_px == patch_px:
                yield batch
            else:
                yield batch._replace(pixels=np.stack([resize(p, size_px) for p in batch.pixels]))

    def squares(
        self, starts_px: NDArray[np.int64], side_px: int, threads: int
    ) -> Iterator[tuple[NDArray[np.uint8], Boxes | None]]:
        """Squares of another side at the patches' µm/px, as sharp as they are; in the order given.

        Args:
            starts_px: int64 [N, 2], (x, y) of their top left corners, px at that scale.
            side_px: Their side.
            threads: Readers.

        Yields:
            uint8 [side, side, 3], white where a tile cannot be decoded, and such tiles as of
            `slides.partial`; None where there are none.
        """
        patch_px, mpp = self._scale()
        lattice = Lattice.of(self.slide, patch_px, mpp)
        crops = lattice.crops(self.slide, starts_px, side_px, mpp)
        batches = stream_crops(self.slide, crops, threads=threads)
        for batch, start_px, origin in zip(batches, starts_px, crops.origins_px, strict=True):
            crop, lost = batch.pixels[0], None
            if not batch.readable[0]:
                crop, lost = read_partly(self.slide, crops._replace(origins_px=origin[None]))
            yield lattice.pixels(crop, start_px, side_px), lost

    def touch(self, coords: NDArray[np.int64], side_px: int, lost: Boxes) -> NDArray[np.bool_]:
        """Which squares of `side_px` at `coords` [N, 2], level-0 px, touch tiles that are lost."""
        return touching(self.slide, coords, side_px, self._scale()[1], lost)

    def stains(self) -> Stains | None:
        """The slide's, as tile stored them or from some of its patches."""
        stored = self.attributes.get("stains")
        if stored:
            return Sampled.from_dict(stored).stains
        return sample(self.read, np.full(len(self.coords), np.nan)).stains
