"""Receptive fields of what was only laid out anew: reshaped, permuted, cut, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from histocnn.inspection.calls import Call, dims_of
from histocnn.inspection.fields import Field, join, moved, reshaped


def shaped(call: Call, field: Field, taken: Tensor, result: Tensor) -> Field | None:
    """Reshape, flatten, squeeze and the like."""
    return reshaped(field, taken.shape, result.shape)


def permuted(call: Call, field: Field, taken: Tensor, result: Tensor) -> Field | None:
    """Permute, and transpose of two dimensions."""
    given = call.args[1:] or [call.kwargs.get("dims")]
    order = given[0] if isinstance(given[0], list | tuple) else given
    if call.name == "permute":
        dims = dims_of(list(order), taken.ndim)
    else:
        dims = list(range(taken.ndim))
        one = int(call.value(1, "dim0")) % taken.ndim
        other = int(call.value(2, "dim1")) % taken.ndim
        dims[one], dims[other] = dims[other], dims[one]
    return moved(field, {old: new for new, old in enumerate(dims)})


def concatenated(call: Call, taken: Sequence[Tensor], result: Tensor) -> Field | None:
    """Several tensors in one; a class token lies beside the units, at no place of the image."""
    field = join([call.field_of[t] for t in taken])
    return field if field is None else _after_cat(call, field, result)


def lengthened(call: Call, field: Field, taken: Tensor, result: Tensor) -> Field | None:
    """One tensor of the image beside others, such as a class token."""
    return _after_cat(call, field, result)


def _after_cat(call: Call, field: Field, result: Tensor) -> Field | None:
    """Along an axis itself (the class token before the others) the units lie irregularly."""
    dim = int(call.value(1, "dim", 0)) % result.ndim
    rows, columns = (replace(a, first_px=None) if a.dim == dim else a for a in field)
    return rows, columns


def parted(call: Call, field: Field, taken: Tensor, result: Tensor) -> Field | None:
    """Chunks of channels; None along an axis of the image."""
    named = call.value(1 if call.name == "unbind" else 2, "dim", 0)
    dim = int(named) % taken.ndim
    if any(axis.dim == dim for axis in field):
        return None
    if call.name != "unbind":
        return field
    return moved(field, {d: d - (d > dim) for d in range(taken.ndim)})


def indexed(call: Call, field: Field, taken: Tensor, result: Tensor) -> Field | None:
    """Places or ranges of dimensions, such as the class token."""
    index = call.args[1] if isinstance(call.args[1], tuple) else (call.args[1],)
    if any(not isinstance(i, int | slice) or isinstance(i, bool) for i in index):
        return None
    places: dict[int, int | None] = {}
    axes, gone = list(field), 0
    for dim in range(taken.ndim):
        at = index[dim] if dim < len(index) else slice(None)
        gone += isinstance(at, int)
        places[dim] = None if isinstance(at, int) else dim - gone
        if at == slice(None):
            continue
        for number, axis in enumerate(axes):
            if axis.dim == dim:
                if isinstance(at, slice) and at.step not in (None, 1):
                    return None
                cells = 1 if isinstance(at, int) else result.shape[dim - gone]
                axes[number] = replace(axis, cells=cells, first_px=None)
    return moved((axes[0], axes[1]), places)
