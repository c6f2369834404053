"""Weights from a stranger's file into a backbone: by name, tensors alone, nothing unpickled.

The door: every tensor of the backbone comes from the file, and every tensor of the file but a
head's goes into the backbone, or the first that differ are named and nothing is loaded.
"""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from histocnn.errors import ModelError
from histocnn.models.published_names import to_timm

log = logging.getLogger(__name__)
PREFIXES = ("module.", "model.", "network.", "backbone.", "encoder.", "trunk.")
# What stands behind the features: of a classification, and of training without labels.
HEADS = ("head.", "heads.", "head_dist.", "fc.", "classifier.", "pooler.", "dino_head.",
         "ibot_head.", "projector.", "projection_head.", "prototypes.")  # fmt: skip
AUXILIARY = ("aux1.fc2", "aux2.fc2", "AuxLogits.fc")  # googlenet, inception_v3: heads in the trunk
NAMED = 3  # of each difference


@dataclass(frozen=True)
class Differences:
    """What a file and a backbone do not share.

    Attributes:
        missing: The backbone's tensors that the file lacks.
        unused: The file's tensors that are no head's and have no place in the backbone.
        misshapen: Names of both, with the file's shape and the backbone's.
        wanted: How many tensors the backbone has.
    """

    missing: Sequence[str]
    unused: Sequence[str]
    misshapen: Sequence[str]
    wanted: int

    def __bool__(self) -> bool:
        return bool(self.missing or self.unused or self.misshapen)

    def __str__(self) -> str:
        parts = [
            (self.missing, f"of the backbone's {self.wanted} tensors are not in it"),
            (self.misshapen, "have another shape"),
            (self.unused, "of its own have no place in the backbone"),
        ]
        return "; ".join(
            f"{len(names)} {what} ({', '.join(names[:NAMED])}{' …' * (len(names) > NAMED)})"
            for names, what in parts
            if names
        )


def load_weights(backbone: nn.Module, path: Path, allow_partial: bool = False) -> None:
    """Put a file's tensors into the backbone, by name.

    Wrappers' prefixes (`module.`, `backbone.`, `encoder.` …) are stripped from the file's names;
    those of DINOv2 and of transformers become timm's (`published_names`). A transformer that takes
    images of any size gets the file's grid of positions.

    Args:
        backbone: Whose tensors are set.
        path: A `.safetensors`, or a PyTorch file of tensors.
        allow_partial: Take what fits, and warn of what does not.

    Raises:
        ModelError: No such file, not tensors alone, or they are not the backbone's; with
            `allow_partial` only if fewer than half of these are there.
    """
    found = _stripped(read_tensors(path), backbone.state_dict(), path)
    found = to_timm(found, backbone.state_dict(), path)
    _take_grid(backbone, found)
    wanted = backbone.state_dict()
    fitting = {k: v for k, v in found.items() if k in wanted and wanted[k].shape == v.shape}
    differences = _compare(wanted, found)
    if len(fitting) < len(wanted) / 2:
        raise ModelError(
            f"{path}: only {len(fitting)} of the backbone's {len(wanted)} tensors are in it: "
            f"{differences}",
            "Is it of another network?",
        )
    if differences and not allow_partial:
        raise ModelError(
            f"{path}: is not of this network: {differences}",
            "Give the network's arguments as --backbone_args, or take what fits by "
            "--allow_partial true.",
        )
    if differences:
        log.warning("%s: taken in part: %s", path.name, differences)
    backbone.load_state_dict(fitting, strict=False)


def _compare(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Differences:
    # Older files lack the counters of batch norm, which no prediction depends on.
    missing = [k for k in wanted if k not in found and not k.endswith("num_batches_tracked")]
    both = [k for k in wanted if k in found and wanted[k].shape != found[k].shape]
    return Differences(
        missing=[k for k in missing if not k.startswith(AUXILIARY)],
        unused=[k for k in found if k not in wanted and not k.startswith(HEADS)],
        misshapen=[
            f"{k} {list(found[k].shape)}, not {list(wanted[k].shape)}"
            for k in both
            if not k.startswith(AUXILIARY)
        ],
        wanted=len(wanted),
    )


def _take_grid(backbone: Any, found: Mapping[str, Tensor]) -> None:
    """Give a transformer that takes any size the grid of positions that the file has."""
    ours, theirs = getattr(backbone, "pos_embed", None), found.get("pos_embed")
    if not isinstance(ours, Tensor) or theirs is None or theirs.ndim != 3:
        return
    if ours.shape == theirs.shape or not getattr(backbone, "dynamic_img_size", False):
        return
    prefix = 0 if getattr(backbone, "no_embed_class", False) else backbone.num_prefix_tokens
    side = round(max(0, theirs.shape[1] - prefix) ** 0.5)
    if side and side * side == theirs.shape[1] - prefix and side <= 256:
        backbone.set_input_size(img_size=side * backbone.patch_embed.patch_size[0])


def _stripped(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path
) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        name = _strip(key, wanted)
        if name in found:
            raise ModelError(
                f"{path}: has {name} twice, once as {key}", "Save one network's state_dict() alone."
            )
        found[name] = tensor
    return found


def _strip(key: str, wanted: Mapping[str, Tensor]) -> str:
    while key not in wanted and not key.startswith("encoder.layer."):  # transformers' own name
        prefix = next((p for p in PREFIXES if key.startswith(p)), None)
        if prefix is None:
            break
        key = key.removeprefix(prefix)
    return key


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` or of a PyTorch file, which may hold nothing else.

    Raises:
        ModelError: No such file, damaged, or it holds something other than tensors.
    """
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
