"""The table of formats: what each is called on disk, which options it knows, who writes it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from histocnn.cohort.sheet import read_cohort
from histocnn.errors import HistocnnError, UsageError, one_line
from histocnn.jobs import run as runs
from histocnn.jobs.ranges import NonNegativeFloat, Probability, check_ranges
from histocnn.metrics.terms import Terms
from histocnn.patches import door
from histocnn.patches.patches import FilePatches, open_files
from histocnn.pictures.palette import check_colours, parse_colours
from histocnn.regions.geojson import Frame
from histocnn.scores.scored import ScoredSlide, read_scored
from histocnn.scores.scorefile import score_files
from histocnn.storage.hashing import sha256

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Annotated = Mapping[str, Path | None]  # slide id to its annotation
Format = Literal["geojson", "csv", "ome-tiff", "asap", "camelyon16", "parquet", "anndata"]


class Kind(NamedTuple):
    """A format's suffix, the options that change its files, and the package it needs."""

    suffix: str
    options: tuple[str, ...] = ()
    package: str | None = None  # also the name of the extra's package


KINDS: Mapping[Format, Kind] = {
    "geojson": Kind(".geojson", ("merge", "frame", "colours")),
    "csv": Kind(".csv"),
    "ome-tiff": Kind(".ome.tiff"),
    "asap": Kind(".xml", ("merge", "colours")),
    "camelyon16": Kind(".csv", ("radius_um", "min_prob", "frame")),
    "parquet": Kind(".parquet", package="pyarrow"),
    "anndata": Kind(".h5ad", package="anndata"),
}


@dataclass(frozen=True)
class ExportOptions:
    """What is written.

    Attributes:
        to: The format.
        class_name: Write this class only; camelyon16 needs it.
        merge: Dissolve connected patches from this probability on; None keeps them single.
        frame: Origin of GeoJSON where a slide has bounds: QuPath's, or level 0.
        radius_um: Of two detections closer than this the more probable one counts.
        min_prob: Least probability of a detection.
        slides: slides.csv, to leave out camelyon16's detections in its annotations' Exclusion.
        colours: Of classes, CLASS=COLOUR, separated by commas.

    Raises:
        UsageError: A number out of range, or an option that the format does not know.
    """

    to: Format
    class_name: str | None = None
    merge: Probability | None = None
    frame: Frame = "bounds"
    radius_um: NonNegativeFloat = 200.0
    min_prob: Probability = 0.1
    slides: Path | None = None
    colours: str = ""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.merge is not None and "merge" not in KINDS[self.to].options:
            raise UsageError(
                f"--merge has no meaning for {self.to}", "Leave it out, or ask for geojson."
            )
        if parse_colours(self.colours) and "colours" not in KINDS[self.to].options:
            raise UsageError(
                f"--colours has no meaning for {self.to}", "Leave it out, or ask for geojson."
            )
        if self.to == "camelyon16" and self.class_name is None:
            raise UsageError("camelyon16 is about one class", "Name it with --class_name.")
        if self.slides is not None and self.to != "camelyon16":
            raise UsageError(f"--slides has no meaning for {self.to}", "Leave it out.")

    @property
    def recipe(self) -> dict[str, Any]:
        """What decides a file, the input aside; without colours as version 0.1.0 had it."""
        more = {name: getattr(self, name) for name in KINDS[self.to].options}
        if not self.colours:
            more.pop("colours", None)
        return {"stage": "export", "to": self.to, "class_name": self.class_name, **more}


def export_scores(
    scores: Path, out: Path, options: ExportOptions, *, workers: int = 1
) -> runs.Summary:
    """Write the file of every slide.

    Args:
        scores: A folder of score files, or one.
        out: Folder for the files.
        options: What is written.
        workers: Slides in parallel processes.

    Raises:
        UsageError: The format needs a package that is not installed.
        StoreError: No score files, or `out` cannot be written.
    """
    kind, sheet = KINDS[options.to], options.slides
    if kind.package and importlib.util.find_spec(kind.package) is None:
        raise UsageError(
            f"--to {options.to} needs {kind.package}, which is not installed",
            f"Install it: pip install 'histocnn[{options.to}]'.",
        )
    files = score_files(scores)
    _say_terms(files)
    if options.to == "anndata" and options.class_name is not None:
        _check_scored(files)
    drawn = {row.slide_id: row.annotation_path for row in read_cohort(sheet)} if sheet else {}
    return runs.run(
        open_files(files),
        out=out,
        command="export",
        source=scores,
        recipe=partial(_recipe, options=options, annotations=drawn),
        work=partial(_export_slide, options=options, annotations=drawn),
        workers=workers,
        files=runs.Files(kind.suffix),
    )


