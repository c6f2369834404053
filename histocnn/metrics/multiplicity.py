"""Many figures of one comparison: one named beforehand is tested, the others are corrected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.errors import UsageError
from histocnn.metrics.sections import ComparisonReport, Gap

PRIMARY = "macro_auroc"
SURE = 0.05


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """p-values of a family so corrected that one of them is falsely below 0.05 in 5 % of families.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 1979.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return corrected


def corrected(report: ComparisonReport, primary: str = PRIMARY, replicates: int = 0) -> (
    ComparisonReport
):  # fmt: skip
    """Test one figure, and the rest only where that one differs: Holm's correction among them.

    Of figures that are one by another name (in two classes: each one's AUROC) one is counted. The
    chance that anything at all is called different between equals so stays that of the primary.

    Args:
        report: The comparison.
        primary: The figure named beforehand, a key of `report.figures`.
        replicates: Of the bootstrap, for the note on how small a p can be; 0: unknown.

    Raises:
        UsageError: There is no such figure.
    """
    if primary not in report.figures:
        known = ", ".join(key for key in report.figures if ":" not in key)
        raise UsageError(
            f"--primary {primary}: no figure of the comparison",
            f"Name one of {known}, or one class's as auroc:{_classes(report.figures)[0]}.",
        )
    first = report.figures[primary]
    rest = {key: gap for key, gap in report.figures.items() if key != primary and gap.p is not None}
    if first.p is None:
        return replace(report, primary=primary)
    families = list(dict.fromkeys(map(_itself, rest.values())))
    of = dict(zip(families, holm([p for *_, p in families]), strict=True))
    figures = {
        key: replace(gap, p_corrected=max(first.p, float(of[_itself(gap)]))) if key in rest else gap
        for key, gap in report.figures.items()
    }
    least = 2 / (replicates + 1) * len(families) if replicates else 0
    note = (
        f"{replicates:,} replicates cannot show a difference in the {len(families)} other figures "
        f"after the correction: give --replicates {int(40 * len(families) * 1.25):,} or more"
    )
    said = "; ".join(filter(None, [report.note, note if least > SURE else ""]))
    return replace(report, figures=figures, primary=primary, note=said)


def _itself(gap: Gap) -> tuple[float, float, float, float]:
    """What a difference is, whatever the figure's name and sign."""
    values = (gap.difference, gap.low, gap.high)
    size, low, high = (round(abs(value), 12) if value is not None else 0.0 for value in values)
    return size, min(low, high), max(low, high), float(gap.p or 0)


def _classes(figures: Mapping[str, Gap]) -> list[str]:
    return list(dict.fromkeys(key.partition(":")[2] for key in figures if ":" in key))
