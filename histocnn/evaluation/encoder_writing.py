"""compare.csv, compare.json and compare.html: networks side by side, and what to make of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from histocnn.cohort.whose import PESSIMISTIC, STAIN_GROUPS
from histocnn.errors import one_line
from histocnn.evaluation.encoder_report import COLOUR, FIGURES, METHODS, PRIMARY, Compared, Row
from histocnn.metrics.plain import to_text
from histocnn.metrics.sections import Figure, Gap
from histocnn.metrics.terms import NOBODYS
from histocnn.pages.compare_page import Shown, write_compare_page
from histocnn.storage.atomic import write_text

TABLE, RESULT, PAGE, PICTURES = "compare.csv", "compare.json", "compare.html", "figures"
FILES = (TABLE, RESULT, PAGE, PICTURES)
NAMES = {"knn": "k-NN", "probe": "probe", "few": "few shots"}
SURE = 0.05


def write_comparison(out: Path, report: Compared) -> list[Path]:
    """Write the table, all figures and the page.

    Returns:
        The files.

    Raises:
        StoreError: One cannot be written.
    """
    from histocnn.pictures.curves import save  # matplotlib: half of --help's time
    from histocnn.pictures.encoder_curves import by_number

    few, near = curves(report)
    drawn = {
        "few_shots": by_number(few, "Labelled patches per class", "Balanced accuracy"),
        "neighbours": by_number(near, "Neighbours (k)", "Balanced accuracy"),
    }
    for name, picture in drawn.items():
        save(picture, out / PICTURES, name)
    rows = table(report)
    text = io.StringIO()
    lines = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    lines.writeheader()
    lines.writerows(rows)
    write_text(out / TABLE, text.getvalue())
    write_text(out / RESULT, to_text(report))
    shown = Shown(
        words(report), remarks(report), _main(report), _few(report), _networks(report), how(report)
    )
    write_compare_page(out / PAGE, shown, out / PICTURES)
    return [out / name for name in (TABLE, RESULT, PAGE)]


def curves(report: Compared) -> tuple[list[Any], list[Any]]:
    """The lines of the two pictures: by shots, by neighbours."""
    from histocnn.pictures.encoder_curves import Line

    few, near = [], []
    for row in report.rows:
        name, alone = row.subject.name, row.subject.name == COLOUR
        figures = [own.figure for own in row.few]
        bounds = [(f.low, f.high) for f in figures if f.low is not None and f.high is not None]
        low, high = zip(*bounds, strict=True) if len(bounds) == len(figures) > 0 else ((), ())
        values = [figure.value or 0.0 for figure in figures]
        few.append(Line(name, [own.shots for own in row.few], values, low, high, alone))
        steps = [point for point in row.by_k if point.balanced_accuracy is not None]
        near.append(Line(name, [p.k for p in steps], [p.balanced_accuracy or 0.0 for p in steps],
                         baseline=alone))  # fmt: skip
    return few, near


def table(report: Compared) -> list[dict[str, Any]]:
    """A row per network with every figure, its bounds, and the differences."""
    return [_flat(report, row) for row in report.rows]


def _flat(report: Compared, row: Row) -> dict[str, Any]:
    own = row.subject
    flat: dict[str, Any] = {
        "name": own.name,
        "network": own.network,
        "width": own.width,
        "patch_px": own.patch_px,
        "mpp": own.mpp,
        "licence": licence(row),
        "forbids": forbidden(row),
    }
    for method in METHODS:
        for name in FIGURES:
            flat |= _bounded(f"{method}_{name}", row.figures[method][name])
        gap = row.gaps.get(method, {}).get(PRIMARY)
        flat |= _bounded(f"{method}_difference", gap.change if gap else None)
        flat[f"{method}_p"] = None if gap is None else gap.p
        flat[f"{method}_p_corrected"] = None if gap is None else gap.p_corrected
    for few in row.few:
        flat |= _bounded(f"few_{few.shots}", few.figure)
        flat[f"few_{few.shots}_spread"] = few.spread
        flat |= _bounded(f"few_{few.shots}_difference", few.gap.change if few.gap else None)
    flat["c"] = " ".join(f"{c:g}" for c in row.c)
    return flat | {"n": report.n, report.interval.unit.replace(" ", "_"): report.interval.groups}


def _bounded(name: str, figure: Figure | None) -> dict[str, float | None]:
    value = figure or Figure(None, None, None)
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}


def licence(row: Row) -> str:
    """Of the network's weights; `unknown` where nobody said it, `-` where they are nobody's."""
    return "-" if row.subject.terms == NOBODYS else row.subject.terms.licence or "unknown"


def forbidden(row: Row) -> str:
    """What the licence forbids; `unknown` where nobody said it, `-` where there is none."""
    if row.subject.terms == NOBODYS:
        return "-"
    forbids = row.subject.terms.forbids
    return "unknown" if forbids is None else ", ".join(forbids) or "nothing of note"


def words(report: Compared) -> list[str]:
    """What came of it, a sentence a method."""
    lines = []
    for method in METHODS:
        name = report.against[method]
        best = next(row for row in report.rows if row.subject.name == name)
        figure = best.figures[method][PRIMARY]
        rank = _rank(report, "the best")
        line = f"By {_method(report, method)}, balanced accuracy: {name}, {rank}{figure}."
        others = [row for row in report.rows if method in row.gaps and row.subject.name != COLOUR]
        alike = [row.subject.name for row in others if not _differs(row.gaps[method][PRIMARY])]
        if alike:
            line += f" Not shown to differ from it: {', '.join(alike)}."
        lines.append(line)
    lines += _few_words(report)
    colour = next((row for row in report.rows if row.subject.name == COLOUR), None)
    if colour is not None:
        behind = [
            f"{NAMES[method]} {colour.figures[method][PRIMARY]}"
            + (" (not shown to differ)" if not _differs(colour.gaps[method][PRIMARY]) else "")
            for method in METHODS
            if method in colour.gaps
        ]
        lines.append(f"Colour alone reaches by {', by '.join(behind)}.")
    return lines


def _few_words(report: Compared) -> list[str]:
    name = report.against["few"]
    few = next(row for row in report.rows if row.subject.name == name).few
    if not few:
        return []
    ends = ", ".join(f"{own.figure.value:.3f} with {own.shots}" for own in dict.fromkeys(
        (few[0], few[-1])))  # fmt: skip
    rank = _rank(report, "the best on average")
    return [f"By few shots: {name}, {rank}{ends} per class."]


def _rank(report: Compared, best: str) -> str:
    """Why the one that is named is; a network alone has no rank."""
    alone = sum(row.subject.name != COLOUR for row in report.rows) < 2
    return "" if alone else f"{best if report.chosen == 'best' else 'given first'}, "


def _method(report: Compared, method: str) -> str:
    return f"{report.k}-NN" if method == "knn" else "linear probe"


def _differs(gap: Gap) -> bool:
    return gap.p is not None and (gap.p_corrected or gap.p) < SURE


def remarks(report: Compared) -> list[str]:
    """What must be known before a figure is believed."""
    lines = []
    if report.interval.unit == STAIN_GROUPS:
        lines.append(PESSIMISTIC)
    if report.interval.note:
        lines.append(report.interval.note.capitalize() + ".")
    networks = [row for row in report.rows if row.subject.name != COLOUR]
    if report.chosen == "best" and len(networks) > 1:
        lines.append(
            f"The best of {len(networks)} was chosen on these patches, so that its figures are a "
            "little too good: judge it again on patients that had no say."
        )
    if report.left_out:
        lines.append(f"{report.left_out} patches left out: some network has no features of them.")
    said = dict.fromkeys(one_line(row.subject.terms.sentence())
                         for row in networks if row.subject.terms.is_bound)  # fmt: skip
    silent = [row.subject.name for row in networks if licence(row) == "unknown"]
    if silent:
        lines.append(f"By whose leave {', '.join(silent)} may be used is unknown: ask before you "
                     "build on it.")  # fmt: skip
    return [*lines, *(f"Licence: {line}" for line in said)]


def how(report: Compared) -> list[str]:
    """How the figures were made."""
    classes = ", ".join(
        f"{name}: {count:,}" for name, count in zip(report.class_names, report.counts, strict=True)
    )
    unit = report.interval.unit
    return [
        f"{report.n:,} patches ({classes}) of {report.interval.groups:,} {unit}, in "
        f"{report.folds} folds: each is judged by patches of other {unit} alone, the same for "
        "every network.",
        f"{report.k}-NN as in UNI's evaluation: centred on the learnt patches' mean, length 1, "
        "Euclidean, uniform votes. Probe: logistic regression on standardised features, its C "
        f"chosen in each fold on the {unit} that it learns from. Few shots: the nearest class mean "
        f"(SimpleShot), the mean of {report.seeds} draws, each spread over as many {unit} as "
        "possible, all rows of each fold judged.",
        f"Intervals of 95 %: bootstrap over {unit}; differences are paired, all networks see the "
        "same draws. p is Holm's, corrected for the number of rows.",
    ]


def _change(gap: Gap | None) -> str:
    if gap is None or gap.difference is None:
        return "–"
    p = gap.p if gap.p_corrected is None else gap.p_corrected
    bounds = "" if gap.low is None else f" ({gap.low:+.3f} to {gap.high:+.3f})"
    return f"{gap.difference:+.3f}{bounds}" + ("" if p is None else f", p {p:.3f}")


def _main(report: Compared) -> tuple[list[str], list[list[Any]]]:
    header = ["", f"{report.k}-NN balanced accuracy", f"minus {report.against['knn']}",
              "k-NN AUROC", "probe balanced accuracy", f"minus {report.against['probe']}",
              "probe AUROC"]  # fmt: skip
    lines = []
    for row in report.rows:
        line: list[Any] = [row.subject.name]
        for method in METHODS:
            gap = row.gaps.get(method, {}).get(PRIMARY)
            own = row.figures[method]
            line += [str(own[PRIMARY]), _change(gap), str(own["macro_auroc"])]
        lines.append(line)
    return header, lines


def _few(report: Compared) -> tuple[list[str], list[list[Any]]]:
    shots = [few.shots for few in report.rows[0].few]
    lines = [
        [row.subject.name, *(f"{few.figure.value:.3f} ± {few.spread:.3f}" for few in row.few)]
        for row in report.rows
    ]
    return ["", *map(str, shots)], lines


def _networks(report: Compared) -> tuple[list[str], list[list[Any]]]:
    header = ["", "network", "width", "patch px", "µm/px", "licence", "its licence forbids",
              "C chosen"]  # fmt: skip
    lines = []
    for row in report.rows:
        own = row.subject
        mpp = "unknown" if own.mpp is None else f"{own.mpp:g}"
        c = ", ".join(f"{c:g}" for c in sorted(set(row.c)))
        lines.append([own.name, own.network, own.width, own.patch_px, mpp, licence(row),
                      forbidden(row), c])  # fmt: skip
    return header, lines


def printed(report: Compared) -> Sequence[str]:
    """The table for a terminal."""
    rows = [["", f"{report.k}-NN", "probe", "licence"]]
    for row in report.rows:
        figures = [str(row.figures[method][PRIMARY]) for method in METHODS]
        rows.append([one_line(row.subject.name), *figures, licence(row)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in rows]  # fmt: skip
