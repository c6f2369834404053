"""Tensors of DINOv2's own files and of Hugging Face's transformers under the names that timm has.

Only what is known is renamed, and every name of transformers that is not is an error: a network
whose layers go by other names would else be half random.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from histocnn.errors import ModelError

WRAPPERS = ("dinov2.", "dinov2_with_registers.", "vit.")  # of transformers' models with a head
MARK = "embeddings.patch_embeddings.projection.weight"
DROPPED = ("mask_token", "embeddings.mask_token")  # of training by masked patches; no feature
POSITIONS = "pos_embed"
OUTSIDE = {
    "embeddings.cls_token": "cls_token",
    "embeddings.register_tokens": "reg_token",
    "embeddings.position_embeddings": POSITIONS,
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "layernorm": "norm",
}
WITHIN = {  # a layer: Dinov2Model and ViTModel
    "norm1": "norm1",
    "norm2": "norm2",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "attention.output.dense": "attn.proj",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "mlp.weights_in": "mlp.fc1",
    "mlp.weights_out": "mlp.fc2",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}
DINOV2 = (  # what DINOv2's own files call otherwise
    (re.compile(r"^blocks\.\d+\.(\d+)\."), r"blocks.\1."),  # block_chunks
    (re.compile(r"\.mlp\.w12\."), ".mlp.fc1."),
    (re.compile(r"\.mlp\.w3\."), ".mlp.fc2."),
    (re.compile(r"^register_tokens$"), "reg_token"),
)


def to_timm(
    tensors: Mapping[str, Tensor], wanted: Collection[str], path: Path
) -> dict[str, Tensor]:
    """The tensors by timm's names; as they are where the file speaks of neither.

    Query, key and value, which transformers keeps apart, are joined. Where the network has register
    tokens its class token has no position of its own in timm: it is added, as timm does.

    Args:
        tensors: Of a file, without wrappers' prefixes such as `module.`.
        wanted: The network's names.
        path: The file, for messages.

    Raises:
        ModelError: It is of transformers, and some of its names are unknown.
    """
    bare = {_without(name): tensor for name, tensor in tensors.items()}
    found = {name: tensor for name, tensor in tensors.items() if name not in DROPPED}
    if MARK in bare:
        bare = {name: tensor for name, tensor in bare.items() if name not in DROPPED}
        found = _of_transformers(bare, path)
    elif "cls_token" in found and "patch_embed.proj.weight" in found:
        found = {_of_dinov2(name): tensor for name, tensor in found.items()}
    if "reg_token" in found and "reg_token" in wanted and POSITIONS in found:
        positions = found[POSITIONS]
        if _is_square(positions.shape[1] - 1):
            found["cls_token"] = found["cls_token"] + positions[:, :1]
            found[POSITIONS] = positions[:, 1:]
    return found


def _without(name: str) -> str:
    wrapper = next((w for w in WRAPPERS if name.startswith(w)), "")
    return name.removeprefix(wrapper)


def _of_dinov2(name: str) -> str:
    for pattern, ours in DINOV2:
        name = pattern.sub(ours, name)
    return name


def _of_transformers(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    apart: dict[str, dict[str, Tensor]] = {}
    unknown = []
    for name, tensor in tensors.items():
        layer = re.match(r"encoder\.layer\.(\d+)\.(.+)$", name)
        if layer is None:
            new = _renamed(name, OUTSIDE)
            if new is None and name.startswith(("pooler.", "classifier.")):
                new = name  # a head, which the door leaves out
        elif one := re.match(r"attention\.attention\.(query|key|value)\.(weight|bias)$", layer[2]):
            apart.setdefault(f"blocks.{layer[1]}.attn.qkv.{one[2]}", {})[one[1]] = tensor
            continue
        else:
            within = _renamed(layer[2], WITHIN)
            new = None if within is None else f"blocks.{layer[1]}.{within}"
        if new is None:
            unknown.append(name)
        else:
            found[new] = tensor
    whole = {name: parts for name, parts in apart.items() if len(parts) == 3}
    unknown += [name for name in apart if name not in whole]
    if unknown:
        raise ModelError(
            f"{path}: of Hugging Face's transformers, and {len(unknown)} of its {len(tensors)} "
            f"tensors have no known place: {', '.join(unknown[:3])}",
            "Save the network by timm's names, or load it by your own --backbone package.module:"
            "function.",
        )
    for name, parts in whole.items():
        found[name] = torch.cat([parts[part] for part in ("query", "key", "value")])
    return found


def _renamed(name: str, names: Mapping[str, str]) -> str | None:
    for theirs, ours in names.items():
        if name == theirs:
            return ours
        if name.removeprefix(theirs) in (".weight", ".bias"):
            return ours + name.removeprefix(theirs)
    return None


def _is_square(count: int) -> bool:
    return count > 0 and round(count**0.5) ** 2 == count
