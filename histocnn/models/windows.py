"""Where a network stops looking at an image as a map, and the same network over many windows.

Every call that makes a tensor is counted while a network runs, so no table of architectures and no
rewriting is needed: the map of features is what the last call took that leaves nothing of the
image's extent. Put windows of that map in its place, as a batch, and whatever comes behind
(pooling, flattening, linear layers) scores them all in the same pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from histocnn.errors import ModelError

CHUNK = 1024  # windows that a tail with layers over the whole window gets at a time
REMEDY = (
    "Use predict or embed without --dense, or a convolutional network that pools once, at its end, "
    "such as resnet18."
)
Cut = Callable[[Tensor], Tensor]


class Reached(Exception):  # noqa: N818  # no error: the rest of the network is not needed
    """Carries the map out of a network."""

    def __init__(self, maps: Tensor) -> None:
        super().__init__()
        self.maps = maps


class _Tape(TorchFunctionMode):
    """Counts the calls that make a tensor, and hands the one asked for to `cut`."""

    def __init__(self, at: int = -1, cut: Cut | None = None) -> None:
        super().__init__()
        self.made = 0
        self.at, self.cut = at, cut

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            index, self.made = self.made, self.made + 1
            self.see(index, args, result)
            if index == self.at and self.cut is not None:
                return self.cut(result)
        return result

    def see(self, index: int, args: Any, result: Tensor) -> None:
        """Do nothing with a call."""


class _Record(_Tape):
    """Notes what each call took and the shape of what it made."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []
        self.taken: list[list[int]] = []
        self._tensors: list[Tensor] = []  # kept, so that no id comes twice
        self._last: dict[int, int] = {}

    def see(self, index: int, args: Any, result: Tensor) -> None:
        self.taken.append([self._last[id(t)] for t in _tensors(args) if id(t) in self._last])
        self.shapes.append(tuple(result.shape))
        self._tensors.append(result)
        self._last[id(result)] = index


def _tensors(args: Any) -> Iterator[Tensor]:
    for value in args:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


@dataclass(frozen=True)
class Split:
    """Where a network's trunk ends.

    Attributes:
        at: Number of the call that makes the last map of features.
        cells: Side of that map for one patch, in cells.
        average: Whether what follows begins with the mean over the map.
    """

    at: int
    cells: int
    average: bool


def split(network: nn.Module, input_px: int) -> Split:
    """Find where this network's trunk ends.

    Args:
        network: float [1, 3, H, W] → [1, C].
        input_px: Side of its patches.

    Raises:
        ModelError: No map of features comes before its output, or it takes no such patch.
    """
    image = noise(network, (1, 3, input_px, input_px))
    small = _Record()
    with taking(image), small:
        output = network(image)
    if not isinstance(output, Tensor) or output.ndim != 2:
        raise ModelError("the network does not give one row per image", REMEDY)
    at = _last_map(small, _recorded(network, (1, 3, input_px, 2 * input_px)))
    if at is None:
        raise ModelError(
            "its last features are no map of the image but tokens or pixels, as those of a "
            "transformer or an mlp",
            REMEDY,
        )
    cells = small.shapes[at][-1]
    if 2 * cells > input_px:
        raise ModelError("its first layer takes the whole patch: it has no stride", REMEDY)
    draft = Split(at, cells, average=False)
    maps = trunk(network, draft, image)
    if maps.shape[2] != maps.shape[3]:
        raise ModelError(f"a square patch gives a map of {tuple(maps.shape)}", REMEDY)
    drawn = maps.mean() + maps.std() * noise(network, tuple(maps.shape)) if cells > 1 else maps
    whole = tail(network, draft, image, drawn)
    average = _gives(network, draft, image, drawn.mean((2, 3), keepdim=True), whole)
    return Split(at, cells, average)


def trunk(network: nn.Module, parts: Split, images: Tensor) -> Tensor:
    """The last map of features [B, C, h, w] of images of any size.

    Raises:
        ModelError: The network does not take them.
    """

    def stop(maps: Tensor) -> Tensor:
        raise Reached(maps)

    with taking(images), _Tape(parts.at, stop):
        try:
            network(images)
        except Reached as reached:
            return reached.maps
    raise AssertionError("a call that was counted did not come")


def tail(network: nn.Module, parts: Split, image: Tensor, windows: Tensor) -> Tensor:
    """Outputs [N, C] of windows [N, F, k, k] of the map; `image` is any one patch."""
    with _Tape(parts.at, lambda maps: windows):
        outputs: Tensor = network(image)
    if outputs.shape[0] != len(windows):
        raise ModelError("what follows its last map does not take the map alone", REMEDY)
    return outputs


