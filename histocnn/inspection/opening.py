"""The network that is looked at, and how pixels become its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from histocnn.errors import UsageError
from histocnn.models.custom import is_custom
from histocnn.models.device import choose_device
from histocnn.models.embedding import Source
from histocnn.models.preparation import to_input
from histocnn.models.spec import ModelSpec, load
from histocnn.models.suitable import checked, normaliser
from histocnn.patches.patches import Patches
from histocnn.slides.stain import Normaliser

USUAL_PX = {"lenet5": 28, "mlp": 28, "inception_v3": 299}  # others: 224


@dataclass(frozen=True)
class Subject:
    """A network to look at.

    Attributes:
        network: In evaluation mode, on its device.
        spec: How pixels become input; of a bare backbone without classes and scale.
        title: As a page calls it.
        input_px: Side of its input.
        device: Where it is.
    """

    network: nn.Module
    spec: ModelSpec
    title: str
    input_px: int
    device: torch.device

    def tensor(self, pixels: NDArray[np.uint8]) -> Tensor:
        """uint8 [B, H, W, 3] → float [B, 3, input_px, input_px] on the device."""
        given = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device)
        return to_input(given, self.how)

    @property
    def how(self) -> ModelSpec:
        """How pixels become input of this side; only the author's own side is cut out of more."""
        own = self.input_px == self.spec.input_px
        resize_px = self.spec.resize_px if own else None
        return replace(self.spec, input_px=self.input_px, resize_px=resize_px)

    def alone(self, pixels: NDArray[np.uint8]) -> Tensor:
        """An image uint8 [H, W, 3] of no cohort as input, its stains its own."""
        if self.spec.stain is not None:
            normalise = Normaliser.from_dict(self.spec.stain)
            normalise.per_patch = True
            pixels = normalise(pixels, None)
        return self.tensor(pixels[None])

    def prepare(self, patches: Patches) -> Callable[[NDArray[np.uint8]], Tensor]:
        """How the patches of one file become input, their stains normalised where the model's are.

        Raises:
            ModelError: They are of another size or scale than the model was trained on.
        """
        checked(patches, self.spec)
        normalise = normaliser(self.spec, patches)

        def ready(pixels: NDArray[np.uint8]) -> Tensor:
            if normalise is not None:
                pixels = np.stack([normalise(patch) for patch in pixels])
            return self.tensor(pixels)

        return ready

    def input_mpp(self, patches: Patches | None = None, mpp: float | None = None) -> float | None:
        """µm per pixel of the input; None where nobody recorded a scale.

        Args:
            patches: Those that are looked at, where the model itself knows no scale.
            mpp: Of single images.
        """
        patch_px, scale = self.spec.patch_px, self.spec.mpp or mpp
        if scale is None and patches is not None:
            patch_px, scale = patches.patch_px, patches.mpp
        if scale is None:
            return None
        if patch_px is None or patch_px == self.input_px:
            return scale
        return scale * patch_px / (self.how.resize_px or self.input_px)


def open_subject(
    model: Path | None,
    backbone: str | None,
    weights: str | None,
    input_px: int | None = None,
    device: str = "auto",
) -> Subject:
    """Open a model of ours, or a backbone by name with its weights.

    Raises:
        UsageError: Neither or both; no weights.
        ModelError: Weights that cannot be had or do not fit.
    """
    place = choose_device(device)
    if model is not None and (backbone is None or is_custom(backbone)):
        network, spec = load(model, place, backbone)
        side = input_px or spec.input_px or spec.patch_px or _usual(spec.backbone)
        return Subject(network, spec, f"{spec.backbone} ({model.name})", side, place)
    if backbone is None or model is not None:
        raise UsageError("inspect needs --backbone NAME or --model FILE", "Give one of the two.")
    found, spec = Source(backbone, weights, None, (), input_px, None).open()
    bare = found.backbone.to(place).eval()
    return Subject(bare, spec, backbone, spec.input_px or _usual(backbone), place)


def _usual(name: str) -> int:
    """The side of the images that a network was published for."""
    return USUAL_PX.get(name, 224)
