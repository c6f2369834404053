"""Small networks whose fields are known, and the pixels that move a unit, measured."""

from __future__ import annotations

import torch
from torch import Tensor, nn

HEIGHT = 64  # of the strips that fields are measured on


class Excited(nn.Module):
    """Squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Conv2d(8, 8, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps weighed by what the whole image holds."""
        return maps * self.gate(maps.mean((2, 3), keepdim=True)).sigmoid()


class Rolled(nn.Module):
    """A call that no rule knows."""

    def forward(self, maps: Tensor) -> Tensor:
        """The same, shifted."""
        return torch.roll(maps, 1, 3)


def with_ones(network: nn.Module) -> nn.Module:
    """The network made linear and positive: every path from a pixel to a unit shows.

    Weights are equal and sum to 1, normalisation does nothing, pooling takes means.
    """
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.MaxPool2d):
            mean = nn.AvgPool2d(module.kernel_size, module.stride, module.padding, module.ceil_mode)
            network.set_submodule(name, mean)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network.double().eval()


def measured(
    network: nn.Module, layer: str, width: int, height: int = HEIGHT
) -> tuple[int, int, int]:
    """Pixels that move a unit in the middle of a map, the jump to the next, and unit 0's first.

    The gradient of two neighbouring units of `with_ones`, along x.
    """
    image = torch.ones(1, 3, height, width, dtype=torch.float64, requires_grad=True)
    found: list[Tensor] = []
    hook = network.get_submodule(layer).register_forward_hook(lambda *given: found.append(given[2]))
    network(image)
    hook.remove()
    maps, spans = found[0], []
    unit = maps.shape[3] // 2
    for at in (unit, unit + 1):
        (gradient,) = torch.autograd.grad(maps[..., at].sum(), image, retain_graph=True)
        moved = gradient.abs().sum((0, 1, 2)).nonzero().flatten()
        assert moved[0] > 0, "the strip is too short"
        assert moved[-1] < width - 1, "the strip is too short"
        spans.append((int(moved[0]), int(moved[-1])))
    jump = spans[1][0] - spans[0][0]
    return spans[0][1] - spans[0][0] + 1, jump, spans[0][0] - unit * jump
