"""What inspect.json holds: every number of the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from histocnn import __version__
from histocnn.inspection.architecture import Architecture
from histocnn.inspection.map_facts import ClassMaps

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class FilterFacts:
    """The first layer's weights: its name, how many filters of which shape, their range."""

    layer: str
    filters: int
    shape: tuple[int, int, int]
    low: float
    high: float
    picture: str


@dataclass(frozen=True)
class FieldFacts:
    """A layer's effective field; pairs are (x, y), None where nothing moves its centre unit."""

    layer: str
    images: int
    width_px: tuple[float, float] | None
    width_um: tuple[float, float] | None
    receptive_px: tuple[float, float] | None
    picture: str


@dataclass(frozen=True)
class ChannelFacts:
    """What excites one channel of a layer.

    Attributes:
        channel: From 0.
        begun: Its mean activation for the noise that the pattern began with.
        reached: For the pattern.
        patches: Of the strongest: slide, place and the value of the strongest unit.
    """

    channel: int
    begun: float
    reached: float
    patches: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class LayerFacts:
    """What excites a layer's channels: how many of them are shown, and the picture."""

    layer: str
    channels: int
    pattern_px: int
    steps: int
    shown: tuple[ChannelFacts, ...]
    picture: str


@dataclass(frozen=True)
class ActivationFacts:
    """A layer's channels for one image, on the layer's colour scale.

    Attributes:
        image: Its name.
        layer: Its name.
        shape: Of its output for one image.
        low: Of the colour scale, which all images share.
        high: Of it: 99.9 % of the values lie below.
        dead: Channels that give one value everywhere on this image.
        dead_everywhere: On all shown images.
        picture: File.
    """

    image: str
    layer: str
    shape: tuple[int, ...]
    low: float
    high: float
    dead: tuple[int, ...]
    dead_everywhere: int
    picture: str


@dataclass(frozen=True)
class InspectReport:
    """Every number of inspect.html.

    Attributes:
        title: The network, and its file.
        class_names: Of a model's head.
        input_px: Side of its input.
        mpp: µm per pixel of the input; None: unknown.
        architecture: The table of layers.
        filters: Of the first layer; None: it has none to show.
        fields: Effective fields.
        excited: What excites channels.
        images: Facts of the images that are shown, by name.
        activations: Of each image and layer.
        patches_seen: How many patches the most exciting ones were sought among.
        patches: How many there are.
        maps: Class activation maps and what became of their checks; None of a bare backbone.
        seed: Of noise.
        seconds: That each part took.
        notes: What is to be said.
        pictures: Names of the files beside the page: what a later run may remove.
    """

    title: str
    class_names: tuple[str, ...]
    input_px: int
    mpp: float | None
    architecture: Architecture
    filters: FilterFacts | None
    fields: tuple[FieldFacts, ...]
    excited: tuple[LayerFacts, ...]
    images: Mapping[str, Mapping[str, Any]]
    activations: tuple[ActivationFacts, ...]
    patches_seen: int
    patches: int
    seed: int
    seconds: Mapping[str, float]
    notes: tuple[str, ...]
    maps: ClassMaps | None = None
    pictures: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION
    version: str = __version__
