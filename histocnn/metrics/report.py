"""Everything that an evaluation found, as one object: metrics.json, metrics.csv, a table.

`train` and `evaluate` write the same `Report`, each with the sections it has.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeAlias

from histocnn import __version__
from histocnn.errors import MetricError
from histocnn.metrics import plain
from histocnn.metrics.prediction_sets import SetReport
from histocnn.metrics.sections import (
    AreaReport,
    ColourReport,
    ComparisonReport,
    FrocReport,
    NeighbourPoint,
    PatchReport,
    SlideReport,
    SlideRow,
    StageReport,
)
from histocnn.metrics.transfer import TransferReport

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 2
PURPOSE = "research use only"
LIBRARIES = ("numpy", "scipy", "scikit-learn")
COLUMNS = ("scope", "figure", "class", "value", "low", "high", "p", "n", "groups", "note")


Section: TypeAlias = PatchReport | SlideReport | FrocReport | SetReport


def versions() -> dict[str, str]:
    """Name the versions of histocnn, Python and what computes figures."""
    ours = {"histocnn": __version__, "python": platform.python_version()}
    return ours | {name: version(name) for name in LIBRARIES}


@dataclass(frozen=True)
class Report:
    """Everything that metrics.json holds; a section is None, or empty, where there is none.

    Attributes:
        title: What was judged, or what must be said of all figures.
        class_names: Names of the classes, in the order of `confusion`.
        patch: Figures of patches.
        split: The part of the cohort that was judged.
        colour_training: What colour alone scores by the training patients, or why that is unknown.
        colour_within: What it scores by the other judged patients, or why that is unknown.
        colour_only: Of reports that older versions wrote: `train`'s by training, `evaluate`'s
            within.
        with_border: Patches with those that an outline crosses.
        comparison: Two models on the same patches.
        centres: Patches of each centre.
        k_curve: A k-NN for fewer neighbours.
        slide: Whole slides.
        froc: Lesions.
        camelyon17: The challenge's classes and stages.
        areas: Annotated area that was lost, by class.
        slides: The cohort.
        seen: Patches by what the model saw of their patients.
        score_files: Files of scores that were read.
        model: What the score files say of their making.
        words: What was found, missed, and is not to be trusted, for people.
        transfer: Validation beside what was judged, or why it cannot be.
        sets: Prediction sets, or why there are none.
        target: The class that is looked for, where it is known.
        best_epoch: Training: the epoch whose weights were kept.
        unreadable: Training: patches that could not be read.
        stamp: What every figure, picture and page bears, such as "same patient in training".
        warnings: What makes figures too good.
        notes: What else must be known.
        versions: Of histocnn, Python and what computes figures.
        purpose: What figures are for.
        schema_version: Of metrics.json.
    """

    title: str
    class_names: tuple[str, ...]
    patch: PatchReport
    split: str | None = None
    colour_training: ColourReport | str | None = None
    colour_within: ColourReport | str | None = None
    colour_only: ColourReport | str | None = None
    with_border: PatchReport | None = None
    comparison: ComparisonReport | None = None
    centres: Mapping[str, PatchReport] = field(default_factory=dict)
    k_curve: tuple[NeighbourPoint, ...] = ()
    slide: SlideReport | None = None
    froc: FrocReport | None = None
    camelyon17: StageReport | None = None
    areas: Mapping[str, AreaReport] = field(default_factory=dict)
    slides: tuple[SlideRow, ...] = ()
    seen: Mapping[str, int] = field(default_factory=dict)
    score_files: int | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    transfer: TransferReport | str | None = None
    sets: SetReport | str | None = None
    target: str | None = None
    best_epoch: int | None = None
    unreadable: tuple[str, ...] | None = None
    stamp: str = ""
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=versions)
    purpose: str = PURPOSE
    schema_version: int = SCHEMA_VERSION

    def rows(self) -> list[dict[str, Any]]:
        """List every figure as a row of metrics.csv; undefined figures are None."""
        return [dict(zip(COLUMNS, row, strict=True)) for row in self._rows()]

    def to_dataframe(self) -> pd.DataFrame:
        """The rows of metrics.csv as a table."""
        import pandas as pd

        return pd.DataFrame(self.rows(), columns=list(COLUMNS))

    def to_json(self) -> str:
        """The text of metrics.json."""
        return plain.to_text(self)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read what `to_json` wrote.

        Raises:
            MetricError: The text is no report, or one of another version.
        """
        value = plain.parsed(text)
        stored = value.get("schema_version") if isinstance(value, dict) else None
        if stored != SCHEMA_VERSION:
            raise MetricError(
                f"metrics.json of schema version {stored}, not {SCHEMA_VERSION}",
                "Give one that this version of histocnn wrote, or evaluate again.",
            )
        report: Report = plain.read_as(cls, value)
        return report

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for scope, section in self._scopes():
            groups, note = _resting_on(section)
            about = section.n, groups, "; ".join(filter(None, [self.stamp, note])) or None
            own = {"": section.figures or {}, **getattr(section, "per_class", {})}
            for class_name, figures in own.items():
                for name, figure in figures.items():
                    bounds = (figure.value, figure.low, figure.high, None)
                    yield scope, name, class_name, *bounds, *about
        if self.comparison is not None:
            for key, gap in self.comparison.figures.items():
                name, _, class_name = key.partition(":")
                p = gap.p if gap.p_corrected is None else gap.p_corrected
                said = "p corrected (Holm)" if gap.p_corrected is not None else ""
                values = (gap.difference, gap.low, gap.high, p)
                note = "; ".join(filter(None, [self.stamp, said])) or None
                about = (self.comparison.n, None, note)
                yield "difference", name, class_name, *values, *about

    def _scopes(self) -> Iterator[tuple[str, Section]]:
        sections = {
            "patches": self.patch,
            "patches with outlines": self.with_border,
            "colour from training": _figures(self.colour_training),
            "colour only": _figures(self.colour_within or self.colour_only),
            "prediction sets": self.sets if isinstance(self.sets, SetReport) else None,
            "slides": self.slide,
            "lesions": self.froc,
            **{f"centre {name}": section for name, section in self.centres.items()},
        }
        for scope, section in sections.items():
            if section is not None:
                yield scope, section


def _figures(colour: ColourReport | str | None) -> ColourReport | None:
    return colour if isinstance(colour, ColourReport) else None


def _resting_on(section: Section) -> tuple[int | None, str | None]:
    """Groups and note of a section, as the table's last two columns."""
    note = None if isinstance(section, PatchReport | SetReport) else section.note
    if section.interval is None:
        return None, note
    return section.interval.groups, section.interval.note or note
