"""What moves a cell: measured to the pixel, and refused where it is everything."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import DenseNet

from histocnn.errors import ModelError
from histocnn.models.dense import densified
from histocnn.models.dense_proof import Reach, measured_halo, proved, reach
from histocnn.models.windows import Sliding, split


def _network(*inside: nn.Module) -> nn.Module:
    """Stride 8 with padding, these modules between."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 7, 2, padding=3), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1),
        nn.Conv2d(8, 8, 3, 2, padding=1), *inside, nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2),
    ).eval()  # fmt: skip


class _Excited(nn.Module):
    """Squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Conv2d(8, 8, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps weighed by what the whole image holds."""
        return maps * self.gate(maps.mean((2, 3), keepdim=True)).sigmoid()


class _Clipped(nn.Module):
    """The mean of everything, through what swallows NaN."""

    def forward(self, maps: Tensor) -> Tensor:
        """Maps with a share of their mean."""
        return maps + maps.nan_to_num().mean((2, 3), keepdim=True).clamp(-9, 9)


class _Anchored(nn.Module):
    """Differs between even and odd columns."""

    def forward(self, maps: Tensor) -> Tensor:
        """Maps, every second column twofold."""
        even = torch.arange(maps.shape[3]) % 2
        return maps * (1 + even)


@torch.inference_mode()
def test_the_receptive_field_is_the_formulas() -> None:
    # r: 7; + 2·2 = 11; + 2·4 = 19; j = 8; padded 3, 1·2, 1·4: begins at -9; two more of 3: ± 16
    network = _network()
    whole = Sliding(network, split(network, 64), 64)
    sees = reach(network, whole.maps, 64)
    assert sees == Reach(8, 0, -9, 9)
    assert (sees.receptive_px, sees.centre_px(8)) == (16, 28.5)
    network = _network(nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=2, dilation=2))
    whole = Sliding(network, split(network, 64), 64)
    assert reach(network, whole.maps, 64) == Reach(8, 0, -33, 33)


@torch.inference_mode()
def test_a_densenets_concatenated_maps_are_seen_through() -> None:
    # Stem 7 / 2, 3 / 2: -5 to 5; 3 × 3 at stride 4: -9 to 9; mean of 2 / 2: to 13; 3 × 3 at stride
    # 8: -17 to 21, and the eighth cell's to 77. What concatenations hand on sees less.
    torch.manual_seed(0)
    network = DenseNet(4, (1, 1), 8, num_classes=2).eval()
    whole = Sliding(network, split(network, 64), 64)
    assert reach(network, whole.maps, 64) == Reach(8, 0, -17, 21)
    dense = densified(network, 64)
    assert (dense.stride_px, dense.receptive_px, dense.centre_px) == (8, 24, 30.5)
    image = torch.randn((1, 3, 96, 80), generator=torch.Generator().manual_seed(2))
    maps = nn.functional.avg_pool2d(network.features(image).relu(), 8, 1)
    expected = network.classifier(maps.movedim(1, 3)).movedim(3, 1)
    torch.testing.assert_close(dense.network(image), expected, rtol=1e-5, atol=1e-6)


@torch.inference_mode()
def test_the_halo_is_at_most_the_receptive_field_and_falls_with_the_tolerance() -> None:
    network = _network(nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=2, dilation=2))
    whole = Sliding(network, split(network, 64), 64)
    sees = reach(network, whole.maps, 64)
    halos = [measured_halo(whole, sees, 8, tolerance) for tolerance in (1e-7, 1e-3, 1e-2, 1e9)]
    assert halos[0] == sees.receptive_px == 40
    assert halos == sorted(halos, reverse=True)
    assert halos[-1] == 0


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        (_Excited(), r"its module 4 \(_Excited\) looks at the whole image"),
        (nn.GroupNorm(2, 8), r"its module 4 \(GroupNorm\) looks at the whole image"),
        (nn.InstanceNorm2d(8), r"its module 4 \(InstanceNorm2d\) looks at the whole image"),
        (_Clipped(), "pixels beyond its receptive field move its features by"),
        (_Anchored(), "its features change when the image moves by 8 px"),
    ],
)
def test_what_takes_in_the_whole_image_is_refused(inside: nn.Module, reason: str) -> None:
    with pytest.raises(ModelError, match=reason + r".*such as resnet18\.$"):
        densified(_network(inside), 64)


@torch.inference_mode()
def test_a_reach_that_is_too_small_is_found_out() -> None:
    network = _network()
    whole = Sliding(network, split(network, 64), 64)
    with pytest.raises(ModelError, match="beyond its receptive field"):
        proved(network, whole.maps, Reach(8, 0, -4, 4), 64)
