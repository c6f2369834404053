"""What the page and inspect.json say of maps of a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from histocnn.inspection.localisation import Pointing
from histocnn.inspection.sanity import Sanity


@dataclass(frozen=True)
class MapFacts:
    """The maps of one class over one image.

    Attributes:
        image: Its name.
        of_class: The class.
        probability: That the network gives it, at the model's temperature.
        largest: Of each method's map, in the outputs' units; None: nothing is above 0.
        picture: The image, and the map of each method, in the methods' order.
    """

    image: str
    of_class: str
    probability: float
    largest: Mapping[str, float | None]
    picture: str


@dataclass(frozen=True)
class SlideFacts:
    """A class over a slide: the range of its score and of its attribution, and the picture."""

    slide_id: str
    of_class: str
    windows: int
    score: tuple[float, float]
    attribution: tuple[float, float]
    picture: str


@dataclass(frozen=True)
class ClassMaps:
    """Everything about maps of a class.

    Attributes:
        methods: That could be made.
        refused: Why the others could not.
        maps: Of each image and class.
        of_class: What sanity and localisation are of.
        sanity: The check of Grad-CAM; None: there are no patches to check it on.
        located: How right the methods are; empty: nobody drew the truth.
        slides: Whole slides.
    """

    methods: tuple[str, ...]
    refused: Mapping[str, str]
    maps: tuple[MapFacts, ...]
    of_class: str
    sanity: Sanity | None = None
    located: tuple[Pointing, ...] = ()
    slides: tuple[SlideFacts, ...] = field(default=())
