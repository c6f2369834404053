"""What a network does with one image, call by call: its layers in order, and what each sees.

The network is run once, as it is. Hooks say which layer is at work, the calls of torch what it
does, and torch's own counter the multiply-adds; nothing is rewritten, so any module will do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.weak import WeakIdKeyDictionary

from histocnn.inspection.calls import JOINS, POOLS, Call, plain_name, tensors_in
from histocnn.inspection.fields import Field, of_image
from histocnn.inspection.rules import field_after


@dataclass(frozen=True)
class Step:
    """One layer at work, or one call between layers that pools or joins.

    Attributes:
        name: Of the module; of a call, the module that makes it.
        kind: Class of the module, or the call's name.
        module: None: a call.
        input_shape: Of the first tensor it takes.
        output_shape: Of the first tensor it gives.
        window: Kernel, stride and padding of a call, as it was told.
        multiply_adds: Of one image.
        field: What its units see; None: unknown.
    """

    name: str
    kind: str
    module: nn.Module | None
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    window: tuple[Any, ...]
    multiply_adds: int
    field: Field | None


@dataclass
class _Frame:
    name: str
    flops: int
    taken: tuple[int, ...]
    parent: bool = False
    calls: list[tuple[int, Step]] = field(default_factory=list)


def traced(network: nn.Module, image: Tensor) -> list[Step]:
    """Run a network on one image and note each layer.

    Args:
        network: Any module; it is run as it is, in evaluation mode or not.
        image: float [1, C, H, W].

    Returns:
        The steps in order of execution. A layer is a module none of whose parts was called.
    """
    counter = FlopCounterMode(display=False)
    trace = _Trace(network, counter)
    with torch.no_grad(), trace.hooked(), counter, trace:
        trace.fields[image] = of_image(image.shape)
        network(image)
    return [step for _, step in sorted(trace.steps, key=lambda each: each[0])]


class _Trace(TorchFunctionMode):
    """Carries fields from call to call and notes the layers."""

    def __init__(self, network: nn.Module, counter: FlopCounterMode) -> None:
        super().__init__()
        self.network, self.counter = network, counter
        self.fields: Any = WeakIdKeyDictionary()
        self.steps: list[tuple[int, Step]] = []
        self.frames: list[_Frame] = []
        self.made = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        before = self.counter.get_total_flops()
        result = func(*args, **kwargs)
        call = Call(plain_name(getattr(func, "__name__", "")), args, kwargs, self.fields)
        if call.name == "setitem":
            if isinstance(args[0], Tensor) and (args[0] in self.fields or call.tensors()):
                self.fields[args[0]] = None
            return result
        made = list(tensors_in([result]))
        taken = call.tensors() if made else []
        if not taken:
            return result
        shape = tuple(taken[0].shape)
        for tensor in made:
            self.fields[tensor] = field_after(call, tensor)
        joins = call.name in JOINS and len(taken) > 1
        if self.frames and (joins or call.name in POOLS):
            self._note_call(call, shape, made[0], before)
        return result

    def _note_call(self, call: Call, shape: tuple[int, ...], made: Tensor, before: int) -> None:
        window = (call.value(1, "kernel_size"), call.value(2, "stride"), call.value(3, "padding"))
        step = Step(
            name=self.frames[-1].name,
            kind=call.name,
            module=None,
            input_shape=shape,
            output_shape=tuple(made.shape),
            window=window if call.name in POOLS and not call.name.startswith("ad") else (),
            multiply_adds=(self.counter.get_total_flops() - before) // 2,
            field=self.fields.get(made),
        )
        self.made += 1
        self.frames[-1].calls.append((self.made, step))

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Know while the block runs which module is at work."""
        handles = []
        for name, module in self.network.named_modules():
            handles.append(module.register_forward_pre_hook(self._enter(name)))
            handles.append(module.register_forward_hook(self._leave()))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: Any) -> None:
            if self.frames:
                self.frames[-1].parent = True
            first = next(tensors_in(inputs), None)
            shape = () if first is None else tuple(first.shape)
            self.frames.append(_Frame(name, self.counter.get_total_flops(), shape))

        return hook

    def _leave(self) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            frame = self.frames.pop()
            made = next(tensors_in([output]), None)
            if frame.parent:
                self.steps += frame.calls
            elif made is not None:
                self.made += 1
                self.steps.append((self.made, self._step(frame, module, made)))

        return hook

    def _step(self, frame: _Frame, module: nn.Module, made: Tensor) -> Step:
        return Step(
            name=frame.name,
            kind=type(module).__name__,
            module=module,
            input_shape=frame.taken,
            output_shape=tuple(made.shape),
            window=(),
            multiply_adds=(self.counter.get_total_flops() - frame.flops) // 2,
            field=self.fields.get(made),
        )
