from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from histocnn.errors import MetricError
from histocnn.metrics.patch import Groups, comparison, patch_report
from histocnn.metrics.report import COLUMNS, Report
from histocnn.metrics.sections import AreaReport, ColourReport, DeLong, Figure, SlideReport

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "docs" / "metrics.schema.json"


@pytest.fixture(scope="module")
def report() -> Report:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    p = 1 / (1 + np.exp(-rng.normal(size=120) - 2 * labels + 1))
    scores, groups = np.stack([1 - p, p], 1), Groups(np.arange(120) % 6, replicates=20)
    names = ("normal", "tumour")
    patch = patch_report(scores, labels, names, groups)
    return Report(
        title="scores",
        class_names=names,
        patch=patch,
        colour_only=ColourReport(**vars(patch) | {"scores": patch.figures, "folds": "patients"}),
        comparison=comparison((scores, scores[::-1]), labels, names, groups, ("a", "b")),
        centres={"A": patch},
        slide=SlideReport(
            "tumour", 6, 3, "highest probability", {"auroc": Figure(0.9, 0.8, None)}, "",
            delong=DeLong(0.7, 1.0),
        ),
        areas={"tumour": AreaReport(2.0, 1.5, 1.0, ("slide_1",))},
        model={"mpp": np.float64(0.5), "recipe": {"anything": [1, None]}},
    )  # fmt: skip


def test_a_report_is_json_and_back_the_same(report):
    back = Report.from_json(report.to_json())
    assert back.patch == report.patch
    assert replace(back, model=report.model) == report
    assert back.model == {"mpp": 0.5, "recipe": {"anything": [1, None]}}
    assert back.to_json() == report.to_json()


def test_sections_that_there_are_not_are_left_out_and_undefined_figures_are_null(report):
    found = json.loads(report.to_json())
    assert "froc" not in found
    assert "best_epoch" not in found
    assert found["slide"]["figures"]["auroc"] == {"value": 0.9, "low": 0.8, "high": None}
    assert found["schema_version"] == 2


def test_the_published_schema_is_that_of_the_types_and_holds(report):
    printed = subprocess.run(
        [sys.executable, ROOT / "scripts" / "metrics_schema.py"], check=True, capture_output=True,
        text=True, cwd=ROOT,
    ).stdout  # fmt: skip
    assert printed == SCHEMA.read_text()
    schema = json.loads(printed)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(report.to_json()), schema)
    wrong = json.loads(report.to_json())
    wrong["patch"]["figures"]["accuracy"]["value"] = "high"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 1}, "schema version 1, not 2"),
        ({"patch": 3}, r"metrics\.json\.patch is 3"),
        ({"surplus": 3}, "surplus missing or unknown"),
        ({"notes": [1]}, r"metrics\.json\.notes\[0\] is 1"),
    ],
)
def test_what_is_no_report_is_refused_and_said_where(report, change, said):
    text = json.dumps(json.loads(report.to_json()) | change)
    with pytest.raises(MetricError, match=said):
        Report.from_json(text)


def test_text_that_is_no_json_is_refused():
    with pytest.raises(MetricError, match="no JSON"):
        Report.from_json("<html>")


def test_every_figure_is_a_row(report):
    table = report.to_dataframe()
    assert tuple(table.columns) == COLUMNS
    own = table[(table.scope == "patches") & (table.figure == "recall")]
    assert [*own["class"]] == ["normal", "tumour"]
    assert own.value.iloc[1] == report.patch.per_class["tumour"]["recall"].value
    assert own.n.iloc[1] == 120
    assert own.groups.iloc[1] == 6
    assert {*table.scope} == {"patches", "colour only", "slides", "centre A", "difference"}
    gap = table[(table.scope == "difference") & (table["class"] == "tumour")].iloc[0]
    assert gap.p == report.comparison.figures[f"{gap.figure}:tumour"].p
