"""The page: texts of the table, and a size that a browser takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from histocnn.inspection import inspect_page
from histocnn.inspection.architecture import Layer
from histocnn.inspection.inspect_page import place_text, row_of, write_page
from histocnn.inspection.looking import look
from histocnn.patches.patches import open_patches
from tests.inspection.looked import OPTIONS, subject_of
from tests.models.patch_files import write_folder

LAYER = Layer(
    name="conv", kind="Conv2d", call=1, input_shape=(3, 8, 8), output_shape=(4, 8, 4),
    kernel_px=(7, 1), stride_px=(2, 1), parameters=84, parameter_share=0.5, multiply_adds=2688,
    multiply_add_share=1.0, receptive_px=(7, 1), jump_px=(2, 1), offset_px=(0.5, 0.0), whole=False,
    receptive_um=(3.5, 0.5),
)  # fmt: skip


def test_a_row_says_x_and_y_where_they_differ() -> None:
    texts = [
        t.replace("\N{NO-BREAK SPACE}", " ") if isinstance(t, str) else t for t in row_of(LAYER)
    ]
    assert len(row_of(LAYER, scaled=False)) == len(texts) - 1
    assert texts == [
        "conv", "Conv2d", "3 × 8 × 8", "4 × 8 × 4", "7 × 1", "2 × 1", 84, "50.0%", 2688, "100.0%",
        "7 × 1", "3.5 × 0.5", "2 × 1", "0.5 × 0",
    ]  # fmt: skip


def test_what_is_unknown_or_everything_is_said() -> None:
    again = replace(LAYER, call=2, receptive_px=None, receptive_um=None, parameters=0)
    assert row_of(again)[0] == "conv (call 2)"
    assert row_of(again)[10] == "unknown"
    assert (
        row_of(replace(LAYER, whole=True))[10]
        == "7\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}1\N{NO-BREAK SPACE}(whole)"
    )


def test_a_place_is_a_slides_or_a_files() -> None:
    assert place_text({"row": 3, "path": "a/b.png", "value": 2.0}) == "a/b.png: 2"


def test_the_page_carries_its_pictures_and_asks_for_nothing(tmp_path: Path) -> None:
    cohort = open_patches(write_folder(tmp_path / "p", patients=2, per_patient=2), mpp=0.5)
    report, pictures = look(subject_of(tmp_path), OPTIONS, cohort)
    write_page(tmp_path / "i.html", report, pictures)
    page = (tmp_path / "i.html").read_text(encoding="utf-8")
    assert "://" not in page
    assert page.count('src="data:image/jpeg') == 1 + 2 + 2 + 1 + 2 + 2  # maps of two classes
    assert "of 8 looked at" in page
    assert "a/p00_0.png" in page
    assert "2.5" in page  # µm of the first field


def test_pictures_shrink_until_the_page_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, pictures = look(subject_of(tmp_path), OPTIONS)
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), np.uint8)
    pictures = dict.fromkeys(pictures, noise)
    assert write_page(tmp_path / "i.html", report, pictures) == 1000
    monkeypatch.setattr(inspect_page, "MOST_BYTES", 600_000)
    side = write_page(tmp_path / "i.html", report, pictures)
    assert side < 1000
    assert (tmp_path / "i.html").stat().st_size <= 600_000
