"""How right maps of a class are, on crops of slides whose truth somebody drew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from histocnn.errors import HistocnnError
from histocnn.inspection.class_maps import Method
from histocnn.inspection.explaining import mapped
from histocnn.inspection.inspecting import Looking
from histocnn.inspection.localisation import Pointing, masks_of, pointing
from histocnn.models.preparation import to_input
from histocnn.models.suitable import normaliser
from histocnn.patches.labels import covered_area
from histocnn.patches.patches import FilePatches, Patches
from histocnn.regions.annotations import read_annotations

TIMES = 4  # a crop's side by the patch's
SHARE = (0.05, 0.40)  # of a crop that the region covers
EACH, SLIDES = 5, 10  # crops of a slide, and slides


def how_right(
    looking: Looking, cohort: Sequence[Patches], index: int, methods: Sequence[Method]
) -> tuple[Pointing, ...]:
    """Pointing game and energy of the gradient's and the head's maps, beside chance and the centre.

    Crops four times as wide as a patch, of which the annotated class covers 5 to 40 %, up to five
    of each of up to ten slides; empty where no slide of the cohort has such an annotation, or the
    network does not take such crops.

    Args:
        looking: The network.
        cohort: Files of patches, opened with slides.csv, which names annotations.
        index: Of the class.
        methods: Those that the network allows; occlusion, which costs most, is left out.
    """
    name = looking.subject.spec.class_names[index]
    images, truth, slides = list[Tensor](), list[NDArray[np.bool_]](), list[str]()
    for patches in cohort:
        if len(set(slides)) >= SLIDES:
            break
        if not isinstance(patches, FilePatches) or patches.annotation_path is None:
            continue
        try:
            found = _crops(looking, patches, name)
        except HistocnnError as error:
            looking.notes.append(f"{patches.name}: maps are not compared with truth: {error}")
            continue
        if found is not None:
            images.append(found[0])
            truth.append(found[1])
            slides += [patches.name] * len(found[0])
    if not images:
        return ()
    batch, masks = torch.cat(images), np.concatenate(truth)
    network = looking.subject.network
    try:
        maps: dict[str, NDArray[np.float32]] = {
            method: mapped(network, batch, index=index, method=method)
            for method in methods
            if method != "occlusion"
        }
    except HistocnnError as error:
        looking.notes.append(f"Maps are not compared with truth: {error.message}.")
        return ()
    return tuple(pointing(maps, masks, slides))


def _crops(
    looking: Looking, patches: FilePatches, name: str
) -> tuple[Tensor, NDArray[np.bool_]] | None:
    """Crops [B, 3, H, W] of one slide and the pixels [B, H, W] of the class; None: none fits."""
    slide, coords = patches.slide, patches.coords
    drawn = read_annotations(patches.annotation_path or "", slide.size_l0, slide.bounds_l0)
    if coords is None or not len(coords) or name not in drawn.classes:
        return None
    patch_px, mpp = int(patches.attributes["patch_px"]), float(patches.attributes["mpp"])
    side_px = TIMES * patch_px
    own = slide.require_mpp()
    side_l0 = np.array([side_px * mpp / own[0], side_px * mpp / own[1]])
    corners = coords + side_l0 / TIMES / 2 - side_l0 / 2  # about the patches' centres
    boxes = np.hstack([corners, corners + side_l0])
    inside = (boxes[:, :2] >= 0).all(1) & (boxes[:, 2:] <= np.array(slide.size_l0)).all(1)
    share = covered_area(drawn.classes[name], boxes) / side_l0.prod()
    fitting = np.flatnonzero(inside & (share >= SHARE[0]) & (share <= SHARE[1]))
    if not len(fitting):
        return None
    rng = np.random.default_rng(looking.options.seed)
    chosen = boxes[rng.choice(fitting, min(EACH, len(fitting)), replace=False)]
    pixels = [slide.read((float(x), float(y)), side_px, mpp) for x, y, *_ in chosen]
    normalise = normaliser(looking.subject.spec, patches)
    if normalise is not None:
        pixels = [normalise(each) for each in pixels]
    subject = looking.subject
    side = round(side_px * subject.input_px / patch_px)
    given = torch.from_numpy(np.stack(pixels)).to(subject.device)
    images = to_input(given, subject.spec, (side, side)).contiguous()
    return images, masks_of(drawn.classes[name], chosen, (side_px, side_px))
