"""What is asked of an evaluation: its flags, gathered by what they decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from histocnn.errors import UsageError
from histocnn.jobs.ranges import NonNegativeFloat, NonNegativeInt, Probability, check_ranges


@dataclass(frozen=True)
class Resampling:
    """How intervals are made.

    Raises:
        UsageError: Fewer than one replicate, or a seed below 0.

    >>> Resampling(0)
    Traceback (most recent call last):
        ...
    histocnn.errors.UsageError: --replicates 0 is no number of replicates. Give 1000.
    """

    replicates: int = 1000
    seed: NonNegativeInt = 0

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.replicates < 1:
            raise UsageError(
                f"--replicates {self.replicates} is no number of replicates", "Give 1000."
            )


@dataclass(frozen=True)
class Inputs:
    """What is read, and what of it may be evaluated.

    Attributes:
        scores: Folder of score files, or one of them.
        slides: slides.csv.
        split: Only the slides that slides.csv puts in this split.
        match: Scores' class to truth's class, where names differ.
        compare: A second model's scores.
        primary: The figure of the comparison that is tested; None: the mean AUROC.
        allow_seen: Evaluate patients that were seen in training.
        allow_shared_patient: Evaluate slides of patients of whom others were trained on.
        allow_missing: Evaluate although slides of slides.csv have no scores.

    Raises:
        UsageError: A primary figure is named, and nothing is compared.
    """

    scores: Path
    slides: Path | None = None
    split: str | None = None
    match: Mapping[str, str] = field(default_factory=dict)
    compare: Path | None = None
    primary: str | None = None
    allow_seen: bool = False
    allow_shared_patient: bool = False
    allow_missing: bool = False

    def __post_init__(self) -> None:
        if self.primary is not None and self.compare is None:
            raise UsageError(
                f"--primary {self.primary} without a comparison", "Give --compare, too."
            )


@dataclass(frozen=True)
class LesionOptions:
    """What decides the FROC; `stages.evaluate.evaluate` has the words of each."""

    froc: Literal["interp", "step"] = "interp"
    fp_slides: Literal["all", "normal"] = "all"
    radius_um: NonNegativeFloat = 200.0
    min_prob: Probability = 0.1
    detections: Path | None = None

    def __post_init__(self) -> None:
        check_ranges(self)


@dataclass(frozen=True)
class StageOptions:
    """CAMELYON17: when a cell is tumour, which foci are one, and the nodes to fit these two on."""

    threshold: float = 0.5
    merge_um: float = 0.0
    fit: Path | None = None


@dataclass(frozen=True)
class Options:
    """All of them.

    Attributes:
        inputs: What is read.
        target: Class whose presence makes a slide positive.
        lesions: What decides the FROC.
        stages: CAMELYON17's rule.
        resampling: How intervals are made.
        show_ids: Write patient ids and absolute paths into the report, too.
    """

    inputs: Inputs
    target: str | None = None
    lesions: LesionOptions = LesionOptions()
    stages: StageOptions = StageOptions()
    resampling: Resampling = Resampling()
    show_ids: bool = False
