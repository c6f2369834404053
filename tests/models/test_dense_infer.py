"""Strides, views, and regions that do not fit the memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from histocnn.errors import ModelError, UsageError
from histocnn.models.dense import densified
from histocnn.models.dense_infer import REGION_PX, AllTurns, Slider, check_stride
from histocnn.models.runner import Runner, flips_and_turns
from histocnn.models.spec import ModelSpec
from tests.models.valid_networks import valid_pooled


def runner(network: nn.Module) -> Runner:
    spec = ModelSpec("valid", patch_px=64)
    return Runner(network, spec, torch.device("cpu"), False, lambda logits: {"scores": logits})


class Full(nn.Module):
    """A network for whose images beyond a height there is no memory."""

    def __init__(self, network: nn.Module, most_px: int) -> None:
        super().__init__()
        self.network, self.most_px = network, most_px

    def forward(self, images: Tensor) -> Tensor:
        """What the network gives."""
        if images.shape[2] > self.most_px:
            raise torch.OutOfMemoryError
        output: Tensor = self.network(images)
        return output


@pytest.mark.parametrize("stride_px", [32, 64, 96, 224, 16])
def test_multiples_and_the_half_are_strides(stride_px: int) -> None:
    check_stride(stride_px, 32, 224, 224)


@pytest.mark.parametrize("stride_px", [8, 24, 33, 48, 256])
def test_others_are_refused_with_those_that_are(stride_px: int) -> None:
    with pytest.raises(UsageError, match=r"Give one of 16, 32, 64, 96, 128, 160\.$"):
        check_stride(stride_px, 32, 224, 224)


def test_a_half_that_is_no_whole_input_pixel_is_refused() -> None:
    check_stride(8, 16, 112, 28)  # 8 px of 112 are 2 of 28
    with pytest.raises(UsageError, match=r"Give one of"):
        check_stride(2, 4, 112, 28)


def test_a_region_that_does_not_fit_is_computed_in_quarters_once() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    at = np.argwhere(np.ones((12, 9), bool))
    dense = densified(valid_pooled(), 64)
    slider = Slider.of(dense, runner(dense.network), 64, None)
    expected = slider(pixels, at)["scores"]
    # A half of 12 windows takes (6 - 1) × 8 + 64 = 104 px, all of them 152.
    full = Slider.of(replace(dense, network=Full(dense.network, 120)), slider.runner, 64, None)
    np.testing.assert_allclose(full(pixels, at)["scores"], expected, atol=1e-4)
    assert full.parted
    fuller = Slider.of(replace(dense, network=Full(dense.network, 100)), slider.runner, 64, None)
    with pytest.raises(ModelError, match=r"a region of 100 px does not fit the memory of cpu"):
        fuller(pixels, at)


@pytest.mark.parametrize("patch_px", [32, 64, 256])
def test_regions_are_bounded_in_the_inputs_and_in_the_patches_pixels(patch_px: int) -> None:
    dense = densified(valid_pooled(), 64)
    slider = Slider.of(dense, runner(dense.network), patch_px, None)
    side_px = slider.region_px(slider.most)
    largest = max(side_px, side_px * 64 // patch_px)
    assert REGION_PX - max(8, slider.own_px) < largest <= REGION_PX


def test_views_of_a_region_are_those_of_each_patch() -> None:
    network = valid_pooled()
    dense = densified(network, 64)
    image = torch.randn((1, 3, 96, 88), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = AllTurns(dense.network)(image)[0]
        patch = image[..., 16:80, 8:72]
        expected = torch.stack([network(view(patch)) for view in flips_and_turns()]).mean(0)
    torch.testing.assert_close(found[:, 2, 1], expected[0], rtol=0, atol=1e-4)


def test_views_need_windows_that_lie_on_the_stride_when_turned() -> None:
    dense = densified(valid_pooled(), 62)
    views = Runner(
        valid_pooled(), ModelSpec("valid"), torch.device("cpu"), False, lambda x: {"scores": x},
        flips_and_turns(),
    )  # fmt: skip
    with pytest.raises(ModelError, match="turned windows of 62 px do not lie on the network's str"):
        Slider.of(dense, views, 62, None)
