"""Networks over regions: without padding the patches' own outputs, with padding one pass's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from histocnn.errors import ModelError
from histocnn.models.backbones import build
from histocnn.models.dense import Dense, densified
from tests.models.valid_networks import valid_lenet, valid_pooled, valid_residual, valid_vgg


def _image(height: int, width: int) -> torch.Tensor:
    return torch.randn((1, 3, height, width), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("make", "patch_px", "stride_px"),
    [
        (valid_lenet, 28, 4),
        (valid_pooled, 62, 8),
        (valid_pooled, 64, 8),
        (valid_residual, 40, 4),
        (valid_residual, 41, 4),
        (valid_vgg, 52, 4),
    ],
)
def test_without_padding_each_window_has_the_patchs_own_output(
    make: Callable[[], nn.Module], patch_px: int, stride_px: int
) -> None:
    network = make()
    dense = densified(network, patch_px)
    assert (dense.stride_px, dense.halo_px, dense.receptive_px) == (stride_px, 0, 0)
    image = _image(dense.region_px(7), dense.region_px(5))
    with torch.inference_mode():
        outputs = dense.network(image)
        assert outputs.shape == (1, 3, 7, 5)
        for row in range(7):
            for column in range(5):
                y, x = row * stride_px, column * stride_px
                patch = image[..., y : y + patch_px, x : x + patch_px]
                torch.testing.assert_close(
                    outputs[..., row, column], network(patch), rtol=0, atol=1e-4
                )


def test_a_footprint_is_what_the_window_sees_where_the_patch_is_no_multiple_of_the_stride() -> None:
    # 62 px: 30 after the first convolution, 28, 14, 7: the last pixel counts. 65 px: it does not.
    assert (densified(valid_pooled(), 62).window_px, densified(valid_pooled(), 62).cells) == (62, 7)
    dense = densified(valid_pooled(), 65)
    assert (dense.window_px, dense.offset_px, dense.centre_px) == (62, 0.0, 31.0)


def _same_in_regions(dense: Dense, side: int, region: int) -> None:
    """Regions placed over an image side by side give what one pass over all of it gives."""
    image = _image(side, side)
    stride, kept = dense.stride_px, dense.kept()
    with torch.inference_mode():
        whole = dense.network(image)[0]
        step = region - (dense.region_px(1) - stride)
        for y in range(0, side - region + 1, step):
            for x in range(0, side - region + 1, step):
                part = dense.network(image[..., y : y + region, x : x + region])[0]
                row, column = y // stride, x // stride
                expected = whole[:, row : row + part.shape[1], column : column + part.shape[2]]
                torch.testing.assert_close(
                    part[:, kept, kept], expected[:, kept, kept], rtol=0, atol=1e-3
                )


def test_regions_of_a_padded_network_are_as_one_pass() -> None:
    torch.manual_seed(0)
    dense = densified(build("squeezenet1_1", 3).eval(), 96)
    assert (dense.stride_px, dense.receptive_px) == (16, 96)
    _same_in_regions(dense, 608, 352)


def test_lenet5_slides_its_linear_layers() -> None:
    torch.manual_seed(0)
    dense = densified(build("lenet5", 3).eval(), 28)
    # 2 px of padding: one stride of context
    assert (dense.stride_px, dense.cells, dense.receptive_px) == (4, 5, 4)
    _same_in_regions(dense, 96, 60)


@pytest.mark.parametrize(
    ("patch_px", "expected"), [(224, 32), (448, 64), (112, 16), (256, None), (3, None)]
)
def test_a_stride_of_scaled_patches_is_a_whole_number_of_their_pixels(
    patch_px: int, expected: int | None
) -> None:
    dense = Dense(nn.Identity(), 32, 224, 0.0, 96.5, 7, 0, 224, 224, 224)
    if expected is not None:
        assert dense.patch_stride_px(patch_px) == expected
    else:
        with pytest.raises(ModelError, match=r"a stride of 32 px of 224 px is .* px of a patch"):
            dense.patch_stride_px(patch_px)


def test_an_mlp_has_no_stride() -> None:
    with pytest.raises(ModelError, match=r"takes the whole patch: it has no stride.*resnet18\.$"):
        densified(build("mlp", 2).eval(), 28)
