"""Fields behind windows, as calls say them."""

from __future__ import annotations

import torch

from histocnn.inspection import windowed
from histocnn.inspection.calls import Call
from histocnn.inspection.fields import Axis, of_image

IMAGE = torch.rand(1, 3, 12, 12)
FIELD = of_image(IMAGE.shape)


def facts(field: tuple[Axis, Axis] | None) -> tuple[float, float, float | None, int]:
    """Of x: size, jump, first, cells."""
    assert field is not None
    return field[1].size_px, field[1].jump_px, field[1].first_px, field[1].cells


def test_a_convolution_by_its_arguments() -> None:
    weight = torch.rand(2, 3, 3, 5)
    call = Call("conv2d", (IMAGE, weight, None, (1, 2), (1, 2), (1, 1)), {}, {})
    result = torch.conv2d(*call.args)
    field = windowed.convolved(call, FIELD, IMAGE, result)
    assert facts(field) == (5, 2, -2, 6)
    same = Call("conv2d", (IMAGE, weight), {"padding": "same"}, {})
    assert facts(windowed.convolved(same, FIELD, IMAGE, IMAGE)) == (5, 1, -2, 12)
    valid = Call("conv2d", (IMAGE, weight), {"padding": "valid", "dilation": 2}, {})
    assert facts(windowed.convolved(valid, FIELD, IMAGE, IMAGE[..., :4]))[:3] == (9, 1, 0)


def test_pooling_strides_by_its_kernel_where_nothing_is_said() -> None:
    call = Call("max_pool2d", (IMAGE, 2), {}, {})
    assert facts(windowed.pooled(call, FIELD, IMAGE, IMAGE[..., :6])) == (2, 2, 0, 6)
    call = Call("avg_pool2d", (IMAGE, 3, 2, 1, True), {}, {})  # the fifth is no dilation here
    assert facts(windowed.pooled(call, FIELD, IMAGE, IMAGE[..., :6])) == (3, 2, -1, 6)


def test_pooling_to_cells_and_padding() -> None:
    call = Call("adaptive_avg_pool2d", (IMAGE, 3), {}, {})
    result = torch.nn.functional.adaptive_avg_pool2d(IMAGE, 3)
    assert facts(windowed.adaptively_pooled(call, FIELD, IMAGE, result)) == (4, 4, 0, 3)
    call = Call("pad", (IMAGE, (1, 2)), {}, {})
    assert facts(windowed.padded(call, FIELD, IMAGE, IMAGE)) == (1, 1, -1, 15)


def test_a_window_over_channels_last_is_unknown() -> None:
    turned = (Axis(1, 12, 1, 1, 0), Axis(2, 12, 1, 1, 0))
    call = Call("max_pool2d", (IMAGE, 2), {}, {})
    assert windowed.pooled(call, turned, IMAGE, IMAGE) is None
    assert windowed.adaptively_pooled(call, turned, IMAGE, IMAGE) is None
