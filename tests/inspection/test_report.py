"""inspect.json: every number, plain."""

from __future__ import annotations

import json
from pathlib import Path

from histocnn.inspection.looking import look
from histocnn.inspection.report import SCHEMA_VERSION
from histocnn.metrics.plain import to_text
from tests.inspection.looked import OPTIONS, subject_of


def test_the_report_is_json_with_the_whole_table(tmp_path: Path) -> None:
    report, _ = look(subject_of(tmp_path), OPTIONS)
    stored = json.loads(to_text(report))
    assert stored["schema_version"] == SCHEMA_VERSION
    rows = stored["architecture"]["layers"]
    assert [row["parameters"] for row in rows][:4] == [156, 0, 0, 2416]
    assert rows[0]["receptive_px"] == [5, 5]
    assert stored["excited"][0]["shown"][0].keys() >= {"channel", "begun", "reached"}
