"""The table, the words and the page say what the report holds."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from histocnn.evaluation.encoder_report import COLOUR, PRIMARY, Compared, summed_up
from histocnn.evaluation.encoder_writing import (
    forbidden,
    how,
    licence,
    printed,
    remarks,
    table,
    words,
    write_comparison,
)
from histocnn.metrics.terms import NOBODYS, Terms
from tests.evaluation.test_encoder_report import DIVISION, tried


@pytest.fixture(scope="module")
def report() -> Compared:
    made = summed_up(tried(), DIVISION, replicates=100)  # type: ignore[arg-type]
    poor, good, colour = made.rows
    uni = replace(good.subject, terms=Terms("uni", "CC-BY-NC-ND-4.0", ("commercial use",)))
    return replace(made, rows=(poor, replace(good, subject=uni), colour))


def test_the_csv_has_every_figure_and_the_licence(report: Compared, tmp_path: Path) -> None:
    write_comparison(tmp_path, report)
    with (tmp_path / "compare.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["name"] for row in rows] == ["poor", "good", COLOUR]
    assert [row["licence"] for row in rows] == ["unknown", "CC-BY-NC-ND-4.0", "-"]
    assert [row["forbids"] for row in rows] == ["unknown", "commercial use", "-"]
    own = report.rows[0].figures["knn"][PRIMARY]
    assert float(rows[0]["knn_balanced_accuracy"]) == own.value
    assert float(rows[0]["knn_balanced_accuracy_low"]) == own.low
    assert rows[1]["probe_difference"] == ""
    assert float(rows[2]["few_4_difference"]) == report.rows[2].few[2].gap.difference  # type: ignore[union-attr]
    assert rows[0]["patients"] == "12"
    document = json.loads((tmp_path / "compare.json").read_text())
    assert document["rows"][1]["subject"]["terms"]["forbids"] == ["commercial use"]
    assert len(document["rows"][0]["by_k"]) == 7
    page = (tmp_path / "compare.html").read_text()
    assert "whose licence forbids commercial use" in page.partition("<h2>")[0]  # at the top
    assert page.count("data:image/svg+xml") == 2
    assert table(report)[0]["width"] == 4


def test_words_name_the_best_and_what_is_not_shown_to_differ(report: Compared) -> None:
    said = words(report)
    assert said[0].startswith("By 7-NN, balanced accuracy: good, the best, 0.")
    assert "poor" not in said[0]
    few = report.rows[1].few
    assert said[2] == (
        f"By few shots: good, the best on average, {few[0].figure.value:.3f} with 1, "
        f"{few[2].figure.value:.3f} with 4 per class."
    )
    assert said[3].startswith("Colour alone reaches by k-NN 0.")
    same = {m: {PRIMARY: replace(g[PRIMARY], p_corrected=0.5)} for m, g in
            report.rows[0].gaps.items()}  # fmt: skip
    alike = replace(report, rows=(replace(report.rows[0], gaps=same), *report.rows[1:]))
    assert words(alike)[0].endswith("Not shown to differ from it: poor.")
    alone = words(replace(report, rows=report.rows[1:]))  # beside colour, which is no network
    assert not any("best" in line for line in alone)


def test_remarks_and_the_terminal(report: Compared) -> None:
    said = remarks(report)
    assert "Few patients." in said
    assert any("chosen on these patches" in line for line in said)
    assert any("By whose leave poor may be used is unknown" in line for line in said)
    stain = replace(report, interval=replace(report.interval, unit="stain groups"), left_out=3)
    assert remarks(stain)[0].startswith("Stain groups stand in for patients")
    assert any(line.startswith("3 patches left out") for line in remarks(stain))
    assert "96 patches (a: 48, b: 48) of 12 patients, in 3 folds" in how(report)[0]
    assert licence(report.rows[0]) == "unknown"
    own = replace(report.rows[0], subject=replace(report.rows[0].subject, terms=NOBODYS))
    assert (licence(own), forbidden(own)) == ("-", "-")  # trained here: there is nobody to ask
    said = remarks(replace(report, rows=(own, *report.rows[1:])))
    assert not any("By whose leave" in line for line in said)
    assert printed(report)[0].split() == ["7-NN", "probe", "licence"]
