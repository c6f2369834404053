"""A network on a device, called with patches."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from histocnn.errors import ModelError
from histocnn.models.engines import Compute
from histocnn.models.networks import takes
from histocnn.models.preparation import to_input
from histocnn.models.spec import ModelSpec

Step = Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Runner:
    """A network on a device, called with uint8 patches.

    Args:
        network: float [B, 3, h, w], normalised → outputs [B, ...].
        spec: How pixels become input.
        device: Where it runs.
        bf16: Autocast to bfloat16.
        finish: Outputs (float32) → the arrays to store, by name.
        augment: Applied to the input; every result is averaged before `finish`.
        per_px: Input px per pixel of a region, in place of the spec's side; None: patches.
        compute: Computes the network in another way (`engines`); None: torch does.
    """

    network: nn.Module
    spec: ModelSpec
    device: torch.device
    bf16: bool
    finish: Step
    augment: tuple[Callable[[Tensor], Tensor], ...] = field(default=(lambda images: images,))
    per_px: float | None = None
    compute: Compute | None = None

    @torch.inference_mode()
    def __call__(self, pixels: NDArray[np.uint8]) -> dict[str, Tensor]:
        """Arrays of patches uint8 [B, H, W, 3], still on the device.

        Raises:
            ModelError: The batch does not fit the device's memory.
        """
        compute = self.compute or self.network
        patches = torch.from_numpy(pixels)
        if self.device.type == "cuda":
            patches = patches.pin_memory().to(self.device, non_blocking=True)
        try:
            images = to_input(patches, self.spec, self._size(patches))
            with takes(self.spec.backbone, images), self._autocast():
                outputs = [compute(view(images)).float() for view in self.augment]
            return self.finish(torch.stack(outputs).mean(0) if len(outputs) > 1 else outputs[0])
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"a batch of {len(pixels)} patches does not fit the memory of {self.device}",
                "Lower --batch_size.",
            ) from error

    def _size(self, pixels: Tensor) -> tuple[int, int] | None:
        if self.per_px is None:
            return None
        return round(pixels.shape[1] * self.per_px), round(pixels.shape[2] * self.per_px)

    def _autocast(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()


def flips_and_turns() -> tuple[Callable[[Tensor], Tensor], ...]:
    """The 8 symmetries of a square, on images [B, 3, H, W]."""

    def symmetry(turns: int, flip: bool) -> Callable[[Tensor], Tensor]:
        def view(images: Tensor) -> Tensor:
            turned = torch.rot90(images, turns, (2, 3))
            return turned.flip(3) if flip else turned

        return view

    return tuple(symmetry(turns, flip) for flip in (False, True) for turns in range(4))
