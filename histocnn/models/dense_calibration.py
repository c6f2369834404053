"""Temperature and operating points of dense scores, fitted on the slides of validation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from histocnn.errors import HistocnnError, PatchesError
from histocnn.models.data import PatchDataModule
from histocnn.models.dense_infer import Slider, slide_over
from histocnn.models.dense_writing import dense_of
from histocnn.models.device import choose_bf16
from histocnn.models.infer import Loading, Shares
from histocnn.models.networks import Network
from histocnn.models.outcome import fitted, units
from histocnn.models.runner import Runner
from histocnn.models.spec import ModelSpec
from histocnn.models.suitable import normaliser
from histocnn.patches.classes import renumber
from histocnn.patches.dense_grid import NO_TRUTH, dense_grid, placed
from histocnn.patches.grid import PatchGrid
from histocnn.patches.gridpixels import GridPixels
from histocnn.patches.patches import FilePatches
from histocnn.patches.region_plan import plan, side_of

MOST_WINDOWS = 1 << 20  # that are scored: 21,000 patches' of 224 px at a stride of 32
Found = tuple[NDArray[np.float32], NDArray[np.int64]]


def dense_calibration(
    network: Network, spec: ModelSpec, data: PatchDataModule, device: torch.device
) -> dict[str, Any]:
    """What a model's spec says of its dense scores.

    The slides of validation are scored as `predict --dense` does: every labelled window, or of a
    large cohort those of as many regions, drawn by seed, as have about `MOST_WINDOWS`.

    Args:
        network: Trained.
        spec: Its spec.
        data: The cohort.
        device: Where the network is run.

    Returns:
        `temperature`, `thresholds` and `validation`, as the spec has them of patches; or `refused`:
        why there are none.
    """
    rows = data.rows["val"]
    try:
        slides = _slides(data)
        runner = Runner(
            network.to(device).eval(), spec, device, choose_bf16("auto", device),
            lambda logits: {"logits": logits},
        )  # fmt: skip
        slider = _slider(runner, data.patch_px)
        share = MOST_WINDOWS * (slider.stride_px / slider.patch_px) ** 2 / len(rows)
        rng = np.random.default_rng(data.seed)
        found = [_scored(slide, slider, data.class_names, (share, rng)) for slide in slides]
        logits, labels = (np.concatenate(each) for each in zip(*found, strict=True))
        groups = units(rows.take(np.unique(rows.source, return_index=True)[1]))
        counts = [len(own) for _, own in found]
        groups = replace(groups, of_patch=np.repeat(groups.of_patch, counts))
        return fitted(logits, labels, groups, data.learnt_prior())
    except HistocnnError as error:
        return {"refused": error.message}


def _slides(data: PatchDataModule) -> list[FilePatches]:
    """The slides of validation, in the order of the sources.

    Raises:
        PatchesError: They are images, or patches of one are in another split.
    """
    rows = data.rows["val"]
    numbers = np.unique(rows.source)
    slides = [placed(rows.sources[i]) for i in numbers]
    shared = np.isin(numbers, data.all_rows.source[data.parts != "val"])
    if shared.any():
        name = slides[int(shared.argmax())].name
        raise PatchesError(f"patches of {name} are in validation and in another split")
    return slides


def _slider(runner: Runner, patch_px: int | None) -> Slider:
    if patch_px is None:
        raise PatchesError("its patches are of several sizes")
    return Slider.of(dense_of(runner, patch_px), runner, patch_px, None)


def _scored(
    slide: FilePatches,
    slider: Slider,
    names: list[str],
    drawn: tuple[float, np.random.Generator],
) -> Found:
    """Logits [n, C], NaN where pixels are lost, and labels [n] of a slide's labelled windows."""
    with closing(slide):
        windows = dense_grid(slide, slider.window, slider.stride_px)
        if "labels" not in windows.datasets:
            raise PatchesError(f"{slide.name}: {NO_TRUTH}")
        own = windows.attributes["labels.class_names"]
        labels = renumber(cast(Any, windows.datasets["labels"]), own, names)
        kept = np.flatnonzero(labels >= 0)
        kept = kept[_some(windows.grid.select(kept), slider, *drawn)]
        grid = windows.grid.select(kept)
        logits = np.full((len(kept), len(names)), np.nan, np.float32)
        for rows, arrays in _slid(slide, grid, slider):
            logits[rows] = arrays["logits"]
    return logits, labels[kept]


def _slid(slide: FilePatches, grid: PatchGrid, slider: Slider) -> Iterator[Any]:
    if len(grid):
        pixels = cast(GridPixels, slide.pixels)
        loading = Loading(normalise=normaliser(slider.runner.spec, slide))
        yield from slide_over(pixels, grid, slider, loading, Shares())


def _some(
    grid: PatchGrid, slider: Slider, share: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Windows of regions of which each is taken with the probability `share`, in order."""
    if share >= 1 or not len(grid):
        return np.arange(len(grid))
    regions = plan(grid.cell, side_of(grid.cell, slider.most, slider.phases))
    taken = [region.rows for region in regions if rng.random() < share]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *taken]))