def _say_terms(files: Sequence[Path]) -> None:
    """Print whose licences bind what is exported; nothing is refused."""
    found: dict[Terms, None] = {}
    for file in files:
        with suppress(HistocnnError):  # what is wrong with a file is said where it is exported
            found[Terms.stored_in(door.attributes(file))] = None
    for terms in found:
        if terms.is_bound:
            print(one_line(terms.sentence()), file=sys.stderr)


def _check_scored(files: Sequence[Path]) -> None:
    for file in files:
        if "scores.class_names" not in door.attributes(file):
            raise UsageError(
                f"{file}: features, which have no class to choose", "Leave --class_name out."
            )


def _recipe(patches: FilePatches, options: ExportOptions, annotations: Annotated) -> dict[str, Any]:
    """The options, the hash of the scores, and of the annotation where one is asked for."""
    recipe = {**options.recipe, "scores": sha256(patches.file)}
    if options.to == "camelyon16":
        drawn = annotations.get(patches.slide_id)
        recipe |= {"annotation": sha256(drawn) if drawn else None}
    return recipe


def _export_slide(
    patches: FilePatches,
    target: Path,
    recipe: Mapping[str, Any],
    tick: runs.Tick,
    *,
    options: ExportOptions,
    annotations: Annotated,
) -> dict[str, Any]:
    """Write one slide's file."""
    notes: list[str] = []
    if options.to in ("parquet", "anndata"):
        total = _write_table(patches, target, options)
    else:
        slide = read_scored(patches.file)
        exclusion = _exclusion(patches, slide, annotations.get(patches.slide_id), options.frame)
        notes = _write_slide(slide, target, options, exclusion)
        total = len(slide.grid)
    if annotations and patches.slide_id not in annotations:
        notes.append("slides.csv does not list it: nothing excluded")
    tick(total, total)
    return {"patches": total, "outcome": "ok" if total else "no patches", "notes": notes}


def _write_table(patches: FilePatches, target: Path, options: ExportOptions) -> int:
    """Write a table of patches, of a slide or not; returns how many."""
    if options.to == "parquet":
        from histocnn.exports.parquet import write_parquet

        return write_parquet(patches, target, class_name=options.class_name)
    from histocnn.exports.annotated import write_anndata

    return write_anndata(patches, target, class_name=options.class_name)


def _write_slide(
    slide: ScoredSlide, target: Path, options: ExportOptions, exclusion: BaseGeometry | None
) -> list[str]:
    """Write what lies on a slide; returns what is to be said of it."""
    from histocnn.exports import asap, ometiff, qupath, tables

    classes, chosen = slide.only(options.class_name), parse_colours(options.colours)
    check_colours(chosen, slide.class_names)
    match options:
        case ExportOptions(to="geojson", merge=None, frame=frame):
            qupath.write_detections(slide, target, classes=classes, frame=frame, chosen=chosen)
        case ExportOptions(to="geojson", merge=threshold, frame=frame) if threshold is not None:
            qupath.write_foci(
                slide, target, classes=classes, threshold=threshold, frame=frame, chosen=chosen
            )
        case ExportOptions(to="asap", merge=threshold):
            asap.write_asap(slide, target, classes=classes, threshold=threshold, chosen=chosen)
        case ExportOptions(to="csv"):
            tables.write_wsinfer(slide, target, classes=classes)
        case ExportOptions(to="ome-tiff"):
            ometiff.write_ome_tiff(slide, target, classes=classes)
        case ExportOptions(to="camelyon16", radius_um=radius_um, min_prob=least):
            left_out = tables.write_camelyon16(
                slide, target, *classes, radius_um=radius_um, min_prob=least,
                exclusion=exclusion,
            )  # fmt: skip
            return [f"{left_out} detections inside Exclusion left out"] * bool(left_out)
    return []


def _exclusion(
    patches: FilePatches, slide: ScoredSlide, annotation: Path | None, frame: Frame
) -> BaseGeometry | None:
    """Where nothing counts, in level-0 pixels, as `evaluate` reads it; None where nobody said so.

    `frame` counts for files that do not say in which one their grid's annotation was read.
    """
    from histocnn.patches.truth import TruthRule, recorded_rule

    if annotation is None:
        return None
    rule = recorded_rule(patches.attributes, patches.file) or TruthRule(frame=frame)
    return rule.read(annotation, slide.grid.size_l0, slide.bounds_l0).exclusion
