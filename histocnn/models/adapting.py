"""A network's batch norms, brought to the patches of another laboratory without a label."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from histocnn.errors import ModelError, PatchesError, UsageError
from histocnn.jobs.ownership import check_apart
from histocnn.models.device import Engine
from histocnn.models.preparation import to_input
from histocnn.models.spec import ModelSpec, read_spec
from histocnn.models.suitable import checked, normaliser
from histocnn.patches.patches import Patches

Pixels = NDArray[np.uint8]

# Patches that training's statistics weigh as much as: 15 of 20 patches' weight, 6 % of 1,000's.
PRIOR = 64
ADAPTED = "adapted"  # among a spec's facts of training


def norms(network: nn.Module) -> list[nn.Module]:
    """The batch norms of a network that keep statistics of their own."""
    kinds = nn.modules.batchnorm._BatchNorm
    return [m for m in network.modules() if isinstance(m, kinds) and m.running_mean is not None]


def weight(patches: int) -> float:
    """How much so many new patches count beside training's, in 0..1.

    Source: Schneider et al., "Improving robustness against common corruptions by covariate shift
    adaptation", NeurIPS 2020, equation 2: n / (N + n).
    """
    return patches / (PRIOR + patches)


@torch.no_grad()
def adapt(network: nn.Module, spec: ModelSpec, pixels: Pixels, batch_size: int) -> float:
    """Mix the statistics of these patches into every batch norm, in place.

    Source: Li et al., "Revisiting batch normalization for practical domain adaptation", 2016.

    Args:
        network: In evaluation mode, which it keeps; no weight is changed.
        spec: How pixels become input.
        pixels: uint8 [N, H, W, 3], in random order, so that batches are alike.
        batch_size: Patches at a time.

    Returns:
        The weight of the new statistics.

    Raises:
        ModelError: The network has no batch norm.
    """
    found: Any = norms(network)
    if not found:
        raise ModelError(
            f"{spec.backbone}: has no batch norm, so there is nothing to adapt",
            "Use the model as it is, or train one that has (resnet18, timm/resnet10t).",
        )
    device = next(network.parameters()).device
    trained = [(m.running_mean.clone(), m.running_var.clone(), m.momentum) for m in found]
    for module in found:
        module.reset_running_stats()
        module.momentum = None  # the mean over all batches
        module.train()
    for batch in np.array_split(pixels, max(1, len(pixels) // batch_size)):  # none much smaller
        network(to_input(torch.from_numpy(batch).to(device), spec))
    share = weight(len(pixels))
    for module, (mean, variance, momentum) in zip(found, trained, strict=True):
        module.eval()
        module.momentum = momentum
        module.running_mean.lerp_(mean, 1 - share)
        module.running_var.lerp_(variance, 1 - share)
    return share


def draw(items: Sequence[Patches], spec: ModelSpec, most: int, engine: Engine, seed: int) -> Pixels:
    """Read patches drawn from all items alike, mixed; those that cannot be read are left out.

    Raises:
        ModelError: Patches of another size or scale than the model's.
        PatchesError: None can be read.
    """
    rng = np.random.default_rng(seed)
    read: list[Pixels] = []
    for left, item in zip(range(len(items), 0, -1), items, strict=True):
        checked(item, spec)
        share = -(-(most - sum(map(len, read))) // left)
        rows = np.sort(rng.permutation(len(item))[:share])
        change = normaliser(spec, item)
        for batch in item.batches(engine.batch_size, engine.threads, rows.tolist()):
            pixels = batch.pixels[batch.readable]
            read.append(pixels if change is None else np.array([change(each) for each in pixels]))
        item.close()
    if not any(map(len, read)):
        raise PatchesError("none of the patches can be read", "Check that the slides are whole.")
    together = np.concatenate([pixels for pixels in read if len(pixels)])
    return together[rng.permutation(len(together))]


def finished_spec(spec: ModelSpec, slides: int, patches: int, share: float) -> ModelSpec:
    """The spec of the adapted network; prediction sets promise nothing of it."""
    facts = {"slides": slides, "patches": patches, "weight": round(share, 4)}
    return replace(spec, training={**spec.training, ADAPTED: facts}, conformal=None)


def is_written(out: Path, network: nn.Module, spec: ModelSpec) -> bool:
    """Whether our file holds just this: scores know their model by its hash, which then stays.

    Writing anew would not do: `.safetensors` orders its facts by chance.
    """
    if not out.is_file() or read_spec(out).to_json() != spec.to_json():
        return False
    stored, state = load_file(out), network.state_dict()
    return stored.keys() == state.keys() and all(
        torch.equal(stored[name], value.cpu()) for name, value in state.items()
    )


def check_target(out: Path, model: Path, patches: Path) -> None:
    """Refuse to write over what is no adapted model of ours, or among the patches.

    Raises:
        UsageError: The model itself, or another file, lies there; the folder is the patches'.
    """
    check_apart(out.parent, [patches])
    if not os.path.lexists(out):
        return
    try:
        ours = ADAPTED in read_spec(out).training and not out.samefile(model)
    except ModelError:
        ours = False
    if not ours:
        raise UsageError(
            f"{out}: lies there already, and is no model that adapt wrote",
            "Give another --out, such as adapted.safetensors.",
        )
