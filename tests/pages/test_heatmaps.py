from __future__ import annotations

import base64
import csv
from pathlib import Path

import cv2
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


def test_one_reading_of_the_slide_serves_pictures_and_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slide of 2,600 px: the page shows all of them, pictures 2,000, and labels are told."""
    slide = Slide(write_pyramid(tmp_path / "a.tiff", position_image(2600, 260), mpp=0.5))
    grid = grid_of(slide, 260, 0.5)
    scores = np.tile(np.array([[0.2, 0.8]], np.float32), (len(grid), 1))
    labels = np.arange(len(grid)) % 3 - 1
    file = write_scores(
        tmp_path / "scores" / "a.h5", slide, grid, scores, labels=labels,
        attributes={"labels.class_names": ["lymph", "fat"]},
    )  # fmt: skip
    asked, thumbnail = [], Slide.thumbnail
    monkeypatch.setattr(
        Slide, "thumbnail", lambda self, max_px: (asked.append(max_px), thumbnail(self, max_px))[1]
    )
    draw_heatmaps(file, tmp_path / "out", HeatmapOptions(html=True))
    assert asked == [3000]
    page = (tmp_path / "out" / "a.html").read_text()
    jpeg = base64.b64decode(page.split("data:image/jpeg;base64,")[1].split("&")[0].split('"')[0])
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1).shape == (260, 2600, 3)
    assert 2000 < cv2.imread(str(tmp_path / "out" / "a.png")).shape[1] < 2600
    assert "lymph" in page


def test_quality_is_drawn_where_it_was_measured(tmp_path: Path) -> None:
    slide = Slide(write_pyramid(tmp_path / "a.tiff", position_image(192, 64), mpp=0.5))
    grid = grid_of(slide, 64, 0.5)
    scores = np.tile(np.array([[0.2, 0.8]], np.float32), (3, 1))
    for quality in ({}, {"blur_um": np.zeros(3, np.float32)}):
        file = write_scores(tmp_path / "scores" / "a.h5", slide, grid, scores, **quality)
        draw_heatmaps(file, tmp_path / "out", HeatmapOptions())
        assert (tmp_path / "out" / "a_quality.png").is_file() == bool(quality)


@pytest.mark.parametrize("options", [{"top_percent": 0}, {"threshold": 1.01}])
def test_shares_that_are_none_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        HeatmapOptions(**options)  # type: ignore[arg-type]
