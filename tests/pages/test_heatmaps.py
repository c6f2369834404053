from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import UsageError
from histocnn.pages.heatmaps import HeatmapOptions, draw_heatmaps
from histocnn.slides.slide import Slide
from tests.score_files import grid_of, write_scores
from tests.slide_files import position_image, write_pyramid


def test_rows_hold_the_slide_scores_of_what_was_drawn_and_of_what_was_done(tmp_path: Path) -> None:
    """Three patches of 64 px at 0.5 µm/px in a row: 64 × 64 level-0 px, 32 µm a side."""
    slide = Slide(write_pyramid(tmp_path / "a.tiff", position_image(192, 64), mpp=0.5))
    grid = grid_of(slide, 64, 0.5)
    tumour = np.array([0.9, 0.2, np.nan], np.float32)
    scores = np.stack([1 - tumour, tumour], axis=1)
    file = write_scores(tmp_path / "scores" / "a.h5", slide, grid, scores)
    out = tmp_path / "out"
    for status in ("done", "skipped"):
        (row,) = draw_heatmaps(file, out, HeatmapOptions(top_percent=50)).rows
        assert (row["status"], row["path"]) == (status, out / "a.png")
        assert (row["patches"], row["scored"]) == (3, 2)
        assert row["top_mean_tumour"] == pytest.approx(0.9)
        assert row["area_mm2_tumour"] == pytest.approx(0.032**2)
    with (out / "slides.csv").open(newline="") as table:
        assert [line["max_tumour"] for line in csv.DictReader(table)] == ["0.9"]


@pytest.mark.parametrize("options", [{"top_percent": 0}, {"threshold": 1.01}])
def test_shares_that_are_none_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        HeatmapOptions(**options)  # type: ignore[arg-type]
