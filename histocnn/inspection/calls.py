"""A call of torch as the rules of receptive fields see it, and which calls are of one kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from histocnn.inspection.fields import Field

POINTWISE = frozenset(
    [
        "abs",
        "add",
        "addcmul",
        "alpha_dropout",
        "batch_norm",
        "bernoulli",
        "celu",
        "clamp",
        "clip",
        "clone",
        "contiguous",
        "copy",
        "cos",
        "detach",
        "div",
        "dropout",
        "dropout1d",
        "dropout2d",
        "elu",
        "exp",
        "expand",
        "expand_as",
        "feature_dropout",
        "float",
        "floor_divide",
        "gelu",
        "half",
        "hardshrink",
        "hardsigmoid",
        "hardswish",
        "hardtanh",
        "lerp",
        "leaky_relu",
        "log",
        "log1p",
        "logsigmoid",
        "masked_fill",
        "maximum",
        "minimum",
        "mish",
        "mul",
        "neg",
        "pow",
        "prelu",
        "reciprocal",
        "relu",
        "relu6",
        "rrelu",
        "rsqrt",
        "rsub",
        "selu",
        "sigmoid",
        "silu",
        "sin",
        "softplus",
        "softsign",
        "sqrt",
        "square",
        "sub",
        "tanh",
        "tanhshrink",
        "threshold",
        "to",
        "truediv",
        "true_divide",
        "type",
        "type_as",
        "where",
    ]
)
SHAPED = frozenset(["flatten", "reshape", "squeeze", "unflatten", "unsqueeze", "view", "view_as"])
REDUCED = frozenset(["amax", "amin", "logsumexp", "mean", "std", "sum", "var"])
ALONG = frozenset(["cumsum", "log_softmax", "softmax", "softmin"])
ALL = frozenset(
    ["group_norm", "instance_norm", "multi_head_attention_forward", "_native_multi_head_attention"]
)
JOINS = frozenset(["add", "cat", "concat", "concatenate", "mul"])
POOLS = frozenset(
    [
        "adaptive_avg_pool2d",
        "adaptive_max_pool2d",
        "avg_pool2d",
        "max_pool2d",
        "max_pool2d_with_indices",
    ]
)


def plain_name(name: str) -> str:
    """A call's name without what says that it works in place or comes from an operator.

    >>> plain_name("__iadd__"), plain_name("relu_"), plain_name("_softmax")
    ('add', 'relu', 'softmax')
    """
    inner = name.strip("_")
    if name.startswith("__i") and inner[1:] in POINTWISE:
        return inner[1:]
    if name.startswith("__r") and inner[1:] in POINTWISE:
        return inner[1:]
    return inner


@dataclass(frozen=True)
class Call:
    """One call of torch.

    Attributes:
        name: Plain.
        args: By position.
        kwargs: By name.
        field_of: The field of a tensor that depends on the image; KeyError where it does not.
    """

    name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    field_of: Mapping[Tensor, Field | None]

    def value(self, index: int, name: str, default: Any = None) -> Any:
        """An argument by its place or its name."""
        if len(self.args) > index:
            return self.args[index]
        return self.kwargs.get(name, default)

    def tensors(self) -> list[Tensor]:
        """What it takes that depends on the image."""
        return [t for t in tensors_in((*self.args, *self.kwargs.values())) if t in self.field_of]


def tensors_in(values: Any) -> Iterator[Tensor]:
    """Every tensor among arguments, or within their lists."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)


def dims_of(value: Any, ndim: int) -> list[int]:
    """The dimensions that an argument names, none of them negative; all where it is None."""
    if value is None:
        return list(range(ndim))
    values = value if isinstance(value, list | tuple) else [value]
    return [int(dim) % ndim for dim in values]
