from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from histocnn.errors import StoreError
from histocnn.evaluation.assembly import evaluated
from histocnn.evaluation.drawings import NAMES
from histocnn.evaluation.options import Inputs, Options, Resampling
from histocnn.evaluation.writing import summary, write
from histocnn.metrics.report import Report
from tests.killed import left_by_the_dead, no_file_larger_than


@pytest.fixture(scope="module")
def found(cohort):
    options = Options(Inputs(cohort.scores, cohort.slides), resampling=Resampling(20))
    return evaluated(options)


def written(folder: Path) -> set[Path]:
    """The files of a folder but for the record that names them."""
    files = {path for path in folder.rglob("*") if path.is_file()}
    return files - {folder / ".runs" / "evaluate.json"}


def test_all_that_is_written_is_named_and_there(found, tmp_path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "k_curve.png").write_text("of an older run")
    outputs = write(tmp_path, found)
    drawn = {name for name in NAMES if name != "k_curve"}
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == drawn
    assert set(outputs) == written(tmp_path)
    assert outputs[-1].name == "metrics.json"
    assert Report.from_json(outputs[-1].read_text()) == found.report


def test_what_a_killed_evaluation_left_is_swept(found, tmp_path) -> None:
    for folder in (tmp_path, tmp_path / "figures"):
        folder.mkdir(exist_ok=True)
        left_by_the_dead(folder / "metrics.json")
    outputs = write(tmp_path, found)
    assert written(tmp_path) == set(outputs)


@pytest.mark.usefixtures("without_pictures")
def test_stage_labels_that_do_not_fit_leave_the_last_ones(found, tmp_path) -> None:
    staged = replace(found, classes={"patient_001_node_0": "macro"})
    labels = next(path for path in write(tmp_path, staged) if path.name == "stage_labels.csv")
    before = labels.read_bytes()
    with no_file_larger_than(16), pytest.raises(StoreError, match=r"stage_labels\.csv"):
        write(tmp_path, staged)
    assert labels.read_bytes() == before


def test_the_summary_says_what_people_look_at_first(found, tmp_path) -> None:
    report = found.report
    lines = summary(tmp_path, report).splitlines()
    assert lines[0] == f"{tmp_path / 'report.html'}: 2,400 patches of 8 patients"
    assert [line.split(":")[0].strip() for line in lines[1:4]] == [
        "Found", "Missed", "Not to be trusted",
    ]  # fmt: skip
    assert lines[4].startswith(f"  patches  macro_auroc {report.patch.figures['macro_auroc']}, ")
    assert lines[5:7] == [
        f"  slides   auroc {report.slide.figures['auroc']}",
        f"  lesions  froc {report.froc.figures['froc']}",
    ]
    assert lines[7] == "  few patients"
    assert lines[8].startswith("  Transfer is not known: validation is not known")
