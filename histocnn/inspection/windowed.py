"""Receptive fields behind what looks through a window: convolution, pooling, padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from histocnn.inspection.calls import Call
from histocnn.inspection.fields import Axis, Field


def convolved(call: Call, field: Field, taken: Tensor, result: Tensor) -> Field | None:
    """A convolution."""
    weight = call.value(1, "weight")
    kernel = (int(weight.shape[-2]), int(weight.shape[-1]))
    stride, dilation = _pair(call.value(3, "stride", 1)), _pair(call.value(5, "dilation", 1))
    padding = call.value(4, "padding", 0)
    if padding == "valid":
        padding = 0
    if padding == "same":
        padding = [d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True)]
    return _window(field, taken, result, (kernel, stride, _pair(padding), dilation))


def pooled(call: Call, field: Field, taken: Tensor, result: Tensor) -> Field | None:
    """Pooling by a window."""
    kernel = _pair(call.value(1, "kernel_size"))
    stride = call.value(2, "stride")
    dilated = call.name.startswith("max")
    dilation = _pair(call.value(4, "dilation", 1)) if dilated else (1, 1)
    padding = _pair(call.value(3, "padding", 0))
    return _window(field, taken, result, (kernel, _pair(stride or kernel), padding, dilation))


def adaptively_pooled(call: Call, field: Field, taken: Tensor, result: Tensor) -> Field | None:
    """Pooling to a number of cells."""
    dims = (taken.ndim - 2, taken.ndim - 1)
    if any(axis.dim not in (None, dim) for axis, dim in zip(field, dims, strict=True)):
        return None
    rows, columns = (
        axis if axis.dim is None else axis.pooled(result.shape[dim])
        for axis, dim in zip(field, dims, strict=True)
    )
    return rows, columns


def padded(call: Call, field: Field, taken: Tensor, result: Tensor) -> Field | None:
    """Cells put before and behind."""
    pads = [int(value) for value in call.value(1, "pad")]
    ends = {
        taken.ndim - 1 - number: (pads[2 * number], pads[2 * number + 1])
        for number in range(len(pads) // 2)
    }
    rows, columns = (axis.padded(*ends[axis.dim]) if axis.dim in ends else axis for axis in field)
    return rows, columns


def _window(
    field: Field, taken: Tensor, result: Tensor, sizes: Sequence[tuple[int, int]]
) -> Field | None:
    """A window of kernel, stride, padding and dilation over the two last dimensions."""
    axes: list[Axis] = []
    for number, axis in enumerate(field):
        dim = taken.ndim - 2 + number
        kernel, stride, padding, dilation = (size[number] for size in sizes)
        if axis.dim is None and taken.shape[dim] == 1:
            axes.append(axis)
            continue
        if axis.dim != dim:
            return None
        if axis.whole and axis.cells == 1:  # what was pooled: the window sees it and padding
            axes.append(replace(axis, cells=result.shape[dim]))
            continue
        axes.append(replace(axis.windowed(kernel, stride, padding, dilation),
                            cells=result.shape[dim]))  # fmt: skip
    return axes[0], axes[1]


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, list | tuple):
        return (int(value[0]), int(value[-1]))
    return (int(value), int(value))
