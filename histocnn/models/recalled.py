"""The network that made features, found again from what their file says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from histocnn.errors import FeaturesError
from histocnn.metrics.terms import Terms
from histocnn.models.custom import check_typed
from histocnn.models.embedding import Source
from histocnn.models.encoders import find
from histocnn.models.spec import read_spec
from histocnn.patches import door
from histocnn.storage.json import differing_keys, to_json


def recalled(
    file: Path,
    *,
    backbone: str | None = None,
    weights: str | None = None,
    model: Path | None = None,
) -> Source:
    """What embed was told when it made a file of features, but for where the weights lie.

    An encoder's weights in the hub's cache are taken from there.

    Args:
        file: The features.
        backbone: Typed once more, where a file's own word is not enough (`custom.check_typed`).
        weights: The file of weights, or `imagenet`.
        model: A model of ours that made them.

    Raises:
        FeaturesError: The file does not say which network made its features.
        ModelError: As `custom.check_typed`.
    """
    attributes = door.attributes(file)
    stored = network_of(file, attributes)
    how = Source(
        backbone=str(stored.get("backbone")),
        weights=weights,
        model=None,
        layers=tuple(stored.get("layers") or ()),
        input_px=None if stored.get("resize_px") else stored.get("input_px"),
        stain="macenko" if stored.get("stain") else None,
        tta=bool(stored.get("tta")),
        arguments=to_json(stored.get("arguments") or {}),
        pool=None if stored.get("layers") else stored.get("pool"),
        allow_partial=bool(stored.get("allow_partial")),
        any_scale=True,  # of which scale they are was asked when they were made
    )
    if model is not None:
        own = read_spec(model).stain
        stain = None if own == stored.get("stain") else how.stain
        return replace(how, backbone=backbone, weights=None, model=model, stain=stain,
                       arguments="{}", pool=None, allow_partial=False)  # fmt: skip
    encoder = find(Terms.stored_in(attributes).encoder)
    if encoder is not None and not encoder.is_library_s:
        if weights is None and (found := encoder.cached()) is not None:
            how = replace(how, weights=str(found))
        # With a file of weights nobody is asked for them, and the name need not be typed again.
        check_typed(file, encoder.name, backbone or (encoder.name if how.weights else None))
        return replace(how, backbone=encoder.name)
    check_typed(file, str(how.backbone), backbone)
    return how


def network_of(file: Path, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a file of features says of the network that made them.

    Raises:
        FeaturesError: Nothing.
    """
    network = (attributes.get("recipe") or {}).get("network")
    if not isinstance(network, Mapping) or not network:
        raise FeaturesError(
            f"{file}: does not say which network made its features",
            "Make them with histocnn embed.",
        )
    return network


def check_is_it(file: Path, network: Mapping[str, Any], source: Source) -> None:
    """Refuse a network that is not the one that made a file of features.

    Args:
        file: The features.
        network: As `Source.describe` gives it.
        source: Where it came from, for the message.

    Raises:
        FeaturesError: With what differs.
    """
    stored = network_of(file, door.attributes(file))
    if keys := differing_keys(stored, network):
        given = source.model or source.weights or source.backbone
        raise FeaturesError(
            f"{file}: was not made by {given} (what differs: {', '.join(keys)})",
            "Give the --weights, or the --model, that embed was given for it.",
        )
