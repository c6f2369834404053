"""The first screen of a report: what was found, what was missed, what is not to be trusted."""

from __future__ import annotations

from collections.abc import Iterator

from histocnn.metrics.intervals import FEW, FEWEST
from histocnn.metrics.prediction_sets import SetReport
from histocnn.metrics.report import Report
from histocnn.metrics.sections import ColourReport, SlideReport
from histocnn.metrics.transfer import TransferReport
from histocnn.metrics.transfer_words import fallen, ranks

MISJUDGED = 0.1  # calibration error from which probabilities are not to be believed
MEASURE = "macro_auroc"  # by which colour alone is compared


def plain_words(report: Report) -> tuple[str, str, str]:
    """Three sentences or so each, for people who read no tables."""
    if report.target is None:
        return (*_of_classes(report), _distrust(report))
    return _found(report, report.target), _missed(report, report.target), _distrust(report)


def _found(report: Report, target: str) -> str:
    k = report.class_names.index(target)
    row = report.patch.confusion[k]
    of, hits = sum(row), row[k]
    if not of:
        return f"Found: nothing to find, no judged patch is {target}."
    said = f"Found: {_part(hits, of)} patches of {target}{report.patch.interval.of}"
    if report.froc and report.froc.figures:
        once = report.froc.figures.get("sensitivity_at_1_fp")
        if once is not None and once.value is not None:
            lesions = (
                f"{_tidy(once.value * report.froc.lesions)} of {report.froc.lesions:,} lesions"
            )
            said += f"; {lesions}, if one false alarm per slide is allowed"
    return f"{said}.{_slides(report.slide, target)}"


def _slides(slide: SlideReport | None, target: str) -> str:
    """How slides are ordered, as pairs of one with and one without the target."""
    auroc = slide.figures["auroc"].value if slide else None
    if slide is None or auroc is None:
        return ""
    pairs = slide.positive * (slide.n - slide.positive)
    if auroc == 1:
        return (
            f" All {slide.positive:,} slides with {target} score above all "
            f"{slide.n - slide.positive:,} without."
        )
    ordered = _tidy(auroc * pairs)
    return (
        f" In {ordered} of {pairs:,} pairs of a slide with {target} and one without, the one with "
        "it scores higher."
    )


def _missed(report: Report, target: str) -> str:
    k, confusion = report.class_names.index(target), report.patch.confusion
    missed = sum(confusion[k]) - confusion[k][k]
    others = [row for i, row in enumerate(confusion) if i != k]
    false, of = sum(row[k] for row in others), sum(map(sum, others))
    said = f"Missed: {missed:,} patches of {target}"
    if of:
        said += f"; called {target} by mistake: {_part(false, of)} other patches"
    return f"{said}.{_worst_slide(report)}"


def _worst_slide(report: Report) -> str:
    """Where most errors lie."""
    wrong = {
        row.slide_id: round(row.judged * (1 - row.accuracy))
        for row in report.slides
        if row.accuracy is not None
    }
    total = sum(wrong.values())
    if total == 0 or len(wrong) < 2:
        return ""
    worst = max(wrong, key=lambda slide: wrong[slide])
    return f" Of all {total:,} errors {wrong[worst]:,} lie on {worst}."


def _of_classes(report: Report) -> tuple[str, str]:
    confusion, names = report.patch.confusion, report.class_names
    right, of = sum(row[i] for i, row in enumerate(confusion)), sum(map(sum, confusion))
    found = f"Found: {_part(right, of)} patches are called what they are{report.patch.interval.of}."
    pairs = {
        (names[i], names[j]): n
        for i, row in enumerate(confusion)
        for j, n in enumerate(row)
        if i != j and n
    }
    if not pairs:
        return found, "Missed: none of the judged patches."
    truth, call = max(pairs, key=lambda pair: pairs[pair])
    missed = (
        f"Missed: {of - right:,} patches; most often {truth} is called {call} "
        f"({_part(pairs[truth, call], sum(confusion[names.index(truth)]))})."
    )
    return found, missed + _worst_slide(report)


def _distrust(report: Report) -> str:
    reasons = list(_reasons(report))
    if not reasons:
        return "Not to be trusted: nothing stands out; for whom this holds, the cohort below says."
    return f"Not to be trusted: {'; '.join(reasons)}."


def _reasons(report: Report) -> Iterator[str]:
    if report.stamp:
        yield f"any figure here as one of new patients ({report.stamp})"
    if isinstance(report.transfer, TransferReport):
        if ranks(report.transfer) is False:
            yield "the order of patches by score, which was better in validation"
        if fallen(report.transfer):
            yield (
                "calls at the stored thresholds, which miss more or raise more false alarms than "
                "where they were chosen"
            )
    if isinstance(report.sets, SetReport) and report.sets.broken:
        yield f"prediction sets, which miss {' and '.join(report.sets.broken)} more than promised"
    yield from _colour(report)
    ece = report.patch.figures["ece"].value
    if ece is not None and ece >= MISJUDGED:
        yield f"scores as probabilities: they are off by {100 * ece:.0f} points of 100 on average"
    patients, unit = report.patch.interval.groups, report.patch.interval.unit
    if not patients:
        yield "how sure any of this is, because nobody knows whose the patches are"
    elif patients < FEWEST:
        few = f"{patients} {unit} are" if patients > 1 else f"1 {unit.removesuffix('s')} is"
        yield f"more than the first digit of any figure: {few} too few to say how sure it is"
    elif patients < FEW:
        yield f"the intervals, which are too narrow with {patients} {unit}"


def _colour(report: Report) -> Iterator[str]:
    """Baselines of colour that the scores are not surely better than."""
    for whose, own in (
        ("training's patients", report.colour_training),
        ("the other patients", report.colour_within),
    ):
        gap = own.differences.get(MEASURE) if isinstance(own, ColourReport) else None
        if gap is None or gap.difference is None:
            continue
        if (gap.difference if gap.low is None else gap.low) <= 0:
            yield (
                f"that more than colour is seen: colour alone, by {whose}, tells the classes "
                f"about as well (AUROC {gap.second:.2f}, these scores {gap.first:.2f})"
            )


def _part(part: int, of: int) -> str:
    """A count, of how many, and the share.

    >>> _part(1200, 4800)
    '1,200 of 4,800 (25 %)'
    """
    return f"{part:,} of {of:,} ({100 * part / of:.0f} %)"


def _tidy(value: float) -> str:
    """A count that ties may have halved.

    >>> _tidy(3.0), _tidy(2.5)
    ('3', '2.5')
    """
    return f"{round(value, 1):,g}"
