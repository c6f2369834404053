from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from histocnn.evaluation.galleries import caption, heatmap_pictures, worst, worst_pictures


def test_the_most_confident_errors_come_first_and_few_of_any_slide(judged) -> None:
    labels = 1 - judged.called  # every call is wrong
    kinds = worst(replace(judged, labels=labels), kinds=1, each=5, per_slide=2)
    assert len(kinds) == 1
    rows = kinds[0].rows
    assert np.all(np.diff(judged.scores[rows].max(axis=1)) <= 0)
    assert len(rows) == 5
    assert max(np.bincount(judged.slide[rows])) == 2
    counts = np.bincount(labels)
    assert kinds[0].errors == counts.max()


def test_patches_of_slides_that_are_gone_are_counted(judged, entries) -> None:
    kinds = worst_pictures(judged, entries)
    assert all(not kind.pictures for kind in kinds)
    assert kinds[0].lost.startswith("8 of 8 patches cannot be shown: their slide or images are not")


def test_a_caption_says_where_and_how_sure(judged) -> None:
    assert caption(judged, 301) == ("slide_01", f"{judged.scores[301].max():.2f}")


def test_heatmaps_are_found_by_slide(judged, tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "slide_02.png"), np.zeros((50, 60, 3), np.uint8))
    (tmp_path / "slide_03.png").write_text("no picture")
    found = heatmap_pictures(tmp_path, judged)
    assert [picture.caption for picture in found] == [("slide_02",)]
