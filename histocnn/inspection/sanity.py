"""Does a map depend on what the network has learned? Its weights are made random, and one looks.

Adebayo et al., "Sanity checks for saliency maps", 2018: layer by layer, from the outputs down, the
weights are drawn anew. A map that stays as it was shows edges of the image and not what the network
knows of it: guided backpropagation does, until the first layer itself is random. So what decides is
the median over the whole cascade, and not what is left at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure

from histocnn.errors import UsageError
from histocnn.inspection.inputs import batch_of, judging
from histocnn.inspection.maps import enlarged, scaled, undefined
from histocnn.metrics.intervals import Intervals, bootstrap
from histocnn.models.windows import taking

FLAG = 0.5  # a median above it: the map hardly depends on the weights
SEEDS, PATCHES, STEPS = 5, 50, 6
AT_ONCE = 16  # images
Maps = Callable[[nn.Module, Tensor], NDArray[np.float32]]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Likeness:
    """How like the network's own maps are those of one that is partly random.

    Attributes:
        layer: The deepest layer made random, with all that come behind it.
        layers: How many are.
        spearman: Median absolute rank correlation of the cells of two maps.
        spearman_bounds: Of 95 %; None where `note` says why.
        ssim: Median structural similarity of two scaled maps at the image's size.
        ssim_bounds: Of 95 %.
        pairs: Maps compared: images × seeds, less the undefined.
        undefined: Pairs of which one map has nothing above 0, or is the same everywhere.
        note: About the bounds.
    """

    layer: str
    layers: int
    spearman: float
    spearman_bounds: tuple[float, float] | None
    ssim: float
    ssim_bounds: tuple[float, float] | None
    pairs: int
    undefined: int
    note: str


@dataclass(frozen=True)
class Sanity:
    """What the check found.

    Attributes:
        steps: From the outputs' layer random to all layers random.
        whole: Over all steps together: the figures that decide.
        images: How many.
        seeds: How often the weights were drawn.
        own_undefined: Maps of the network as it is that have nothing above 0.
        flagged: Whether a median over all steps is above 0.5: such a map is no evidence.
    """

    steps: tuple[Likeness, ...]
    whole: Likeness
    images: int
    seeds: int
    own_undefined: int
    flagged: bool


def sanity_check(
    network: nn.Module,
    images: Tensor,
    maps: Maps,
    *,
    seeds: int = SEEDS,
    steps: int = STEPS,
    groups: Sequence[str] | None = None,
) -> Sanity:
    """Compare a network's maps with those of the same network made random from its outputs down.

    Args:
        network: float [B, C, H, W], normalised → outputs.
        images: float [B, C, H, W], 50 for a figure; of one slide they are alike.
        maps: What is checked: network and images → [B, h, w], such as `cams` of a class.
        seeds: How often the weights are drawn.
        steps: Layers are made random in so many steps.
        groups: The slide of each image, which intervals resample; None: images.

    Raises:
        UsageError: No seed, no step, no image, or a slide for each image is not given.
        ModelError: As `maps`.
    """
    if min(seeds, steps, len(images)) < 1:
        raise UsageError(f"{len(images)} images, {seeds} seeds, {steps} steps", "Give 1 at least.")
    if groups is not None and len(groups) != len(images):
        raise UsageError(f"{len(images)} images and {len(groups)} slides", "Give one for each.")
    batch = batch_of(network, images)
    with judging(network):
        own = _made(maps, network, batch)
        layers = _layers(network, batch[:1])
        cuts = _cuts(len(layers), steps)
        found: list[list[NDArray[np.float32]]] = [[] for _ in cuts]
        for seed in range(seeds):
            copy, done = deepcopy(network), 0
            for step, until in enumerate(cuts):
                _randomise(copy, layers[done:until], seed * len(cuts) + step)
                done = until
                found[step].append(_made(maps, copy, batch))
    slides = [str(i) for i in range(len(batch))] if groups is None else list(groups)
    shape = (batch.shape[2], batch.shape[3])
    values = [_compared(own, random, shape) for random in found]
    each = tuple(
        _likeness(pairs, slides, layers[until - 1], until)
        for pairs, until in zip(values, cuts, strict=True)
    )
    whole = _likeness(np.concatenate(values, axis=1), slides, layers[-1], len(layers))
    flagged = bool(max(whole.spearman, whole.ssim) > FLAG)  # NaN, if all are undefined, is no flag
    return Sanity(each, whole, len(batch), seeds, int(undefined(own).sum()), flagged)


def rank_correlation(first: NDArray[np.floating], second: NDArray[np.floating]) -> Floats:
    """Spearman's of the cells of maps [N, h, w], pair by pair: float64 [N]; NaN of a constant one.

    >>> rank_correlation(np.float32([[[1, 2, 9]]]), np.float32([[[3, 2, 1]]])).tolist()
    [-1.0]
    """
    a, b = (rankdata(m.reshape(len(m), -1), axis=1) for m in (first, second))
    a, b = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (a, b))
    power = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    result: Floats = np.where(power > 0, (a * b).sum(axis=1), np.nan) / np.where(power, power, 1)
    return result


def _compared(
    own: NDArray[np.float32], random: Sequence[NDArray[np.float32]], shape: tuple[int, int]
) -> Floats:
    """Absolute rank correlation and SSIM [2, seeds × B] of maps [B, h, w]; NaN: undefined."""
    first, second = np.tile(own, (len(random), 1, 1)), np.concatenate(random)
    defined = ~undefined(first) & ~undefined(second)
    values = np.full((2, len(first)), np.nan)
    if defined.any():
        a, b = first[defined], second[defined]
        values[0, defined] = np.abs(rank_correlation(a, b))
        values[1, defined] = _ssim(enlarged(scaled(a), shape), enlarged(scaled(b), shape))
        values[1, np.isnan(values[0])] = np.nan  # flat maps are alike whatever the weights
    return values


def _likeness(values: Floats, slides: Sequence[str], layer: str, layers: int) -> Likeness:
    """Figures of values [2, times × B] of images of these slides [B]."""
    defined = ~np.isnan(values[1])
    names = sorted(set(slides))
    group = np.resize([names.index(slide) for slide in slides], values.shape[1])
    within = _intervals(values, group, len(names))
    return Likeness(
        layer, layers,
        spearman=_median(values[0]), spearman_bounds=within.bounds.get("spearman"),
        ssim=_median(values[1]), ssim_bounds=within.bounds.get("ssim"),
        pairs=int(defined.sum()), undefined=int((~defined).sum()),
        note=within.note.replace("patient", "slide"),
    )  # fmt: skip


def _intervals(values: Floats, group: NDArray[np.int64], groups: int) -> Intervals:
    """Of the medians of both rows of values [2, N], resampling groups."""

    def medians(weights: Floats) -> dict[str, Floats]:
        return {
            name: weighted_median(row, weights[:, group])
            for name, row in zip(("spearman", "ssim"), values, strict=True)
        }

    present = np.zeros((groups, 1))
    present[group[~np.isnan(values[1])]] = 1
    return bootstrap(medians, present)


def weighted_median(values: Floats, weights: Floats) -> Floats:
    """Medians [R] of values [N] that count `weights` [R, N] times; NaN values count never."""
    order = np.argsort(values, kind="stable")
    order = order[: np.count_nonzero(~np.isnan(values))]
    if not len(order):
        return np.full(len(weights), np.nan)
    below = np.cumsum(weights[:, order], axis=1)
    half = below[:, -1:] / 2
    low, high = (below >= half).argmax(axis=1), (below > half).argmax(axis=1)
    middle = (values[order][low] + values[order][high]) / 2
    return np.where(below[:, -1] > 0, middle, np.nan)


def _median(values: Floats) -> float:
    return float(weighted_median(values, np.ones((1, len(values))))[0])


def _ssim(first: NDArray[np.float32], second: NDArray[np.float32]) -> Floats:
    a, b = (torch.from_numpy(maps)[:, None] for maps in (first, second))
    each = structural_similarity_index_measure(a, b, data_range=1.0, reduction="none")
    return np.asarray(each, np.float64).reshape(-1)


def _made(maps: Maps, network: nn.Module, images: Tensor) -> NDArray[np.float32]:
    return np.concatenate([maps(network, some) for some in torch.split(images, AT_ONCE)])


def _layers(network: nn.Module, image: Tensor) -> list[str]:
    """Names of modules with parameters of their own, the last one to be called first."""
    called: list[str] = []

    def hook(name: str) -> Any:
        def note(module: nn.Module, inputs: Any) -> None:
            if name not in called:
                called.append(name)

        return note

    handles = [
        module.register_forward_pre_hook(hook(name))
        for name, module in network.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    try:
        with torch.no_grad(), taking(image):
            network(image)
    finally:
        for handle in handles:
            handle.remove()
    if not called:
        raise UsageError("the network has no weights that could be made random")
    return called[::-1]


def _cuts(layers: int, steps: int) -> list[int]:
    """After how many layers each step ends; the first has the outputs' layer alone."""
    ends = np.linspace(1, layers, min(steps, layers)).round().astype(int)
    return sorted({int(end) for end in ends})


def _randomise(network: nn.Module, names: Sequence[str], seed: int) -> None:
    """Draw the weights of these modules anew, and forget their batch norms' statistics.

    By their own `reset_parameters`; what has none keeps its values in another order.
    """
    modules = dict(network.named_modules())
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        for name in names:
            module = modules[name]
            if callable(getattr(module, "reset_parameters", None)):
                module.reset_parameters()
                continue
            for weight in module.parameters(recurse=False):
                order = torch.randperm(weight.numel()).to(weight.device)
                weight.copy_(weight.reshape(-1)[order].view_as(weight))
