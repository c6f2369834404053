"""Figures with their intervals, and the sections of a report that they stand in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """A number with its interval of 95 %.

    Attributes:
        value: None where the figure is undefined, such as the AUROC of one class.
        low: Lower bound; None without an interval.
        high: Upper bound; None without an interval.

    >>> str(Figure(0.9123, 0.871, 0.944)), str(Figure(0.9, None, None))
    ('0.912 (0.871 to 0.944)', '0.900')
    >>> str(Figure(None, None, None))
    'undefined'
    """

    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        """The figure as people write it."""
        if self.value is None:
            return "undefined"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


Figures = Mapping[str, Figure]


@dataclass(frozen=True)
class Interval:
    """What the intervals of a section rest on.

    Attributes:
        unit: What was resampled: patients, slides, patches.
        groups: How many of them have a part in the figures.
        replicates: Replicates used; 0 without intervals.
        redrawn: Draws thrown away because they lacked a class.
        note: Empty, "few patients", or why there is no interval.
        level: Coverage.
        method: How the bounds were made.
    """

    unit: str
    groups: int
    replicates: int
    redrawn: int
    note: str
    level: float = 0.95
    method: str = "percentile bootstrap"

    @property
    def of(self) -> str:
        """What figures rest on: " of 12 patients", " of 1 slide"; empty where it is unknown."""
        unit = self.unit.removesuffix("s") if self.groups == 1 else self.unit
        return f" of {self.groups:,} {unit}" if self.groups else ""


@dataclass(frozen=True)
class ReliabilityBin:
    """Patches whose confidence lies in one bin: how many, how sure, how often right."""

    n: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class PatchReport:
    """Figures of patches.

    Attributes:
        n: Patches that figures are made from.
        n_unlabelled: Patches left out because their truth is unknown.
        n_unscored: Patches left out because they have no score.
        figures: Figures of all classes together, by name.
        per_class: Figures of each class, by its name.
        confusion: Patches by true (row) and called class (column).
        reliability: Bins of confidence, from 0 to 1.
        interval: What the intervals rest on.
        ece_before: Calibration error before the temperature was applied.
    """

    n: int
    n_unlabelled: int
    n_unscored: int
    figures: Figures
    per_class: Mapping[str, Figures]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[ReliabilityBin, ...]
    interval: Interval
    ece_before: float | None = None


@dataclass(frozen=True)
class Gap:
    """One figure of two models: difference, first minus second, two-sided p, `multiplicity`'s p."""

    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None = None

    @property
    def change(self) -> Figure:
        """The difference as a figure."""
        return Figure(self.difference, self.low, self.high)


@dataclass(frozen=True)
class ColourReport(PatchReport):
    """Figures of k-NN on nothing but each patch's mean and deviation of red, green and blue.

    Attributes:
        scores: Figures of the judged scores on the same patches.
        folds: What the neighbours were looked for among.
        differences: The scores' figures minus colour's, paired by patient.
    """

    scores: Figures = field(default_factory=dict)
    folds: str = ""
    differences: Mapping[str, Gap] = field(default_factory=dict)


@dataclass(frozen=True)
class ComparisonReport:
    """Two models on the patches that both scored.

    Attributes:
        n: Patches.
        unit: What was resampled.
        first: Name of the first model's scores.
        second: Name of the second's.
        figures: Differences by figure; a class's as `figure:class`.
        note: Why there are no p-values, or empty.
        primary: The figure that was named beforehand.
    """

    n: int
    unit: str
    first: str
    second: str
    figures: Mapping[str, Gap]
    note: str
    primary: str | None = None


@dataclass(frozen=True)
class NeighbourPoint:
    """Figures of a k-NN for one number of neighbours."""

    k: int
    accuracy: float | None
    balanced_accuracy: float | None
    macro_auroc: float | None


@dataclass(frozen=True)
class DeLong:
    """The slide AUROC's interval by DeLong's method, which takes slides as independent.

    Attributes:
        low: Lower bound; None where the note says why there is none.
        high: Upper bound, likewise.
        note: Why there is none, or what must be known of it.
    """

    low: float | None
    high: float | None
    note: str | None = None

    def around(self, auroc: Figure) -> Figure:
        """The AUROC with this interval."""
        return Figure(auroc.value, self.low, self.high)


@dataclass(frozen=True)
class SlideReport:
    """AUROC of whole slides, each scored by its most probable patch.

    Attributes:
        target: The class whose presence makes a slide positive.
        n: Slides of which it is known.
        positive: Those that have it.
        score: How a slide is scored.
        figures: `auroc`.
        note: Why it is undefined, or empty.
        interval: What the bootstrap's interval rests on.
        delong: DeLong's interval, or why there is none.
    """

    target: str
    n: int
    positive: int
    score: str
    figures: Figures
    note: str
    interval: Interval | None = None
    delong: DeLong | None = None


@dataclass(frozen=True)
class FrocReport:
    """Lesions found against false positives.

    Attributes:
        n: Slides whose lesions, or whose lack of them, are known.
        lesions: Lesions to find.
        normal: Slides without any.
        unknown: Slides left out because nothing is known of their lesions.
        left_out: Slides that the challenge leaves out.
        mode: Between two points of the curve: `interp` or `step`.
        fp_slides: Slides on which false positives are counted: `all` or `normal`.
        note: Why there are no figures, or empty.
        excluded_detections: Detections inside `Exclusion`, neither right nor wrong.
        radius_um: Of two detections closer than this the more probable one counts.
        min_prob: Least probability of a detection.
        figures: Sensitivities at six rates of false positives, and their mean.
        interval: What the intervals rest on.
    """

    n: int
    lesions: int
    normal: int
    unknown: int
    left_out: tuple[str, ...]
    mode: str
    fp_slides: str
    note: str
    excluded_detections: int = 0
    radius_um: float | None = None
    min_prob: float | None = None
    figures: Figures | None = None
    interval: Interval | None = None


@dataclass(frozen=True)
class StageReport:
    """CAMELYON17's classes of slides and stages of patients: the rule, and its kappas.

    Attributes:
        threshold: Probability from which a cell is tumour.
        merge_um: Foci at most this far apart are one.
        fitted_kappa: Of the nodes that both were fitted on.
        slide_kappa: Of the slides' classes.
        patients: Patients that are compared; None where slides do not bear the challenge's names.
        patient_kappa: Of their stages.
        patients_left_out: Those with a node that lacks its label or its scores.
    """

    threshold: float
    merge_um: float
    fitted_kappa: float | None
    slide_kappa: float | None
    patients: int | None
    patient_kappa: float | None
    patients_left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class AreaReport:
    """Annotated area of a class, its parts in tissue and in patches, and slides that lose much.

    The part in tissue is None where it is not known of every slide.
    """

    annotated_um2: float
    in_tissue_um2: float | None
    in_patches_um2: float
    below_98: tuple[str, ...]


@dataclass(frozen=True)
class SlideRow:
    """One slide of the cohort: what it is, how many patches were judged, and how well."""

    slide_id: str
    centre: str | None
    scanner: str | None
    label: str | None
    patches: int
    judged: int
    unscored: int
    accuracy: float | None
    seen: str
    patient_id: str | None = None
