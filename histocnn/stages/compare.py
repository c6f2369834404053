"""`histocnn compare`: which encoder for my data? Features of the same patches, side by side.

>>> import histocnn
>>> result = histocnn.compare(("uni", "phikon"), "compared")  # doctest: +SKIP
>>> result.rows[0]["name"], result.rows[0]["knn_balanced_accuracy"]  # doctest: +SKIP
('uni', 0.913)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from histocnn.cohort.sheet import listed
from histocnn.jobs.ownership import check_apart, check_files, claim_files
from histocnn.jobs.ranges import NonNegativeInt, PositiveInt
from histocnn.jobs.result import StageResult

if TYPE_CHECKING:
    from histocnn.evaluation.encoder_report import Compared


@dataclass(frozen=True)
class CompareResult(StageResult):
    """What a comparison gives back: its `report`, and a row per network."""

    report: Compared | None = None


def compare(
    features: tuple[str, ...] | str,
    out: str | Path,
    k: PositiveInt = 20,
    folds: PositiveInt = 5,
    shots: PositiveInt = 64,
    seeds: PositiveInt = 20,
    against: Literal["best", "first"] = "best",
    colour: bool = True,
    slides: str | Path | None = None,
    replicates: PositiveInt = 1000,
    seed: NonNegativeInt = 0,
) -> CompareResult:
    """Compare encoders by their features of the same labelled patches.

    Writes OUT/compare.html, OUT/compare.csv (a row per encoder) and OUT/compare.json (all
    figures): k-NN, linear probe and few shots, each patient judged by the others, with intervals
    over patients and paired differences; colour alone beside them.

    Args:
        features: Two or more folders of features of the same patches, or one to probe it alone.
        out: Folder for the page and the tables.
        k: Neighbours; the curve has other numbers, too.
        folds: Parts of the patients (slides where unknown, stain groups of pictures where neither
            is), each judged by the others.
        shots: Labelled patches per class at most: 1, 2, 4 ….
        seeds: Draws of the few.
        against: Compare each with the best, or with the first.
        colour: Put colour alone into the table, too.
        slides: A slides.csv that says whose the slides are.
        replicates: Of the bootstrap.
        seed: Of the folds.

    Returns:
        The files, the report, and a row per encoder.
    """
    from histocnn.evaluation.encoder_comparing import compared
    from histocnn.evaluation.encoder_trial import Protocol
    from histocnn.evaluation.encoder_writing import FILES, printed, table, words, write_comparison

    out = Path(out)
    folders = [Path(each) for each in ((features,) if isinstance(features, str) else features)]
    check_apart(out, folders)
    check_files(out, "compare", FILES, lambda: False)
    report = compared(
        folders,
        Protocol(k, folds, shots, seeds, seed),
        entries=listed(None if slides is None else Path(slides)),
        against=against,
        replicates=replicates,
        colour=colour,
    )
    claim_files(out, "compare", FILES)
    outputs = write_comparison(out, report)
    for line in [*printed(report), "", *words(report)]:
        print(line)
    return CompareResult(outputs=outputs, rows=table(report), report=report)
