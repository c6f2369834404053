"""Weights from a stranger's file into a backbone: by name, tensors alone, nothing unpickled."""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from histocnn.errors import ModelError

log = logging.getLogger(__name__)
PREFIXES = ("module.", "model.", "network.", "backbone.", "encoder.", "trunk.")


def load_weights(backbone: nn.Module, path: Path) -> None:
    """Put a file's tensors into the backbone, by name, and warn of what did not fit.

    Wrappers' prefixes (`module.`, `backbone.`, `encoder.` …) are stripped from the file's names.

    Raises:
        ModelError: No such file, not tensors alone, or fewer than half of them fit.
    """
    wanted = backbone.state_dict()
    fitting: dict[str, Tensor] = {}
    left_out: list[str] = []
    for key, tensor in _tensors(path).items():
        name = _strip(key, wanted)
        if name in wanted and wanted[name].shape == tensor.shape:
            fitting[name] = tensor
        else:
            left_out.append(key)
    # Older files lack the counters of batch norm, which no prediction depends on.
    missing = [k for k in wanted if k not in fitting and not k.endswith("num_batches_tracked")]
    if len(missing) > len(wanted) / 2:
        raise ModelError(
            f"{path}: only {len(fitting)} of the backbone's {len(wanted)} tensors are in it",
            f"Is it of another network? It begins with {', '.join(left_out[:3]) or 'nothing'}.",
        )
    if missing:
        log.warning("%s: not in the file, left random: %s", path.name, ", ".join(missing))
    if left_out:
        log.warning("%s: not used: %s", path.name, ", ".join(left_out))
    backbone.load_state_dict(fitting, strict=False)


def _strip(key: str, wanted: Mapping[str, Tensor]) -> str:
    while key not in wanted:
        prefix = next((p for p in PREFIXES if key.startswith(p)), None)
        if prefix is None:
            break
        key = key.removeprefix(prefix)
    return key


def _tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` or of a PyTorch file, which may hold nothing else."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file of weights", "Give --weights a file, or imagenet.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():  # its unpickler warns of what it is about to refuse
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, SafetensorError, EOFError, ValueError) as error:
        raise ModelError(
            f"{path}: holds something other than tensors, or is damaged; nothing is unpickled",
            "Save the network's state_dict() alone, best as .safetensors.",
        ) from error
    for wrapper in ("state_dict", "model", "teacher"):
        with suppress(KeyError, TypeError):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping):
        raise ModelError(f"{path}: holds no weights by name", "Save the network's state_dict().")
    return {k: v for k, v in loaded.items() if isinstance(v, Tensor)}
