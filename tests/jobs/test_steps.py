from __future__ import annotations

from pathlib import Path

import pytest

from histocnn.jobs.result import StageResult
from histocnn.jobs.steps import Steps


def test_outputs_are_joined_and_of_each_slide_the_first_failure_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = Steps()
    tile = StageResult([Path("g/a.h5")], {"b": "no resolution"}, [{"slide_id": "a"}])
    steps.take("tile", "grids", lambda: tile)
    assert steps.failed
    predict = StageResult([Path("s/a.h5")], {"b": "no grid", "c": "killed"}, [{"slide_id": "a"}])
    assert steps.take("predict", "scores", lambda: predict) is predict
    result = steps.result
    assert result.outputs == [Path("g/a.h5"), Path("s/a.h5")]
    assert result.failures == {"b": "tile: no resolution", "c": "predict: killed"}
    assert result.exit_code == 1
    assert list(result.parts) == ["tile", "predict"]
    assert result.report is None
    assert result.to_dataframe().to_dict("records") == [
        {"stage": "tile", "slide_id": "a"},
        {"stage": "predict", "slide_id": "a"},
    ]
    assert "histocnn predict: scores" in capsys.readouterr().out
    assert str(steps) == "0 s: tile 0 s, predict 0 s"


def test_what_is_no_result_passes_through() -> None:
    steps = Steps()
    assert steps.take("demo", "slides", lambda: Path("slides.csv")) == Path("slides.csv")
    assert not steps.failed
    assert steps.result.exit_code == 0
