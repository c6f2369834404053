"""A network as a table: its layers in order, what each costs, and what its units see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from histocnn.errors import ModelError
from histocnn.inspection.tracing import Step, traced
from histocnn.models.windows import noise, taking

if TYPE_CHECKING:
    import pandas as pd

Pair = tuple[float, float]


@dataclass(frozen=True)
class Layer:
    """One row of the table; pairs are (x, y).

    Attributes:
        name: Of the module, as `named_modules` has it; of a call, its module's and the call's.
        kind: The module's class or the call's name.
        call: Which call of this module it is, from 1; 0: it is no module but a call.
        input_shape: Of one image, without the batch.
        output_shape: Likewise.
        kernel_px: In cells of its input; None: it has none.
        stride_px: Likewise.
        parameters: That no row above has counted.
        parameter_share: Of the network's.
        multiply_adds: Of one image, as torch counts them (convolution and matrix products).
        multiply_add_share: Of the network's.
        receptive_px: Theoretical receptive field, px of the input; None: unknown.
        jump_px: From unit to unit; None: unknown, or there is one unit.
        offset_px: Centre of the first unit's field from the centre of the image's first pixel;
            None: unknown, irregular, or the whole image.
        whole: Every unit sees the whole image; None: unknown.
        receptive_um: The field at the recipe's scale; None: no scale.
    """

    name: str
    kind: str
    call: int
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    kernel_px: tuple[int, int] | None
    stride_px: tuple[int, int] | None
    parameters: int
    parameter_share: float
    multiply_adds: int
    multiply_add_share: float
    receptive_px: Pair | None
    jump_px: Pair | None
    offset_px: Pair | None
    whole: bool | None
    receptive_um: Pair | None = None


@dataclass(frozen=True)
class Architecture:
    """The layers of a network in order of execution.

    Attributes:
        layers: A row per layer, and per call between layers that pools or joins.
        input_shape: Of the image, without the batch.
        parameters: Of the network.
        multiply_adds: Of one image.
        unused: Parameters of no row, by the module that holds them: what was not called for this
            image (auxiliary heads), and what modules hold beside their layers (class tokens).
    """

    layers: tuple[Layer, ...]
    input_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    unused: dict[str, int]

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, name: str) -> Layer:
        """The first row of this name."""
        return next(layer for layer in self.layers if layer.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        return asdict(self)

    def to_dataframe(self) -> pd.DataFrame:
        """A row per layer."""
        import pandas as pd

        return pd.DataFrame([asdict(layer) for layer in self.layers])


def receptive_fields(
    network: nn.Module, input_px: int | tuple[int, int, int], mpp: float | None = None
) -> Architecture:
    """The table of a network's layers with their theoretical receptive fields.

    The network runs once on one image of noise, as it is (call `eval()` before). r = r + (k - 1) ×
    dilation × jump along the longest path, padding counted; see definitions of Dumoulin and Visin
    (2016). Units that see everything (behind global pooling, linear layers over the map, attention)
    are `whole`; where a call is not known the field is unknown, never guessed.

    Args:
        network: Any torch module: float [1, C, H, W] → anything.
        input_px: Side of its square RGB input, or (C, H, W).
        mpp: µm/px of the input, for fields in µm.

    Raises:
        ModelError: The network does not take such an image.

    >>> stack = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(4)))
    >>> [layer.receptive_px[0] for layer in receptive_fields(stack, 32)]
    [3, 5, 7, 9]
    """
    shape = (3, input_px, input_px) if isinstance(input_px, int) else tuple(input_px)
    image = noise(network, (1, *shape))
    with taking(image):
        steps = traced(network, image)
    if not steps:
        raise ModelError("the network calls no layer", "Give a module made of modules.")
    return _table(network, image, steps, mpp)


def _table(network: nn.Module, image: Tensor, steps: list[Step], mpp: float | None) -> Architecture:
    total = sum(p.numel() for p in network.parameters())
    products = sum(step.multiply_adds for step in steps)
    counted: set[int] = set()
    calls: Counter[str] = Counter()
    layers = []
    for step in steps:
        new = [] if step.module is None else list(step.module.parameters())
        own = sum(p.numel() for p in new if id(p) not in counted)
        counted |= {id(p) for p in new}
        calls[step.name] += step.module is not None
        kernel, stride = _window(step)
        field = _field(step)
        layers.append(
            Layer(
                name=step.name if step.module is not None else f"{step.name} {step.kind}".strip(),
                kind=step.kind,
                call=0 if step.module is None else calls[step.name],
                input_shape=step.input_shape[1:],
                output_shape=step.output_shape[1:],
                kernel_px=kernel,
                stride_px=stride,
                parameters=own,
                parameter_share=own / total if total else 0.0,
                multiply_adds=step.multiply_adds,
                multiply_add_share=step.multiply_adds / products if products else 0.0,
                **field,
                receptive_um=None if mpp is None else _scaled(field["receptive_px"], mpp),
            )
        )
    rest = {
        name or "the network itself": own
        for name, module in network.named_modules()
        if (own := sum(p.numel() for p in module.parameters(recurse=False)
                       if id(p) not in counted and not counted.add(id(p))))  # type: ignore[func-returns-value]
    }  # fmt: skip
    return Architecture(tuple(layers), tuple(image.shape[1:]), total, products, rest)


def _field(step: Step) -> dict[str, Any]:
    if step.field is None:
        return dict.fromkeys(("receptive_px", "jump_px", "offset_px", "whole"))
    rows, columns = step.field
    several = rows.cells > 1 or columns.cells > 1
    offsets = columns.offset_px, rows.offset_px
    return {
        "receptive_px": (_number(columns.size_px), _number(rows.size_px)),
        "jump_px": (_number(columns.jump_px), _number(rows.jump_px)) if several else None,
        "offset_px": None if None in offsets else offsets,
        "whole": columns.whole and rows.whole,
    }


def _number(value: float) -> float:
    return int(value) if value == int(value) else value


def _scaled(pair: Pair | None, mpp: float) -> Pair | None:
    return None if pair is None else (pair[0] * mpp, pair[1] * mpp)


def _window(step: Step) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """Kernel and stride (x, y) of a layer or call that has them."""
    if step.module is None:
        given = (*step.window[:2], None)[:2] if step.window else (None, None)
    else:
        given = (getattr(step.module, "kernel_size", None), getattr(step.module, "stride", None))
    kernel = _pair(given[0])
    return kernel, (_pair(given[1]) or kernel) if kernel else None


def _pair(value: Any) -> tuple[int, int] | None:
    if isinstance(value, int):
        return value, value
    if isinstance(value, list | tuple) and len(value) == 2:
        return int(value[1]), int(value[0])
    return None
