"""What a stage gives back."""

from __future__ import annotations

from pathlib import Path

import pytest

from histocnn.jobs.result import StageResult


def test_failures_make_the_exit_code() -> None:
    assert StageResult().exit_code == 0
    assert StageResult(outputs=[Path("a.h5")]).exit_code == 0
    assert StageResult(outputs=[Path("a.h5")], failures={"b": "why"}).exit_code == 1


def test_rows_are_a_table_in_their_order() -> None:
    table = StageResult(rows=[{"slide_id": "b", "patches": 2}, {"slide_id": "a"}]).to_dataframe()
    assert table.columns.tolist() == ["slide_id", "patches"]
    assert table["slide_id"].tolist() == ["b", "a"]
    assert table["patches"].isna().tolist() == [False, True]
    assert StageResult().to_dataframe().empty


def test_a_result_is_not_changed_afterwards() -> None:
    with pytest.raises(AttributeError):
        StageResult().failures = {}  # type: ignore[misc]
