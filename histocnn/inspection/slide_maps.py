"""A class over a whole slide: the dense map of its score, and beside it what each place adds to it.

The network slides as `predict --dense` lets it, over the same windows. For a network whose outputs
are weighed means of its last map, plain CAM needs nothing more: a window's output is the mean of
what its cells add, and the attribution is what the cell in the window's middle adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from histocnn.errors import ModelError
from histocnn.inspection.class_maps import LinearHead, linear_head
from histocnn.inspection.inputs import class_index, judging
from histocnn.models.dense import Dense, densified
from histocnn.models.dense_infer import Slider, slide_over
from histocnn.models.infer import Loading, Shares
from histocnn.models.networks import Network
from histocnn.models.runner import Runner, Step
from histocnn.models.spec import ModelSpec
from histocnn.models.suitable import checked, normaliser
from histocnn.models.windows import trunk
from histocnn.patches.dense_grid import dense_grid, placed
from histocnn.patches.grid import PatchGrid
from histocnn.patches.gridpixels import GridPixels
from histocnn.patches.patches import Patches

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SlideMap:
    """Score and attribution of every window of a slide.

    Attributes:
        grid: Where the windows lie; `grid.raster` lays either array onto the slide.
        scores: float32 [N, C], softmax at the model's temperature of dense scores.
        attribution: float32 [N, C], what the cell in the window's middle adds to the output of the
            class before softmax; below 0 it speaks against it.
        class_names: C.
        notes: What the user should hear.
    """

    grid: PatchGrid
    scores: Floats
    attribution: Floats
    class_names: tuple[str, ...]
    notes: Sequence[str]

    def rasters(self, of_class: int | str) -> tuple[Floats, Floats]:
        """Score and attribution of one class on the grid's cells, [rows, cols]; NaN beside tissue.

        Raises:
            UsageError: There is no such class.
        """
        index = class_index(of_class, len(self.class_names), self.class_names)
        score, added = (self.grid.raster(a[:, index]) for a in (self.scores, self.attribution))
        return score, added


class CentreCam(nn.Module):
    """Outputs of all windows, and what their middle adds: float [B, 3, H, W] → [B, 2 K, h, w].

    Args:
        network: float [B, 3, P, P] → [B, K].
        head: How its outputs follow from its last map.
    """

    def __init__(self, network: nn.Module, head: LinearHead) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, images: Tensor) -> Tensor:
        """First the outputs of each window, then what the cell in its middle adds to them.

        Of windows of an even number of cells the middle is four cells, which are averaged.
        """
        added = torch.einsum(
            "bfhw,kf->bkhw", trunk(self.network, self.head.parts, images), self.head.weights
        )
        cells = self.head.parts.cells
        outputs = F.avg_pool2d(added, cells, 1) + self.head.bias[:, None, None]
        side = 2 - cells % 2
        edge = (cells - side) // 2
        height, width = outputs.shape[2:]
        middle = F.avg_pool2d(added, side, 1)[..., edge : edge + height, edge : edge + width]
        return torch.cat([outputs, middle], 1)


def slide_map(
    patches: Patches, network: Network, spec: ModelSpec, *, device: str | torch.device = "cpu"
) -> SlideMap:
    """Slide a model over a slide and keep, of each window and class, score and attribution.

    Args:
        patches: Of one slide, as `open_patches` gives them: the grid that the model is for.
        network: As `spec.load` gives it.
        spec: Its own.
        device: Where it runs, in float32.

    Raises:
        PatchesError: The patches have no place on a slide.
        ModelError: They are of another scale, or the network does not slide, or its head allows no
            plain CAM: with the reason.
    """
    file = placed(patches)
    checked(patches, spec)
    patch_px, place = int(file.attributes["patch_px"]), torch.device(device)
    side = spec.input_px or patch_px
    with judging(network):
        runner = Runner(network.to(place), spec, place, False, _finish(spec))
        dense = _with_middle(network, side, place)
        slider = Slider.of(dense, runner, patch_px, None)
        laid = dense_grid(patches, slider.window, slider.stride_px)
        count = len(spec.class_names)
        scores, added = (np.full((len(laid.grid), count), np.nan, "f4") for _ in range(2))
        loading = Loading(normalise=normaliser(spec, patches))
        pixels = cast(GridPixels, file.pixels)  # `placed` asked whether they have a place
        for rows, arrays in slide_over(pixels, laid.grid, slider, loading, Shares()):
            scores[rows], added[rows] = arrays["scores"], arrays["attribution"]
    patches.check_same()
    return SlideMap(laid.grid, scores, added, spec.class_names, laid.notes)


def _with_middle(network: Network, side: int, place: torch.device) -> Dense:
    """The network over windows, with what their middles add.

    Raises:
        ModelError: See `densified` and `linear_head`.
    """
    head = linear_head(network, torch.zeros(1, 3, side, side, device=place))
    dense = densified(network, side)
    if dense.cells != head.parts.cells:
        raise ModelError(f"a window of {dense.cells} cells, and a map of {head.parts.cells}")
    return replace(dense, network=CentreCam(network, head))


def _finish(spec: ModelSpec) -> Step:
    temperature = spec.calibration(dense=True)["temperature"]

    def finish(both: Tensor) -> dict[str, Tensor]:
        outputs, middle = both.chunk(2, dim=1)
        return {"scores": torch.softmax(outputs / temperature, 1), "attribution": middle}

    return finish
