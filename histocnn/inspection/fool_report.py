"""What fool.json holds: every trial with its figures, and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from histocnn import __version__
from histocnn.errors import UsageError
from histocnn.jobs.ranges import NonNegativeInt, PositiveInt, check_range, check_ranges
from histocnn.metrics.sections import Figures, Interval

Kind = Literal["tissue", "attack", "change", "noise", "thing", "ascent"]

SCHEMA_VERSION = 1
NOTICED = 0.95  # AUROC from which a detector is said to notice


@dataclass(frozen=True)
class Options:
    """How much is tried.

    Attributes:
        most: Patches that are judged.
        reference_most: Patches that the detectors learn from.
        made_up: Pictures of each kind of noise, of each class's ascent, and of things.
        epsilons: Bounds of the attacks, grey levels of 255.
        steps: Of PGD.
        layers: Of the backbone, by whose features neighbours and Mahalanobis go; empty: those that
            the model is embedded by, or what its last layer is given.
        seed: Of every drawing.
    """

    most: PositiveInt = 128
    reference_most: PositiveInt = 1000
    made_up: PositiveInt = 64
    epsilons: tuple[PositiveInt, ...] = (1, 2, 4, 8)
    steps: PositiveInt = 10
    layers: tuple[str, ...] = ()
    seed: NonNegativeInt = 0

    def __post_init__(self) -> None:
        check_ranges(self)
        for epsilon in self.epsilons:
            check_range("epsilons", epsilon, PositiveInt)
        if not self.epsilons:
            raise UsageError("--epsilons names no bound of an attack", "Give some, such as [1,8].")


@dataclass(frozen=True)
class Trial:
    """What came of one kind of picture.

    Attributes:
        kind: Of the picture.
        name: As a page says it.
        n: Pictures.
        figures: `accuracy` where there is a right answer, mean `confidence`, the share `sure` (at
            0.99 or above), and `auroc_<detector>`: the pictures against tissue as it is.
        interval: What the figures' intervals rest on.
        called: Pictures called each class.
        novelty: Their median, %.
        epsilon: Bound of an attack, grey levels; None of what is no attack.
    """

    kind: Kind
    name: str
    n: int
    figures: Figures
    interval: Interval
    called: Mapping[str, int]
    novelty: float
    epsilon: int | None = None


@dataclass(frozen=True)
class FoolReport:
    """fool.json: all trials, and what they rest on.

    Attributes:
        model: The file's name.
        backbone: Its network.
        class_names: Its classes.
        truth: What accuracy is of: "labels", or "agreement" with the call of the unchanged patch.
        judged: Patches that are judged.
        reference: Patches that the detectors learnt from.
        reference_is: How these were kept apart.
        apart: Whether no patient (slide where unknown) is in both.
        temperature: Of the confidence.
        neighbours: k of the novelty.
        trials: The first is tissue as it is.
        notes: What is to be said of them.
        settings: How much was tried.
        schema_version: Of this form.
        version: Of histocnn.
    """

    model: str
    backbone: str
    class_names: tuple[str, ...]
    truth: Literal["labels", "agreement"]
    judged: int
    reference: int
    reference_is: str
    apart: bool
    temperature: float
    neighbours: int
    trials: tuple[Trial, ...]
    notes: tuple[str, ...]
    settings: Options
    schema_version: int = SCHEMA_VERSION
    version: str = __version__


class Exhibit(NamedTuple):
    """Some pictures of a trial: pixels [n, H, W, 3], the call of each, confidence, novelty in %."""

    pixels: NDArray[np.uint8]
    called: list[str]
    confidence: list[float]
    novelty: list[float]
