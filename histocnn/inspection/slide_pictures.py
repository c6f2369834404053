"""A class over a whole slide, as the page shows it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import HistocnnError, UsageError
from histocnn.inspection.inspecting import Looking
from histocnn.inspection.map_facts import SlideFacts
from histocnn.inspection.naming import nearest
from histocnn.inspection.slide_maps import SlideMap, slide_map
from histocnn.models.networks import Network
from histocnn.patches.patches import FilePatches, Patches
from histocnn.pictures.attribution import SLIDE_PX, beside_slide


def over_slide(
    looking: Looking, cohort: Sequence[Patches], slide: str, index: int
) -> tuple[SlideFacts, ...]:
    """The dense map of a class beside its attribution; a note where the network allows none.

    Args:
        looking: The network.
        cohort: Files of patches, of which one is the slide's.
        slide: Its id.
        index: Of the class.

    Raises:
        UsageError: No such slide among the patches; the nearest ids are named.
    """
    patches = patches_of(cohort, slide)
    network = looking.subject.network
    try:
        if not isinstance(network, Network) or not isinstance(patches, FilePatches):
            raise UsageError("a map over a slide needs a model and the slide's grid")
        found = slide_map(patches, network, looking.subject.spec, device=looking.subject.device)
        overview = patches.slide.thumbnail(max_px=2 * SLIDE_PX)
    except HistocnnError as error:
        looking.notes.append(f"No map over {slide}: {error.message}.")
        return ()
    looking.notes += found.notes
    score, added = found.rasters(index)
    name = f"slide_{slide}_{index}.png"
    looking.pictures[name] = beside_slide(_grid_of(overview, found), score, added)
    of_class = found.class_names[index]
    windows = len(found.scores)
    return (SlideFacts(slide, of_class, windows, _range(score), _range(added), name),)


def patches_of(cohort: Sequence[Patches], slide: str) -> Patches:
    """The patches of one slide.

    Raises:
        UsageError: There are none; the nearest ids are named.
    """
    names = [patches.name for patches in cohort]
    if slide not in names:
        near = nearest(slide, names)
        raise UsageError(
            f"--slide {slide}: no such slide among the patches",
            f"There is {', '.join(near)}." if near else "Give its grid as --patches.",
        )
    return cohort[names.index(slide)]


def _grid_of(overview: NDArray[np.uint8], found: SlideMap) -> NDArray[np.uint8]:
    """The overview as far as the grid's cells reach: what lies beyond them is cut, or white."""
    rows, cols = found.grid.shape
    step_x, step_y = found.grid.stride_l0
    width, height = found.grid.size_l0
    size = (
        max(1, round(overview.shape[0] * rows * step_y / height)),
        max(1, round(overview.shape[1] * cols * step_x / width)),
    )
    paper = np.full((*size, 3), 255, np.uint8)
    part = overview[: size[0], : size[1]]
    paper[: part.shape[0], : part.shape[1]] = part
    return paper


def _range(values: NDArray[np.float32]) -> tuple[float, float]:
    if not np.isfinite(values).any():
        return float("nan"), float("nan")
    return float(np.nanmin(values)), float(np.nanmax(values))
