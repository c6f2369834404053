"""A network as a graph that needs no Python, or the layer that forbids it."""

from __future__ import annotations

import inspect
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import Tensor, nn

from histocnn.errors import ModelError, UsageError

INSTALL_ONNX = "Install it: pip install 'histocnn[onnx]'."
MOST_BYTES = 2_000_000_000  # of weights in one ONNX file; protobuf's limit is 2 GiB
REMEDY = (
    "Its forward must not branch on values, nor use .item(), NumPy or lists of results: write "
    "torch.where instead, or stay with --engine torch."
)
LOGGERS = ("torch.export", "torch.fx.experimental.symbolic_shapes", "torch.onnx", "onnxscript")
Try = Callable[[nn.Module, tuple[Any, ...]], object]


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out what exporters warn of and log: we check what they wrote, and say what failed."""
    before = [(log, log.level) for log in map(logging.getLogger, LOGGERS)]
    try:
        for log, _ in before:
            log.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):  # it prints graphs, too
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in before:
            log.setLevel(level)


def traced(network: nn.Module, example: Tensor) -> Any:
    """The network's graph for any number of images: a `torch.export.ExportedProgram`.

    Args:
        network: In evaluation mode, on the CPU; one tensor in, one out.
        example: A batch of two or more.

    Raises:
        ModelError: It does something that no graph holds; names the layer.
    """
    return _or_named(_graph, network, example)


def torchscript(network: nn.Module, example: Tensor) -> Any:
    """The network as TorchScript, a `torch.jit.ScriptModule`.

    What `torch.jit.trace` would bake in unseen, a branch on values, `traced` has refused.

    Raises:
        ModelError: As `traced`.
    """
    traced(network, example)

    def script(module: nn.Module, given: tuple[Any, ...]) -> Any:
        with quiet(), torch.no_grad():
            return torch.jit.trace(module, given, check_trace=False)  # type: ignore[no-untyped-call]

    return _or_named(script, network, example)


def onnx_program(network: nn.Module, example: Tensor, names: tuple[str, str]) -> Any:
    """The network as ONNX, a `torch.onnx.ONNXProgram`.

    Args:
        network: As for `traced`.
        example: As for `traced`.
        names: Of the input and the output.

    Raises:
        UsageError: The exporter is not installed.
        ModelError: As `traced`, or a layer has no counterpart in ONNX.
    """
    check_exporter()
    graph = traced(network, example)

    def translate(program: Any, given: tuple[Any, ...]) -> Any:
        with quiet():
            return torch.onnx.export(
                program,
                given,
                input_names=[names[0]],
                output_names=[names[1]],
                dynamo=True,
                verbose=False,
            )

    try:
        return translate(graph, (example,))
    except Exception as error:  # whatever the exporter stumbles over
        raise _unexportable(
            network,
            example,
            lambda module, given: translate(_graph(module, given), given),
            error,
        ) from error


def check_exporter() -> None:
    """Refuse where ONNX cannot be written.

    Raises:
        UsageError: Says what to install.
    """
    for package in ("onnx", "onnxscript"):
        try:
            __import__(package)
        except ImportError as error:
            raise UsageError(f"to write ONNX {package} is needed", INSTALL_ONNX) from error


def check_size(network: nn.Module, remedy: str = "Use --to torchscript.") -> None:
    """Refuse a network that one ONNX file cannot hold.

    Raises:
        ModelError: With its size.
    """
    held = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    if held > MOST_BYTES:
        raise ModelError(
            f"the network's weights are {held / 1e9:.1f} GB, and one ONNX file holds 2 GB",
            remedy,
        )


def _graph(module: nn.Module, given: tuple[Any, ...]) -> Any:
    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    shapes = tuple({0: batch} if isinstance(each, Tensor) else None for each in given)
    dynamic = (shapes,) if _takes_any(module) else shapes
    with quiet(), torch.no_grad():
        return torch.export.export(module, given, dynamic_shapes=dynamic)


def _takes_any(module: nn.Module) -> bool:
    """Whether forward takes *arguments, whose shapes torch.export wants as one tuple."""
    kinds = [each.kind for each in inspect.signature(module.forward).parameters.values()]
    return kinds[:1] == [inspect.Parameter.VAR_POSITIONAL]


def _or_named(attempt: Try, network: nn.Module, example: Tensor) -> Any:
    try:
        return attempt(network, (example,))
    except Exception as error:  # whatever the network's own code raises under the exporter
        raise _unexportable(network, example, attempt, error) from error


def _unexportable(
    network: nn.Module, example: Tensor, attempt: Try, error: Exception
) -> ModelError:
    layer = culprit(network, example, attempt)
    kind = type(network.get_submodule(layer)).__name__
    cause: BaseException = error
    while cause.__cause__ is not None:  # what the exporter says around it is about itself
        cause = cause.__cause__
    said = " ".join(str(cause).split("\n", 1)[0].split())[:200]
    where = f"the network's layer {layer} ({kind})" if layer else f"the network ({kind})"
    return ModelError(f"{where} cannot be exported ({type(cause).__name__}: {said})", REMEDY)


def culprit(network: nn.Module, example: Tensor, attempt: Try) -> str:
    """The innermost module that cannot be exported by itself; "" is the whole network.

    Args:
        network: One that cannot.
        example: What it is called with.
        attempt: Exports a module, given what it is called with; raises where that fails.
    """
    given = _calls(network, example)
    found = ""
    while True:
        inner = [
            f"{found}.{name}".lstrip(".")
            for name, _ in network.get_submodule(found).named_children()
        ]
        failing = (
            name for name in inner if name in given and _fails(network, name, given, attempt)
        )
        deeper = next(failing, None)
        if deeper is None:
            return found
        found = deeper


def _fails(network: nn.Module, name: str, given: dict[str, tuple[Any, ...]], attempt: Try) -> bool:
    try:
        attempt(network.get_submodule(name), given[name])
    except Exception:
        return True
    return False


def _calls(network: nn.Module, example: Tensor) -> dict[str, tuple[Any, ...]]:
    """What each module within is first called with, by name, where that is tensors alone."""
    given: dict[str, tuple[Any, ...]] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...]) -> None:
            if arguments and all(isinstance(each, Tensor) for each in arguments):
                given.setdefault(name, arguments)

        return hook

    hooks = [
        module.register_forward_pre_hook(keep(name)) for name, module in network.named_modules()
    ]
    try:
        with torch.no_grad():
            network(example)
    except Exception:  # it does not even run: the whole is named
        given.clear()
    finally:
        for each in hooks:
            each.remove()
    return given
