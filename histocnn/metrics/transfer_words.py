"""The section on transfer in sentences, for people who read no tables."""

from __future__ import annotations

from histocnn.metrics.intervals import FEWEST
from histocnn.metrics.rates import KEPT, LOSS, LOST, Rate
from histocnn.metrics.transfer import PointTransfer, TransferReport, worth

NO_RANKING = 0.6  # AUROC below which scores hardly order patches at all
RANKED = 0.05  # of AUROC: less than this below validation counts as transferred
MUCH = 0.15  # of a share: a difference that is named though patients are too few to be sure
CHOSEN_FOR = {
    "called": "Where the highest score decides",
    "sensitivity_95": "At the threshold chosen to find 95 %",
    "specificity_95": "At the threshold chosen to leave 95 % of the rest alone",
    "youden": "At the threshold chosen for both (Youden)",
}


def words(report: TransferReport) -> tuple[str, ...]:
    """What the tables say: ranking, thresholds, how sure."""
    return tuple(filter(None, [_story(report), *_named(report), *_sure(report)]))


def ranks(report: TransferReport) -> bool | None:
    """Whether patches are ordered about as well as in validation; None where it is unknown."""
    before, after = ranking(report)
    return None if before is None or after is None else after >= before - RANKED


def ranking(report: TransferReport) -> tuple[float | None, float | None]:
    """AUROC of validation and test: the target's, else the mean over classes."""
    names = [report.target] if report.target else list(report.classes)
    pairs = [
        (own.validation_auroc, own.auroc)
        for own in (report.classes[name] for name in names if name in report.classes)
        if own.validation_auroc is not None and own.auroc is not None
    ]
    if not pairs:
        return None, None
    return sum(a for a, _ in pairs) / len(pairs), sum(b for _, b in pairs) / len(pairs)


def fallen(report: TransferReport) -> list[PointTransfer]:
    """Points whose sensitivity or specificity is lost, or much lower and not known to be."""
    return [point for point in report.points if _falls(point)]


def _falls(point: PointTransfer) -> bool:
    changes = (point.sensitivity_change, point.specificity_change)
    return any(c.verdict == LOST or (c.difference or 0) <= -MUCH for c in changes)


def _story(report: TransferReport) -> str:
    before, after = ranking(report)
    if before is None or after is None:
        return "Whether the ranking of patches transfers is unknown: a class is missing."
    good = after >= before - RANKED
    pair = f"AUROC {after:.2f} in the test, {before:.2f} in validation"
    if after < NO_RANKING and before < NO_RANKING:
        return f"The scores hardly order patches, neither in validation nor in the test: {pair}."
    if not report.points:
        return f"The ranking of patches {'transfers' if good else 'does not transfer'}: {pair}."
    kept = not fallen(report)
    if good and kept:
        return f"Ranking and thresholds look as in validation: {pair}."
    if good:
        return (
            f"The ranking transfers, the thresholds do not: {pair}, but calls at the thresholds "
            "that validation chose are not what they were."
        )
    rest = "though calls at its thresholds are about as good" if kept else "nor do the thresholds"
    return f"The ranking does not transfer: {pair}, {rest}."


def _named(report: TransferReport) -> list[str]:
    """The points that fell, in words; each side that did."""
    said = []
    for point in fallen(report)[:4]:
        for what, before, after, moved in (
            ("found", point.validation_sensitivity, point.sensitivity, point.sensitivity_change),
            ("rightly left alone", point.validation_specificity, point.specificity,
             point.specificity_change),
        ):  # fmt: skip
            if moved.verdict == LOST or (moved.difference or 0) <= -MUCH:
                side = point.class_name if what == "found" else f"not {point.class_name}"
                sure = f", {moved} (sensitivity lost)" if what == "found" else f", {moved} (lost)"
                said.append(
                    f"{CHOSEN_FOR.get(point.point, point.point)}, {_share(after)} of the patches "
                    f"that are {side} {'are' if after.of != 1 else 'is'} {what}; in validation "
                    f"{_share(before)}{sure if moved.verdict == LOST else ''}."
                )
    return said


def _share(rate: Rate) -> str:
    """A share as people say it; counts where patients are few."""
    if rate.value is None:
        return "none"
    return f"{rate.hits:,} of {rate.of:,}" if rate.groups < FEWEST else f"{rate.value:.0%}"


def _sure(report: TransferReport) -> list[str]:
    said, unit = [], report.unit
    one = unit.removesuffix("s")
    if not report.validation_groups or not report.groups:
        said.append(f"Of which {unit} the patches are is not known: counts, no verdict.")
    n = report.validation_groups
    if 0 < n < FEWEST and any(point.threshold for point in report.points):
        low, high = worth(n)
        said.append(
            f"The thresholds rest on {n} {one if n == 1 else unit} of validation: a point chosen "
            f"for 95 % sensitivity on so few is worth anything from {low:.2f} to {high:.2f} in the "
            "population (simulated), so no bounds are given."
        )
    changes = [point.sensitivity_change for point in report.points]
    if changes and not any(c.verdict == LOST for c in changes):
        enough = all(c.verdict == KEPT or (c.low or 0) > 0 for c in changes)
        n, m = report.validation_groups, report.groups
        if enough:
            power = min(c.power or 0 for c in changes)
            said.append(
                f"No loss of sensitivity is shown; one of {100 * LOSS:.0f} points would have been "
                f"seen in {power:.0%} of such comparisons."
            )
        elif n and m:
            said.append(
                f"Too few {unit} to tell ({n} in validation, {m} in the test): a loss of "
                f"{100 * LOSS:.0f} points of sensitivity could go unseen."
            )
    return said
