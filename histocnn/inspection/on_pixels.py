"""A trained network behind its own recipe: pixels in, features and logits out, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from histocnn.errors import ModelError
from histocnn.models.networks import Embedder, Network
from histocnn.models.preparation import to_input
from histocnn.models.spec import ModelSpec

Pixels = NDArray[np.uint8]
Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]  # network, pixels, classes → pixels


@dataclass(frozen=True, eq=False)
class Response:
    """What a network makes of N pictures.

    Attributes:
        features: float32 [N, D], of the layers that were asked for.
        logits: float32 [N, C].
    """

    features: NDArray[np.float32]
    logits: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.logits)

    @property
    def called(self) -> NDArray[np.int64]:
        """int64 [N], the class of the highest logit."""
        return np.asarray(self.logits.argmax(axis=1), np.int64)


class OnPixels(nn.Module):
    """A network with its recipe before it: float pixels [B, 3, H, W], 0 to 255 → logits [B, C].

    Its weights are frozen, and it is in evaluation mode.

    Args:
        network: Backbone and head.
        spec: How pixels become input.
        layers: Of the backbone, whose features `respond` gives, as `Embedder` has them; empty: what
            the last layer is given.

    Raises:
        UsageError: The backbone has no such layer.
    """

    def __init__(self, network: Network, spec: ModelSpec, layers: Sequence[str] = ()) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.spec = spec
        self.embedder = Embedder(network.backbone, layers)

    def _input(self, pixels: Tensor) -> Tensor:
        rows = pixels.permute(0, 2, 3, 1).clone()  # `to_input` works in place
        return to_input(rows, self.spec)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits float [B, C]."""
        logits: Tensor = self.network(self._input(pixels))
        return logits

    def both(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Features float [B, D] and logits [B, C], by one pass."""
        last: list[Tensor] = []
        hook = self.network.backbone.register_forward_hook(lambda _, __, out: last.append(out))
        try:
            features: Tensor = self.embedder(self._input(pixels))
        finally:
            hook.remove()
        return features, self.network.head(last[0])

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return next(self.network.parameters()).device

    def respond(self, pixels: Pixels, batch_size: int = 64) -> Response:
        """Features and logits of pictures uint8 [N, H, W, 3].

        Raises:
            ModelError: A batch does not fit the device's memory, or the network gives NaN.
        """
        features, logits = list[NDArray[np.float32]](), list[NDArray[np.float32]]()
        for part in _parts(len(pixels), batch_size):
            with _within_memory(self.device, len(pixels[part])), torch.inference_mode():
                for found, kept in zip(
                    self.both(self._placed(pixels[part])), (features, logits), strict=True
                ):
                    kept.append(found.float().cpu().numpy())
        response = Response(np.concatenate(features), np.concatenate(logits))
        if not (np.isfinite(response.features).all() and np.isfinite(response.logits).all()):
            raise ModelError(
                "the network gives NaN or infinite values", "Its weights are damaged: train again."
            )
        return response

    def altered(
        self, pixels: Pixels, classes: NDArray[np.int64], attack: Attack, batch_size: int = 64
    ) -> Pixels:
        """Pictures uint8 [N, H, W, 3] as an attack leaves them, in whole grey levels.

        Args:
            pixels: uint8 [N, H, W, 3].
            classes: int64 [N], as the attack means them.
            attack: Of one batch.
            batch_size: Pictures at a time.

        Raises:
            ModelError: A batch does not fit the device's memory, or the attack's own.
        """
        made = np.empty_like(pixels)
        for part in _parts(len(pixels), batch_size):
            with _within_memory(self.device, len(pixels[part])):
                asked = torch.from_numpy(classes[part]).to(self.device)
                found = attack(self, self._placed(pixels[part]), asked)
                made[part] = found.round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return made

    def _placed(self, pixels: Pixels) -> Tensor:
        return torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float()


def _parts(rows: int, batch_size: int) -> Iterator[slice]:
    for begin in range(0, rows, batch_size):
        yield slice(begin, begin + batch_size)


@contextmanager
def _within_memory(device: torch.device, pictures: int) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"a batch of {pictures} patches does not fit the memory of {device}",
            "Lower --batch_size.",
        ) from error
