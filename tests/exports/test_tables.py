"""Tables for scripts: WSInfer's columns, and what CAMELYON16's evaluation takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely

from histocnn.exports.tables import write_camelyon16, write_wsinfer
from tests.exports.scored_slide import scored_slide

SCORES = [0.9, 0.1, 0.7, 0.25, float("nan"), 0.1]


def test_wsinfers_columns_hold_whole_pixels_and_nothing_where_nothing_is_known(
    tmp_path: Path,
) -> None:
    write_wsinfer(scored_slide(SCORES), tmp_path / "a.csv", classes=[1, 0])
    assert (tmp_path / "a.csv").read_text().splitlines() == [
        "minx,miny,width,height,prob_tumour,prob_normal",
        "0,0,200,200,0.9,0.1",
        "200,0,200,200,0.1,0.9",
        "400,0,200,200,0.7,0.3",
        "0,200,200,200,0.25,0.75",
        "200,200,200,200,,",
        "400,200,200,200,0.1,0.9",
    ]


def test_quality_stands_behind_the_scores(tmp_path: Path) -> None:
    quality = {
        "blur_um": np.array([0.5, 1.25, 2, 3, 4, np.nan], np.float32),
        "pen_fraction": np.array([0, 0, 0, 0.0625, 1, 0], np.float32),
    }
    slide = replace(scored_slide(SCORES), quality=quality)
    write_wsinfer(slide, tmp_path / "a.csv", classes=[1])
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "minx,miny,width,height,prob_tumour,blur_um,pen_fraction"
    assert lines[4] == "0,200,200,200,0.25,3,0.0625"
    assert lines[6] == "400,200,200,200,0.1,,0"


def test_camelyons_lines_are_peaks_at_the_cells_centres(tmp_path: Path) -> None:
    slide = scored_slide(SCORES)
    left_out = write_camelyon16(slide, tmp_path / "a.csv", 1, radius_um=50, min_prob=0.5)
    lines = [line.split(",") for line in (tmp_path / "a.csv").read_text().splitlines()]
    assert left_out == 0
    assert [(round(float(p), 4), int(x), int(y)) for p, x, y in lines] == [
        (0.9, 100, 100),
        (0.7, 500, 100),
    ]


def test_detections_in_an_exclusion_are_left_out_and_counted(tmp_path: Path) -> None:
    left_out = write_camelyon16(
        scored_slide(SCORES),
        tmp_path / "a.csv",
        1,
        radius_um=50,
        min_prob=0.5,
        exclusion=shapely.box(0, 0, 150, 150),
    )
    assert left_out == 1
    assert (tmp_path / "a.csv").read_text().count("\n") == 1
