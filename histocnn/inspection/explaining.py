"""The class activation maps of the page, and whether they rest on what the network has learned."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from histocnn.errors import HistocnnError, ModelError
from histocnn.inspection.class_maps import METHODS, Method, cams
from histocnn.inspection.inputs import class_index
from histocnn.inspection.inspecting import Looking
from histocnn.inspection.map_facts import MapFacts
from histocnn.inspection.maps import enlarged, scaled, undefined
from histocnn.inspection.sanity import Sanity, sanity_check
from histocnn.inspection.shown import Shown, from_cohort
from histocnn.patches.patches import Patches
from histocnn.pictures.attribution import SIDE_PX, over_image, row

MOST_IMAGES, MOST_CLASSES = 4, 6
AT_ONCE = 8


def mapped(
    network: nn.Module, images: Tensor, *, index: int, method: Method
) -> NDArray[np.float32]:
    """Maps [B, h, w] of one class, a few images at a time, which bounds the memory."""
    parts = [cams(network, some, index, method=method) for some in torch.split(images, AT_ONCE)]
    return np.concatenate(parts)


def allowed(looking: Looking) -> tuple[tuple[Method, ...], dict[str, str]]:
    """The methods that this network allows, and why not the others."""
    subject = looking.subject
    side = subject.input_px
    image = torch.zeros(1, 3, side, side, device=subject.device)
    methods, refused = list[Method](), dict[str, str]()
    for method in METHODS:
        try:
            cams(subject.network, image, 0, method=method)
            methods.append(method)
        except ModelError as error:
            refused[method] = error.message
    return tuple(methods), refused


def class_maps(
    looking: Looking, shown: Sequence[Shown], methods: Sequence[Method], class_name: str | None
) -> tuple[MapFacts, ...]:
    """Maps of each class over each of the images, with their pictures.

    Raises:
        UsageError: The model has no class of this name.
    """
    subject = looking.subject
    names = subject.spec.class_names
    chosen = names[:MOST_CLASSES]
    if class_name is not None:
        chosen = (names[class_index(class_name, len(names), names)],)
    facts = []
    for number, each in enumerate(shown[:MOST_IMAGES]):
        with torch.no_grad():
            logits = subject.network(each.tensor)
        likely = torch.softmax(logits.float() / subject.spec.temperature, 1)[0].cpu().numpy()
        for name in chosen:
            index = names.index(name)
            pictures, largest = [over_image_alone(each)], dict[str, float | None]()
            for method in methods:
                found = mapped(subject.network, each.tensor, index=index, method=method)
                nothing = bool(undefined(found)[0])
                largest[method] = None if nothing else float(found.max())
                laid = None if nothing else enlarged(scaled(found), (SIDE_PX, SIDE_PX))[0]
                pictures.append(over_image(each.pixels, laid))
            picture = f"map_{number}_{index}.png"
            looking.pictures[picture] = row(pictures)
            facts.append(MapFacts(each.name, name, float(likely[index]), largest, picture))
    return tuple(facts)


def over_image_alone(each: Shown) -> NDArray[np.uint8]:
    """The image itself, as large as its maps."""
    import cv2

    size = (SIDE_PX, SIDE_PX)
    return np.asarray(cv2.resize(each.pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def checked_maps(looking: Looking, cohort: Sequence[Patches], index: int) -> Sanity | None:
    """The sanity check of Grad-CAM on patches of the cohort; None where it has none.

    Args:
        looking: The network.
        cohort: Files of patches.
        index: Of the class.
    """
    if not cohort:
        return None
    some = from_cohort(looking.subject, cohort, looking.options.checked)
    images = torch.cat([each.tensor for each in some])
    slides = [str(each.facts.get("slide_id") or each.name) for each in some]
    maps = partial(mapped, index=index, method="grad_cam")
    try:
        return sanity_check(looking.subject.network, images, maps, groups=slides)
    except HistocnnError as error:
        looking.notes.append(f"The sanity check could not be made: {error.message}.")
        return None