class Sliding(nn.Module):
    """A network over all windows of an image: float [B, 3, H, W] → [B, C, h, w].

    Args:
        network: float [B, 3, P, P] → [B, C].
        parts: Where its trunk ends.
        input_px: P.
    """

    def __init__(self, network: nn.Module, parts: Split, input_px: int) -> None:
        super().__init__()
        self.network, self.parts, self.input_px = network, parts, input_px

    def forward(self, images: Tensor) -> Tensor:
        """Outputs of each window."""
        if self.parts.average:
            return self._averages(images)
        maps = trunk(self.network, self.parts, images)
        side = self.parts.cells
        windows = maps.unfold(2, side, 1).unfold(3, side, 1)  # [B, F, h, w, k, k]
        batch, _, height, width = windows.shape[:4]
        rows = windows.permute(0, 2, 3, 1, 4, 5).flatten(1, 2)  # [B, h·w, F, k, k], a view if B = 1
        blank = images.new_zeros(1, 3, self.input_px, self.input_px)
        outputs = [
            tail(self.network, self.parts, blank, some.contiguous())
            for one in rows
            for some in one.split(CHUNK)
        ]
        return torch.cat(outputs).view(batch, height, width, -1).permute(0, 3, 1, 2)

    def maps(self, images: Tensor) -> Tensor:
        """The last map of features [B, F, h, w], one value per cell."""
        return trunk(self.network, self.parts, images)

    def _averages(self, images: Tensor) -> Tensor:
        """In one pass: the mean over a window is 1 × 1, and its own mean."""
        sizes: list[int] = []

        def cut(maps: Tensor) -> Tensor:
            means = F.avg_pool2d(maps, self.parts.cells, 1)
            batch, features, height, width = means.shape
            sizes.extend((batch, height, width))
            return means.permute(0, 2, 3, 1).reshape(-1, features, 1, 1)

        with taking(images), _Tape(self.parts.at, cut):
            outputs: Tensor = self.network(images)
        if len(outputs) != sizes[0] * sizes[1] * sizes[2]:
            raise ModelError("what follows its last map does not take the map alone", REMEDY)
        return outputs.view(*sizes, -1).permute(0, 3, 1, 2)


@contextmanager
def taking(images: Tensor) -> Iterator[None]:
    """Say of whatever a network raises that it does not take these images.

    Raises:
        ModelError: In place of its own error.
    """
    try:
        yield
    except (Reached, ModelError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # whatever a network's forward raises
        height, width = images.shape[-2:]
        said = " ".join(str(error).split())[:200]
        raise ModelError(f"it does not take {width} × {height} px ({said})", REMEDY) from error


def noise(network: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Random numbers where the network is, the same every time."""
    generator = torch.Generator().manual_seed(0)
    weight = next(network.parameters(), torch.zeros(()))
    drawn = torch.randn(shape, generator=generator).to(weight.device)
    return drawn.contiguous(memory_format=torch.channels_last)


def _recorded(network: nn.Module, shape: tuple[int, ...]) -> _Record | None:
    """The calls for an image of this shape; None where the network takes no such image."""
    record, image = _Record(), noise(network, shape)
    try:
        with record:
            network(image)
    except Exception:  # whatever a network's forward raises
        return None
    return record


def _last_map(small: _Record, large: _Record | None) -> int | None:
    """Number of the call whose map the last call takes that leaves nothing of the extent."""
    same = large is not None and large.taken == small.taken
    for index in reversed(range(len(small.shapes))):
        for taken in small.taken[index]:
            before = small.shapes[taken]
            if large is not None and same:
                falls = before != large.shapes[taken] and small.shapes[index] == large.shapes[index]
                if falls:
                    grown = [a != b for a, b in zip(before, large.shapes[taken], strict=True)]
                    return taken if grown == [False, False, False, True] else None
            elif len(before) == 4 and len(small.shapes[index]) == 2:
                return taken
    return None


def _gives(
    network: nn.Module, parts: Split, image: Tensor, windows: Tensor, expected: Tensor
) -> bool:
    """Whether these windows' output is the expected."""
    try:
        outputs = tail(network, parts, image, windows)
    except Exception:  # a linear layer of another width, or whatever a network's forward raises
        return False
    return bool((outputs - expected).abs().max() <= 1e-4 * expected.abs().max().clamp(min=1e-3))
