"""A network over a region: one output for every window that its own stride reaches.

Which networks can is proved on each when it is asked for, not looked up: see `dense_proof`. Small
regions are mostly context (of 2,624 px a ResNet-18 keeps 59 %, of 3,584 px 70 %), larger ones need
gigabytes (a ResNet-18 1.8 GB for 3,584 px in float32, 1.1 GB in bfloat16, besides the process).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from histocnn.errors import ModelError
from histocnn.models.dense_layers import LayerWindows, layer_split
from histocnn.models.dense_proof import Reach, measured_halo, proved, reach
from histocnn.models.networks import Embedder
from histocnn.models.windows import REMEDY, Sliding, noise, split

TOLERANCE = 1e-3  # of an output, between a region and one pass over everything


@dataclass(frozen=True)
class Dense:
    """A network that slides.

    Window (row, col) of an image begins at (col, row) × `stride_px`, cell (row, col) of its map of
    features too; a window has `cells` × `cells` of them under one head.

    Attributes:
        network: float [B, 3, H, W], normalised, H and W multiples of `stride_px` → [B, C, h, w],
            one output per window.
        stride_px: Of the network, in its input's px.
        window_px: Side of a window's footprint, input px.
        offset_px: Of its footprint from where the window begins, input px.
        centre_px: Of the pixels that move the first window, from where it begins, input px: the
            patch's centre for a network without padding, half a stride less for a ResNet.
        cells: Side of a window in cells of the last map.
        lost: Cells that the map of an image of n strides has fewer than n (padding keeps them).
        halo_px: Pixels that a region needs around the cells it keeps, so that they are within
            `TOLERANCE` of one pass over everything; a multiple of the stride.
        receptive_px: Pixels that can move a cell at all, so that they are equal.
        input_px: Side of the patches that the network was made for.
    """

    network: nn.Module
    stride_px: int
    window_px: int
    offset_px: float
    centre_px: float
    cells: int
    lost: int
    halo_px: int
    receptive_px: int
    input_px: int

    def patch_stride_px(self, patch_px: int) -> int:
        """The stride in pixels of patches that are scaled to the input.

        Raises:
            ModelError: It is no whole number of them.
        """
        stride, rest = divmod(self.stride_px * patch_px, self.input_px)
        if rest or not stride:
            raise ModelError(
                f"a stride of {self.stride_px} px of {self.input_px} px is "
                f"{self.stride_px * patch_px / self.input_px:.2f} px of a patch of {patch_px} px",
                f"Use patches of {self.input_px} px at the same µm, or leave --dense out.",
            )
        return stride

    def region_px(self, windows: int) -> int:
        """Side of the region that gives so many windows, besides the halo's on each side."""
        return (windows + self.cells - 1 + self.lost) * self.stride_px + 2 * self.halo_px

    def kept(self) -> slice:
        """Which of a region's windows (or cells) per axis lie inside of its halo."""
        edge = self.halo_px // self.stride_px
        return slice(edge, -edge or None)


@torch.inference_mode()
def densified(network: nn.Module, input_px: int, *, exact: bool = False) -> Dense:
    """Make a network slide, prove that it may, and measure the context that it needs.

    That takes as long as some 60 patches. No file's word is taken for it: too little would
    falsify scores, too much would fill the memory.

    Args:
        network: float [B, 3, P, P] → [B, C], in evaluation mode; a `Network` or an `Embedder`.
        input_px: P.
        exact: Take the whole receptive field for a halo.

    Raises:
        ModelError: It may not: with the reason and what to do.
    """
    whole = _sliding(network, input_px)
    cells = whole.parts.cells
    patch = noise(network, (1, 3, input_px, input_px))
    own, slid = network(patch), whole(patch)
    if slid.shape[2:] != (1, 1) or not torch.allclose(own, slid[..., 0, 0], rtol=1e-4, atol=1e-4):
        raise ModelError("over one patch it does not give the patch's own output", REMEDY)
    sees = reach(network, whole.maps, input_px)
    proved(network, whole.maps, sees, input_px)
    if exact:
        halo_px = sees.receptive_px
    else:
        scale = float(own.abs().max()) if isinstance(network, Embedder) else 1.0
        halo_px = measured_halo(whole, sees, cells, TOLERANCE * scale)
    window_px, offset_px = _footprint(sees, input_px, cells)
    return Dense(
        network=whole,
        stride_px=sees.stride_px,
        window_px=window_px,
        offset_px=offset_px,
        centre_px=sees.centre_px(cells),
        cells=cells,
        lost=sees.lost,
        halo_px=halo_px,
        receptive_px=sees.receptive_px,
        input_px=input_px,
    )


def _sliding(network: nn.Module, input_px: int) -> Sliding | LayerWindows:
    """The network over windows."""
    if isinstance(network, Embedder) and network.layers:
        return LayerWindows(network, layer_split(network, input_px))
    inner = network.backbone if isinstance(network, Embedder) else network
    return Sliding(inner, split(inner, input_px), input_px)


def _footprint(sees: Reach, input_px: int, cells: int) -> tuple[int, float]:
    """Side of a window, and where it begins from its nominal place."""
    if input_px % sees.stride_px == 0:
        return input_px, 0.0
    if sees.first_px >= 0 and sees.end_px(cells) <= input_px:  # no padding: what it really sees
        return sees.end_px(cells) - sees.first_px, float(sees.first_px)
    side = cells * sees.stride_px
    return side, sees.centre_px(cells) - side / 2
