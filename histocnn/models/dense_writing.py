"""Files of dense scores and features: what predict and embed do with a slide with --dense."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from histocnn.errors import ModelError
from histocnn.jobs.workers import Tick
from histocnn.models.asked import DenseOptions
from histocnn.models.dense import Dense, densified
from histocnn.models.dense_infer import Slider, slide_over
from histocnn.models.infer import Frame, Loading, Shares, columns_of, write_rows
from histocnn.models.runner import Runner
from histocnn.patches.dense_grid import dense_grid, placed
from histocnn.patches.gridpixels import GridPixels
from histocnn.patches.patches import Patches

_proved = lru_cache(maxsize=1)(densified)  # once for all slides


def dense_of(runner: Runner, patch_px: int, *, exact: bool = False) -> Dense:
    """A runner's network, which is trained no more, proved to slide over patches of this side.

    Raises:
        ModelError: It may not: with the reason and what to do.
    """
    spec = runner.spec
    if spec.stain is not None and spec.stain.get("per_patch"):
        raise ModelError(
            f"{spec.backbone} takes every patch with its own stains brought to a reference",
            "Leave --dense out, or train with stains normalised by slide.",
        )
    try:
        return _proved(runner.network, spec.input_px or patch_px, exact=exact)
    except ModelError as error:
        said = f"{spec.backbone} cannot score densely: {error.message}"
        raise ModelError(said, error.remedy) from error


def slider_of(runner: Runner, patches: Patches, options: DenseOptions) -> Slider:
    """A runner's network made to slide over patches like these.

    Args:
        runner: The same for all slides: its network is proved once.
        patches: Of a slide.
        options: How windows are laid.

    Raises:
        PatchesError: The patches have no place on a slide.
        ModelError: It may not slide: with the reason and what to do.
        UsageError: A stride that the network cannot have.
    """
    patch_px = int(placed(patches).attributes["patch_px"])
    dense = dense_of(runner, patch_px, exact=options.exact)
    return Slider.of(dense, runner, patch_px, options.stride_px)


def write_dense(
    target: Path,
    patches: Patches,
    slider: Slider,
    *,
    attributes: dict[str, Any],
    tick: Tick,
    copy: dict[str, Any],
    loading: Loading,
    dtypes: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Write the arrays of a slide's windows; arguments, facts and errors as of `write_results`."""
    dense = dense_grid(patches, slider.window, slider.stride_px)
    pixels = cast(GridPixels, patches.pixels)  # `slider_of` asked whether they have a place
    shares = Shares()
    facts = write_rows(
        target,
        patches,
        slide_over(pixels, dense.grid, slider, loading, shares),
        columns_of(slider.shapes(), dtypes),
        Frame(len(dense.grid), dense.attributes | attributes, dense.datasets | copy),
        tick=tick,
        shares=shares,
    )
    parted = "regions were computed in quarters, because whole ones did not fit the memory"
    return facts | {"notes": [*facts["notes"], *dense.notes, *[parted] * slider.parted]}
