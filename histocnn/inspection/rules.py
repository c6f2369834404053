"""What each call of torch does to the receptive field of what it takes.

A call that is not named here leaves the field unknown, which is said; it is never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from histocnn.inspection import rearranged, windowed
from histocnn.inspection.calls import (
    ALL,
    ALONG,
    POINTWISE,
    POOLS,
    REDUCED,
    SHAPED,
    Call,
    dims_of,
)
from histocnn.inspection.fields import Field, join, moved


def field_after(call: Call, result: Tensor) -> Field | None:
    """The field of what a call makes; None: unknown."""
    taken = call.tensors()
    first = call.field_of[taken[0]]
    if len(taken) > 1 and call.name not in ("scaled_dot_product_attention", *ALL):
        if call.name in ("cat", "concat", "concatenate"):
            return rearranged.concatenated(call, taken, result)
        if call.name in ("matmul", "bmm", "baddbmm", "einsum"):
            return _multiplied(first, taken[0])
        if call.name not in POINTWISE:
            return None
        fields = [_aligned(call.field_of[t], result.ndim - t.ndim) for t in taken]
        return _sized(join(fields), result)
    if first is None:
        return None
    if call.name in POINTWISE:
        return _sized(_aligned(first, result.ndim - taken[0].ndim), result)
    rule = _RULES.get(call.name)
    return None if rule is None else rule(call, first, taken[0], result)


def _aligned(field: Field | None, shift: int) -> Field | None:
    """Broadcasting puts new dimensions in front."""
    if field is None or shift == 0:
        return field
    dims = {a.dim: a.dim + shift for a in field if a.dim is not None}
    return moved(field, dims)


def _sized(field: Field | None, result: Tensor) -> Field | None:
    """The field with as many cells as the result has; None where that cannot be."""
    if field is None:
        return None
    for axis in field:
        merged = field[0].dim == field[1].dim
        if axis.dim is None or merged or axis.cells == 1:
            continue
        if axis.dim >= result.ndim or result.shape[axis.dim] != axis.cells:
            return None
    return field


def _reduce(call: Call, field: Field, taken: Tensor, result: Tensor) -> Field | None:
    named = call.value(1, "dim", call.kwargs.get("axis"))
    if not isinstance(named, int | list | tuple | None):
        return None
    dims = dims_of(named, taken.ndim)
    rows, columns = (a.mixed(cells=1) if a.dim in dims else a for a in field)
    kept = [dim for dim in range(taken.ndim) if dim not in dims]
    same = result.ndim == taken.ndim
    places: dict[int, int | None] = {
        dim: dim if same else (kept.index(dim) if dim in kept else None)
        for dim in range(taken.ndim)
    }
    return moved((rows, columns), places)


def _along(call: Call, field: Field, taken: Tensor, result: Tensor) -> Field | None:
    dims = dims_of(call.value(1, "dim", -1), taken.ndim)
    return _mixed(field, dims)


def _layer_norm(call: Call, field: Field, taken: Tensor, result: Tensor) -> Field | None:
    last = len(call.value(1, "normalized_shape"))
    return _mixed(field, list(range(taken.ndim - last, taken.ndim)))


def _mixed(field: Field, dims: Sequence[int] | None) -> Field:
    rows, columns = (a.mixed() if dims is None or a.dim in dims else a for a in field)
    return rows, columns


def _everything(call: Call, field: Field, taken: Tensor, result: Tensor) -> Field | None:
    return _mixed(field, None)


def _linear(call: Call, field: Field, taken: Tensor, result: Tensor) -> Field | None:
    last = taken.ndim - 1
    rows, columns = (
        replace(axis.mixed(cells=1), dim=None) if axis.dim == last else axis for axis in field
    )
    return rows, columns


def _multiplied(field: Field | None, taken: Tensor) -> Field | None:
    """Attention by hand: every token takes every other."""
    if field is None:
        return None
    mixed = _mixed(field, None)
    places: dict[int, int | None] = {
        dim: None if dim == taken.ndim - 1 else dim for dim in range(taken.ndim)
    }
    return moved(mixed, places)


_RULES: Mapping[str, Callable[[Call, Field, Tensor, Tensor], Field | None]] = {
    "conv2d": windowed.convolved,
    "linear": _linear,
    "layer_norm": _layer_norm,
    "rms_norm": _layer_norm,
    "scaled_dot_product_attention": _everything,
    "permute": rearranged.permuted,
    "transpose": rearranged.permuted,
    "swapaxes": rearranged.permuted,
    "pad": windowed.padded,
    "cat": rearranged.lengthened,
    "concat": rearranged.lengthened,
    "concatenate": rearranged.lengthened,
    "chunk": rearranged.parted,
    "split": rearranged.parted,
    "unbind": rearranged.parted,
    "getitem": rearranged.indexed,
    **dict.fromkeys(POOLS, windowed.pooled),
    **dict.fromkeys(("adaptive_avg_pool2d", "adaptive_max_pool2d"), windowed.adaptively_pooled),
    **dict.fromkeys(SHAPED, rearranged.shaped),
    **dict.fromkeys(REDUCED, _reduce),
    **dict.fromkeys(ALONG, _along),
    **dict.fromkeys(ALL, _everything),
}
