"""Which patches of a cohort excite each channel most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from histocnn.inspection.watching import outputs
from histocnn.patches.patches import Patches

TOP = 9
BATCH = 16
Prepare = Callable[[Patches], Callable[[NDArray[np.uint8]], Tensor]]


@dataclass(frozen=True)
class Exciting:
    """The patches that excite the channels of one layer most.

    Attributes:
        layer: Its name.
        values: float32 [F, top]: the strongest unit of the channel on that patch, falling; NaN
            where there are fewer patches.
        sources: int64 [F, top]: which of the given `Patches`, -1 none.
        rows: int64 [F, top]: which row of it.
    """

    layer: str
    values: NDArray[np.float32]
    sources: NDArray[np.int64]
    rows: NDArray[np.int64]


def most_exciting(
    network: nn.Module,
    cohort: Sequence[Patches],
    layers: Sequence[str],
    prepare: Prepare,
    *,
    rows: Sequence[Sequence[int]] | None = None,
    top: int = TOP,
    batch_size: int = BATCH,
) -> dict[str, Exciting]:
    """Of each channel the patches whose strongest unit is the strongest.

    Patches are read in order through their own door, once for all layers; what cannot be read
    takes no part.

    Args:
        network: Any torch module, in evaluation mode.
        cohort: Files of patches.
        layers: Names of layers.
        prepare: Of one file: uint8 [B, H, W, 3] → what the network takes.
        rows: Of each file those that take part, such as `spread` gives; None: all.
        top: Patches per channel.
        batch_size: Patches at a time, which bounds the memory.

    Raises:
        UsageError: The network has no such layer.
        ModelError: It does not take the patches, or the memory is too small.
        PatchesError: The slide or all files are gone.
    """
    best: dict[str, tuple[Tensor, Tensor]] = {}
    for source, patches in enumerate(cohort):
        chosen = None if rows is None else rows[source]
        if chosen is not None and not len(chosen):
            continue
        ready = prepare(patches)
        for batch in patches.batches(batch_size, 1, chosen):
            images = ready(batch.pixels)
            with torch.no_grad():
                seen = outputs(network, images, layers)
            keep = torch.as_tensor(batch.readable)
            at = torch.as_tensor(np.asarray(batch.rows, np.int64))[keep] + source * 2**40
            for name, output in seen.items():
                best[name] = _merged(best.get(name), _strongest(output).cpu()[keep], at, top)
        patches.close()
    return {name: _found(name, *best[name], top) for name in best}


def _strongest(output: Tensor) -> Tensor:
    """The strongest unit of each channel [B, F], whatever the layer gives."""
    if output.ndim == 4:
        return output.amax((2, 3)).float()
    return (output.flatten(1, -2).amax(1) if output.ndim == 3 else output).float()


def _merged(
    before: tuple[Tensor, Tensor] | None, values: Tensor, at: Tensor, top: int
) -> tuple[Tensor, Tensor]:
    """The best so far, values [F, top] and places [F, top], with a batch's [B, F]."""
    values, places = values.T, at.expand(values.shape[1], -1)
    if before is not None:
        values, places = torch.cat([before[0], values], 1), torch.cat([before[1], places], 1)
    kept = values.argsort(dim=1, descending=True, stable=True)[:, :top]
    return values.gather(1, kept), places.gather(1, kept)


def _found(name: str, values: Tensor, places: Tensor, top: int) -> Exciting:
    missing = top - values.shape[1]
    own = np.pad(values.numpy(), ((0, 0), (0, missing)), constant_values=np.nan)
    at = np.pad(places.numpy(), ((0, 0), (0, missing)), constant_values=-1)
    return Exciting(name, own, np.where(at < 0, -1, at >> 40), np.where(at < 0, -1, at % 2**40))


def spread(cohort: Sequence[Patches], most: int) -> list[list[int]]:
    """Rows of each file, at most so many in all, evenly over the cohort."""
    counts = np.array([len(patches) for patches in cohort])
    total, ends = int(counts.sum()), np.cumsum(counts)
    at = np.unique(np.linspace(0, total - 1, min(most, total)).astype(np.int64))
    return [
        [int(i - end + count) for i in at if end - count <= i < end]
        for count, end in zip(counts, ends, strict=True)
    ]


def where(patches: Patches, row: int) -> Mapping[str, object]:
    """Slide and place of a patch, as pages and JSON name it."""
    found: dict[str, object] = {"slide_id": patches.slide_ids[row], "row": row}
    if patches.coords is not None:
        found["x_l0"], found["y_l0"] = (int(value) for value in patches.coords[row])
    if patches.paths is not None:
        found["path"] = patches.paths[row]
    return found
