"""The page's frame: square pixels of the slide's finer axis, and the pyramid of tiles over it.

On a slide with square pixels the frame is level 0. Where µm/px differ in x and y the coarser axis
is stretched, so that a circle on the glass is a circle on the screen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from histocnn.errors import UsageError
from histocnn.slides.geometry import Resolution, Size
from histocnn.slides.slide import Slide

TILE_PX = 256


@dataclass(frozen=True)
class Frame:
    """Where the page's pixels lie on a slide.

    Attributes:
        size_l0: Width and height of level 0, px.
        mpp: µm/px of level 0 along x and y; (1, 1) where nobody knows it.
        known: Whether `mpp` are µm.

    >>> frame = Frame((1000, 600), (0.5, 1.0))
    >>> frame.size_px, frame.depth
    ((1000.0, 1200.0), 3)
    >>> frame.corner_l0(3, 1, 1), frame.mpp_at(1)
    ((256.0, 128.0), 2.0)
    """

    size_l0: Size
    mpp: Resolution
    known: bool = True

    @property
    def unit(self) -> float:
        """µm of a pixel of the frame: of the finer axis."""
        return min(self.mpp)

    @property
    def size_px(self) -> tuple[float, float]:
        """Width and height of the slide in the frame."""
        return (
            self.size_l0[0] * self.mpp[0] / self.unit,
            self.size_l0[1] * self.mpp[1] / self.unit,
        )

    @property
    def depth(self) -> int:
        """The zoom whose tiles have the frame's own pixels; at 0 one tile holds the slide."""
        return max(0, math.ceil(math.log2(max(self.size_px) / TILE_PX)))

    def mpp_at(self, zoom: int) -> float:
        """µm/px of the tiles of a zoom."""
        return self.unit * 2.0 ** (self.depth - zoom)

    def corner_l0(self, zoom: int, column: int, row: int) -> tuple[float, float]:
        """(x, y) of a tile's top left corner in level-0 pixels.

        Raises:
            UsageError: There is no such tile.
        """
        side = TILE_PX * self.mpp_at(zoom)
        x, y = column * side / self.mpp[0], row * side / self.mpp[1]
        inside = column >= 0 and row >= 0 and x < self.size_l0[0] and y < self.size_l0[1]
        if not (0 <= zoom <= self.depth and inside):
            raise UsageError(f"the slide has no tile {column}, {row} at zoom {zoom}")
        return x, y


def frame_of(slide: Slide) -> Frame:
    """The frame of a slide.

    Raises:
        ResolutionError: Its resolution is unknown; see `readable`.
    """
    return Frame(slide.size_l0, slide.require_mpp())
