"""How far a sliding network sees, and the proof that it sees no further: measured on each network.

Not a number spreads to every unit that it can reach, whatever the weights: one band of it tells a
cell's receptive field to the pixel, and a unit that pools, normalises or attends over the whole
image turns everything into it. What swallows NaN would escape, so the cells are proved with other
pixels and with glass beyond that field as well, and with the image moved by one stride.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from histocnn.errors import ModelError
from histocnn.models.windows import REMEDY, noise

Maps = Callable[[Tensor], Tensor]
GLASS = 2.4  # white, normalised as ImageNet's weights expect it
UNMOVED = 1e-5  # of the map's largest value
FARTHEST = 10  # cells from a region's border up to which its influence is looked for


@dataclass(frozen=True)
class Reach:
    """What moves the cells of a network's map.

    Attributes:
        stride_px: From cell to cell.
        lost: Cells that the map of an image of n strides has fewer than n.
        first_px: First pixel that can move cell 0; negative: there was padding in its place.
        last_px: The last one.
    """

    stride_px: int
    lost: int
    first_px: int
    last_px: int

    @property
    def receptive_px(self) -> int:
        """Pixels around a cell's own stride that can move it, as whole strides."""
        beyond = max(-self.first_px, self.last_px + 1 - (1 + self.lost) * self.stride_px, 0)
        return -(-beyond // self.stride_px) * self.stride_px

    def end_px(self, cells: int) -> int:
        """One behind the last pixel that can move a window of so many cells that begins at 0."""
        return self.last_px + 1 + (cells - 1) * self.stride_px

    def centre_px(self, cells: int) -> float:
        """The middle of what moves such a window."""
        return (self.first_px + self.end_px(cells)) / 2


def reach(network: nn.Module, maps: Maps, input_px: int) -> Reach:
    """Measure what moves a cell.

    Args:
        network: Whose map it is.
        maps: float [B, 3, H, W] → [B, F, h, w].
        input_px: Side of its patches.

    Raises:
        ModelError: Everything moves it, or the map is no regular grid.
    """
    strip = _Strips(network, maps, input_px)
    stride = strip.stride_px()
    length = stride * max(4 * input_px // stride, 16)
    while not strip.local(length):
        length *= 2
        if length > max(32 * input_px, 512 * stride):
            raise ModelError(f"{_culprit(network, strip)} looks at the whole image", REMEDY)
    first, last = strip.extent(length, stride)
    if not strip.turned.local(length) or strip.turned.counts(length) != strip.counts(length):
        raise ModelError("what it sees is wider than high, or higher than wide", REMEDY)
    return Reach(stride, length // stride - strip.cells(length), first, last)


class _Strips:
    """Long, low images of random pixels, and the cells along them."""

    def __init__(self, network: nn.Module, maps: Maps, input_px: int, turned: bool = False) -> None:
        self.network, self.input_px, self.across = network, input_px, turned
        self.maps = maps
        self.height = next(self._heights())

    @property
    def turned(self) -> _Strips:
        return _Strips(self.network, self.maps, self.input_px, turned=not self.across)

    def _heights(self) -> Iterator[int]:
        """The least height that gives cells; a network without padding needs the patch's."""
        for height in (32, 64, 128):
            if height < self.input_px:
                self.height = height
                try:
                    if self.cells(2 * self.input_px):
                        yield height
                except ModelError:
                    continue
        yield self.input_px

    def images(self, count: int, length: int) -> Tensor:
        return noise(self.network, (count, 3, self.height, length))

    def along(self, images: Tensor) -> Tensor:
        """The map [B, F·h, w] of strips [B, 3, H, W]."""
        if self.across:
            return self.maps(images.mT).mT.flatten(1, 2)
        return self.maps(images).flatten(1, 2)

    def cells(self, length: int) -> int:
        return self.along(self.images(1, length)).shape[2]

    def stride_px(self) -> int:
        side = self.input_px
        few = self.cells(side)
        stride = round(2048 / max(self.cells(side + 2048) - few, 1))
        if any(self.cells(side + stride * more) != few + more for more in (1, 2, 5)):
            raise ModelError("its map is no regular grid over images of other sizes", REMEDY)
        return stride

    def finite(self, length: int, columns: slice) -> Tensor:
        """Which cells [w] are free of NaN in these columns."""
        images = self.images(1, length)
        images[..., columns] = torch.nan
        return self.along(images)[0].isfinite().all(0)

    def counts(self, length: int) -> tuple[int, int]:
        """Cells at the beginning, and at the end, that NaN in the other half does not reach."""
        middle = length // 2
        before = self.finite(length, slice(middle, None)).int()
        behind = self.finite(length, slice(None, middle)).int()
        return int(before.cumprod(0).sum()), int(behind.flip(0).cumprod(0).sum())

    def local(self, length: int) -> bool:
        return min(self.counts(length)) >= 2

    def extent(self, length: int, stride: int) -> tuple[int, int]:
        """First and last pixel that can move cell 0, were there no border."""
        middle = length // 2
        before, behind = self.counts(length)
        cells = self.cells(length)

        def fewer(back: int) -> bool:
            columns = slice(middle - back, None)
            return int(self.finite(length, columns).int().cumprod(0).sum()) < before

        def more(on: int) -> bool:
            columns = slice(None, middle + on)
            return int(self.finite(length, columns).flip(0).int().cumprod(0).sum()) < behind

        last = middle - _first(fewer, stride) - stride * (before - 1)
        first = middle + _first(more, stride) - 1 - stride * (cells - behind)
        return first, last


def _first(holds: Callable[[int], bool], below: int) -> int:
    """The least step in 1..below from which on it holds."""
    low, high = 1, below
    while low < high:
        step = (low + high) // 2
        low, high = (low, step) if holds(step) else (step + 1, high)
    return low


def proved(network: nn.Module, maps: Maps, sees: Reach, input_px: int) -> None:
    """Prove that no cell is moved by what lies beyond its receptive field, and the grid is regular.

    Raises:
        ModelError: One is, or it is not.
    """
    stride = sees.stride_px
    strip = _Strips(network, maps, input_px)
    span = max(-sees.first_px, 0) + max(sees.last_px, 0) + 8 * stride
    length = -(-2 * span // stride) * stride
    middle = length // 2
    for way in (strip, strip.turned):
        images = way.images(1, length).repeat(5, 1, 1, 1)
        images[1, ..., middle:] = images[1, ..., middle:].flip(-1) * 3
        images[2, ..., middle:] = GLASS
        images[3, ..., :middle] = images[3, ..., :middle].flip(-1) * 3
        images[4, ..., :middle] = GLASS
        cells = way.along(images)
        most = UNMOVED * float(cells[0].abs().max())
        kept = max(-(-(middle - sees.last_px) // stride), 0)
        begin = -(-(middle - sees.first_px) // stride)
        moved = max(
            float((cells[1:3, :, :kept] - cells[0, :, :kept]).abs().max()),
            float((cells[3:, :, begin:] - cells[0, :, begin:]).abs().max()),
        )
        if moved > most:
            raise ModelError(
                f"pixels beyond its receptive field move its features by {moved:.2g}", REMEDY
            )
        shifted = way.along(images[:1, ..., stride:])[0]
        edge = sees.receptive_px // stride + 1
        inner = slice(edge, shifted.shape[1] - edge)
        if float((shifted - cells[0, :, 1:])[:, inner].abs().max()) > most:
            raise ModelError(f"its features change when the image moves by {stride} px", REMEDY)


def measured_halo(windows: nn.Module, sees: Reach, cells: int, tolerance: float) -> int:
    """The least context, in px, that keeps windows within half the tolerance of a larger image's.

    A picture of noise, colour that changes slowly, and glass is looked at whole and without its
    outer strides; the cut moves the windows near it.

    Args:
        windows: float [B, 3, H, W] → [B, C, h, w], one output per window.
        sees: Of its cells.
        cells: Side of a window.
        tolerance: Of an output.
    """
    stride, whole = sees.stride_px, sees.receptive_px // sees.stride_px
    farthest = min(whole, FARTHEST)
    rim = min(whole, 4)
    inner = 2 * farthest + cells + sees.lost
    image = _tissue_like(windows, (inner + 2 * rim) * stride)
    cut = rim * stride
    large = windows(image)
    small = windows(image[..., cut : cut + inner * stride, cut : cut + inner * stride])
    height, width = small.shape[-2:]
    moved = (small - large[..., rim : rim + height, rim : rim + width]).abs().amax((0, 1))
    for kept in range(farthest + 1):
        if moved[kept : height - kept, kept : width - kept].max() <= tolerance / 2:
            return kept * stride
    return sees.receptive_px


def _tissue_like(network: nn.Module, side: int) -> Tensor:
    """A normalised image [1, 3, side, side] of texture in changing colours, a third of it glass."""
    coarse = noise(network, (1, 3, max(side // 96, 2), max(side // 96, 2)))
    colours = nn.functional.interpolate(coarse, (side, side), mode="bilinear")
    image = (colours + 0.5 * noise(network, (1, 3, side, side))).clamp(-2.1, GLASS)
    image[colours[:, :1].expand_as(image) > 0.4] = GLASS
    return image.contiguous(memory_format=torch.channels_last)


def _culprit(network: nn.Module, strip: _Strips) -> str:
    """The first module that makes everything NaN out of something that is not."""
    found: list[str] = []

    def look(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            taken = [value for value in inputs if isinstance(value, Tensor)]
            if not found and taken and isinstance(output, Tensor):
                some = any(bool(value.isfinite().any()) for value in taken)
                if some and not output.isfinite().any():
                    found.append(f"its module {name} ({type(module).__name__})")

        return hook

    hooks = [m.register_forward_hook(look(n)) for n, m in network.named_modules() if n]
    images = strip.images(1, 4 * strip.input_px)
    images[..., 2 * strip.input_px :] = torch.nan
    try:
        with suppress(Exception):  # linear layers of one size, behind all that is looked for
            network(images)
    finally:
        for handle in hooks:
            handle.remove()
    return found[0] if found else "a module of it"
