"""What a configuration of Lightning's Trainer may have made: its kinds of parts, and no others.

jsonargparse would also call functions that are annotated to return such a part, and whatever a
part's untyped argument names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonargparse import Namespace
from lightning_fabric.plugins import ClusterEnvironment
from pytorch_lightning.accelerators import Accelerator
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins import CheckpointIO, LayerSync, Precision
from pytorch_lightning.profilers import Profiler
from pytorch_lightning.strategies import Strategy
from torch import nn

from histocnn.errors import UsageError
from histocnn.models.custom import named

PARTS: Mapping[str, tuple[type, ...]] = {
    "accelerator": (Accelerator,),
    "callbacks": (Callback,),
    "logger": (Logger,),
    "plugins": (Precision, ClusterEnvironment, CheckpointIO, LayerSync),
    "profiler": (Profiler,),
    "strategy": (Strategy,),
}
WITHIN = (*(kind for kinds in PARTS.values() for kind in kinds), nn.Module)  # in an argument


def check_parts(trainer: Any) -> None:
    """Refuse what is no part of a trainer, before anything that the options name is called.

    Args:
        trainer: The Trainer's parsed options, nothing of them made yet.

    Raises:
        UsageError: A `class_path` that is no such class, or a function as a value.
    """
    for key, value in _items(trainer):
        _check(f"--trainer.{key}", value, PARTS.get(key, WITHIN))


def _check(option: str, value: Any, kinds: tuple[type, ...]) -> None:
    if isinstance(value, Mapping | Namespace):
        known = dict(_items(value))
        if "class_path" in known:
            path = str(known.pop("class_path"))
            if not _is_class(named(option, path), kinds):
                raise _refused(f"{option} {path}", kinds)
            kinds = WITHIN
        for item in known.values():
            _check(option, item, kinds)
    elif isinstance(value, list | tuple | set):
        for item in value:
            _check(option, item, kinds)
    elif callable(value) and not isinstance(value, WITHIN) and not _is_class(value, WITHIN):
        name = getattr(value, "__qualname__", str(value))
        raise _refused(f"{option} {getattr(value, '__module__', '')}.{name}", kinds)


def _is_class(found: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(found, type) and issubclass(found, kinds)


def _items(options: Any) -> Iterator[tuple[str, Any]]:
    yield from (options if isinstance(options, Mapping) else vars(options)).items()


def _refused(where: str, kinds: tuple[type, ...]) -> UsageError:
    names = " or ".join(kind.__qualname__ for kind in kinds)
    wanted = "class of a part of Lightning's or of a module" if kinds is WITHIN else names
    return UsageError(f"{where}: is no {wanted}", "Name a subclass; no function is called.")
