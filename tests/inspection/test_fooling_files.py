"""The files of a report, all of them or none of what no attack was."""

from __future__ import annotations

from histocnn.inspection import fooling_files
from tests.inspection.test_fool_report import report
from tests.inspection.test_fooling_page import exhibits


def test_files_are_written_and_a_curve_only_where_something_was_attacked(tmp_path):
    of = report()
    written = fooling_files.write_files(tmp_path, of, exhibits(of))
    assert [path.name for path in written] == [
        "fool.html", "fool.json", "fool.png", "accuracy.png", "accuracy.svg",
    ]  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == set(fooling_files.FILES)
    kept = tuple(trial for trial in of.trials if trial.kind != "attack")
    of = report(trials=kept)
    written = fooling_files.write_files(tmp_path, of, exhibits(of))
    assert {path.name for path in tmp_path.iterdir()} == {"fool.html", "fool.json", "fool.png"}
    assert len(written) == 3
