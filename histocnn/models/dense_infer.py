"""A sliding network on a device, and the loop of predict and embed with --dense: regions in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from histocnn.errors import ModelError, UsageError
from histocnn.models.dense import Dense
from histocnn.models.infer import Arrays, Loading, Shares
from histocnn.models.runner import Runner
from histocnn.patches.grid import PatchGrid, Window
from histocnn.patches.gridpixels import GridPixels
from histocnn.patches.region_plan import Region, plan, side_of
from histocnn.reference.colour import colours_of_squares

REGION_PX = 3584  # see `models.dense`
LEAST_WINDOWS = 16  # along a region's side, however much context it needs


class AllTurns(nn.Module):
    """A network over windows, its outputs averaged over the 8 flips and turns of the region.

    Args:
        network: float [B, 3, H, W] → [B, C, h, w]; the last window ends where the region does.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Outputs [B, C, h, w]."""
        outputs = []
        for flip in (False, True):
            for turns in range(4):
                view = torch.rot90(images, turns, (2, 3))
                output = self.network(view.flip(3) if flip else view)
                back = output.flip(3) if flip else output
                outputs.append(torch.rot90(back, -turns, (2, 3)).float())
        return torch.stack(outputs).mean(0)


@dataclass
class Slider:
    """A network that slides over a slide, at a stride of the user's choice.

    Attributes:
        dense: The network over windows.
        runner: What calls it: uint8 [1, H, W, 3] → arrays [1, ..., h, w].
        patch_px: Side of the patches at their µm/px.
        stride_px: From window to window, px of the patches.
        tta: Outputs are averaged over 8 views.
        largest_px: Side of the largest region with its context, of the input's px or of the
            patches', whichever are more.
        parted: Whether regions are computed in quarters, because whole ones did not fit the memory.
    """

    dense: Dense
    runner: Runner
    patch_px: int
    stride_px: int
    tta: bool = False
    largest_px: int = REGION_PX
    parted: bool = False

    @classmethod
    def of(cls, dense: Dense, runner: Runner, patch_px: int, stride_px: int | None) -> Slider:
        """One of a runner whose views are averaged where it has any.

        Raises:
            ModelError: The stride is no whole number of the patches' px or wider than a patch, or
                views do not fit.
            UsageError: The stride asked for is neither a multiple of the network's nor its half.
        """
        own, tta = dense.patch_stride_px(patch_px), len(runner.augment) > 1
        if tta and dense.input_px % dense.stride_px:
            raise ModelError(
                f"--tta: turned windows of {dense.input_px} px do not lie on the network's stride "
                f"of {dense.stride_px} px",
                "Leave --tta or --dense out.",
            )
        if own > patch_px:
            raise ModelError(
                f"patches of {patch_px} px are smaller than the network's stride, {own} px",
                "Use larger patches, or leave --dense out.",
            )
        check_stride(stride_px or own, own, patch_px, dense.input_px)
        network = AllTurns(dense.network) if tta else dense.network
        runner = replace(
            runner,
            network=network,
            compute=None,
            per_px=dense.input_px / patch_px,
            augment=runner.augment[:1],
        )
        return cls(dense, runner, patch_px, stride_px or own, tta)

    @property
    def window(self) -> Window:
        """What one value is about, px of the patches."""
        scale = self.patch_px / self.dense.input_px
        centre_px = self.dense.input_px / 2 if self.tta else self.dense.centre_px
        return Window(
            round(self.dense.window_px * scale), self.dense.offset_px * scale, centre_px * scale
        )

    @property
    def own_px(self) -> int:
        """The network's own stride, px of the patches."""
        return self.dense.patch_stride_px(self.patch_px)

    @property
    def phases(self) -> int:
        """Passes along each axis that a stride below the network's takes."""
        return max(1, self.own_px // self.stride_px)

    @property
    def step(self) -> int:
        """Windows of the network from one that is wanted to the next."""
        return max(1, self.stride_px // self.own_px)

    @property
    def halo_px(self) -> int:
        """Context around what a region keeps, px of the patches."""
        return self.dense.halo_px // self.dense.stride_px * self.own_px

    @property
    def most(self) -> int:
        """Cells along the side of the largest region."""
        side_px = self.largest_px * min(self.dense.input_px, self.patch_px) // self.patch_px
        room = (side_px - self.dense.region_px(0)) // self.dense.stride_px
        return max(LEAST_WINDOWS, room) * self.phases // self.step or 1

    def region_px(self, cells: int) -> int:
        """Side of a region of so many cells with its context, px of the patches."""
        shifts = (self.phases - 1) * self.stride_px
        return self._pass_px(-(-cells // self.phases)) + shifts

    def _pass_px(self, cells: int) -> int:
        windows = (cells - 1) * self.step + 1
        return self.dense.region_px(windows) // self.dense.stride_px * self.own_px

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of a window's arrays by name."""
        side = self._pass_px(1)
        arrays = self.runner(np.zeros((1, side, side, 3), np.uint8))
        return {name: tuple(array.shape[1:-2]) for name, array in arrays.items()}

    def __call__(self, pixels: NDArray[np.uint8], at: NDArray[np.int64]) -> Arrays:
        """Arrays [n, ...] of cells of a region.

        Args:
            pixels: uint8 [H, W, 3], the region with its context.
            at: int64 [n, 2], (row, col) within the region; no more is computed than lies around.

        Raises:
            ModelError: Not even a quarter of a region fits the device's memory.
        """
        found: Arrays = {}
        cell, phase = np.divmod(at, self.phases)
        for part in _groups(phase):
            origin = phase[part[0]] * self.stride_px
            for some in self._parts(cell, part):
                try:
                    arrays = self._pass(pixels, origin, cell[some])
                except ModelError as error:
                    if not isinstance(error.__cause__, torch.OutOfMemoryError):
                        raise
                    side = pixels.shape[0] // (2 if self.parted else 1)
                    if self.parted:
                        raise ModelError(
                            f"a region of {side} px does not fit the memory of "
                            f"{self.runner.device}",
                            "Give --device cpu, or leave --dense out.",
                        ) from error
                    self.parted = True
                    return self(pixels, at)
                for name, array in arrays.items():
                    whole = found.setdefault(name, np.empty((len(at), *array.shape[1:]), "f4"))
                    whole[some] = array
        return found

    def _parts(
        self, cell: NDArray[np.int64], part: NDArray[np.int64]
    ) -> Iterator[NDArray[np.int64]]:
        """A region's cells together, or by quarters."""
        if not self.parted:
            yield part
            return
        half = cell[part].min(axis=0) + (np.ptp(cell[part], axis=0) + 1) // 2
        for some in _groups((cell[part] >= half).astype(np.int64)):
            yield part[some]

    def _pass(
        self, pixels: NDArray[np.uint8], origin: NDArray[np.int64], cell: NDArray[np.int64]
    ) -> Arrays:
        first, last = cell.min(axis=0), cell.max(axis=0)
        top, left = origin + first * self.step * self.own_px
        height, width = (self._pass_px(int(count)) for count in last - first + 1)
        crop = np.ascontiguousarray(pixels[None, top : top + height, left : left + width])
        kept = self.dense.kept()
        row, col = ((cell - first) * self.step).T
        return {
            name: np.moveaxis(array[0, :, kept, kept].float().cpu().numpy(), 0, -1)[row, col]
            for name, array in self.runner(crop).items()
        }


def check_stride(stride_px: int, own_px: int, patch_px: int, input_px: int) -> None:
    """Refuse a stride that the network's windows cannot have.

    Raises:
        UsageError: It is neither a multiple of the network's nor its half, or wider than a patch.
    """
    half = 2 * stride_px == own_px and stride_px * input_px % patch_px == 0
    if (stride_px % own_px and not half) or stride_px > patch_px:
        offered = [str(own_px // 2)] * (own_px % 2 == 0)
        offered += [str(n) for n in range(own_px, patch_px + 1, own_px)]
        raise UsageError(
            f"--dense_stride_px {stride_px} is neither a multiple nor the half of the network's "
            f"stride, {own_px} px, up to the patch's {patch_px} px",
            f"Give one of {', '.join(offered[:6])}.",
        )


def slide_over(
    pixels: GridPixels, grid: PatchGrid, slider: Slider, loading: Loading, shares: Shares
) -> Iterator[tuple[NDArray[np.int64], Arrays]]:
    """Run a network over a slide's windows.

    Args:
        pixels: Of the slide.
        grid: The windows wanted.
        slider: The network.
        loading: How pixels are brought to it.
        shares: Counts where the time goes.

    Yields:
        Rows int64 [n] of the grid and arrays [n, ...] with `colour` float32 [n, 6]; windows that
        touch a tile that cannot be decoded are NaN.

    Raises:
        ModelError: See `Slider`.
    """
    side = side_of(grid.cell, slider.most, slider.phases)
    regions, stride = plan(grid.cell, side), slider.stride_px
    corners = np.array([(each.col, each.row) for each in regions], np.int64).reshape(-1, 2)
    starts_px = corners * stride - slider.halo_px
    squares = pixels.squares(starts_px, slider.region_px(side), loading.threads)
    for region in regions:
        with shares.of("pixels"):
            image, lost = next(squares)
        with shares.of("compute"):
            arrays = _arrays(slider, image, region, loading)
        if lost is not None:
            touched = pixels.touch(grid.coords[region.rows], slider.window.side_px, lost)
            for array in arrays.values():
                array[touched] = np.nan
        yield region.rows, arrays


def _arrays(slider: Slider, image: NDArray[np.uint8], region: Region, loading: Loading) -> Arrays:
    normalised = image if loading.normalise is None else loading.normalise(image)
    arrays = slider(normalised, region.at)
    starts = region.at * slider.stride_px + slider.halo_px + slider.window.offset_px
    whole: Any = np.floor(starts + 0.5).astype(np.int64)
    arrays["colour"] = colours_of_squares(image, whole, slider.window.side_px)
    return arrays


def _groups(keys: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Places of equal rows of `keys` [n, 2], in order."""
    _, number = np.unique(keys, axis=0, return_inverse=True)
    return [np.flatnonzero(number.ravel() == each) for each in range(int(number.max()) + 1)]
