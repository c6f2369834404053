"""The page says in words and bold what the figures say."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.inspection import fooling_page
from histocnn.inspection.fool_report import Exhibit, FoolReport
from tests.inspection.test_fool_report import report


def exhibits(of: FoolReport) -> dict[str, Exhibit]:
    """Two pictures of each trial."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    return {
        trial.name: Exhibit(pixels, ["normal", "<b>tumour</b>"], [0.5, 0.9999], [3.0, 100.0])
        for trial in of.trials
    }


def test_the_lesson_names_who_notices_what_and_what_nobody_does():
    said = fooling_page.words(report())
    assert said[0] == "Tissue as it is: it calls 75 % right, with a mean confidence of 90 %."
    assert said[1] == (
        "Under attack: PGD, ε = 1 of 255 leaves 10 % right, at a mean confidence of 90 %."
    )
    assert "at 99 % or above, of uniform noise 90 %, 50 %; ascent" in said[2]
    assert "Noticed by k-NN, Euclidean: uniform noise (0.95)." in said
    assert said[-1] == "Noticed by none of them: PGD, ε = 1, PGD, ε = 8, ascent to tumour."
    unlabelled = fooling_page.words(report(truth="agreement"))
    assert "what is right is not known" in unlabelled[0]
    assert "leaves 10 % called as before" in unlabelled[1]


def test_rows_mark_what_is_noticed():
    rows = fooling_page.rows_of(report())
    assert [row.name for row in rows][:2] == ["tissue as it is", "PGD, ε = 1"]
    assert rows[0].detectors[0] == (None, False)
    assert rows[3].detectors[1][1]
    assert not rows[4].detectors[1][1]
    assert rows[3].accuracy is None


def test_a_difference_is_grey_where_nothing_changed():
    before = np.full((1, 3, 3), 100, np.uint8)
    after = before + np.array([[[0, 0, 0], [8, 8, 8], [-8, 4, 0]]])
    found = fooling_page.difference(before, after.astype(np.uint8), 8)
    assert found.tolist() == [[[128] * 3, [248] * 3, [8, 188, 128]]]


def test_pictures_of_attacks_are_the_strongest_with_what_changed():
    of = report()
    found = fooling_page.galleries(of, exhibits(of))
    assert [name for name, _ in found["Tissue under attack"]] == [
        "PGD, ε = 8",
        "What PGD, ε = 8 changed, ± 8 as black and white",
    ]
    assert list(found) == [
        fooling_page.HEADINGS[kind] for kind in ("tissue", "attack", "noise", "ascent")
    ]
    shown = found["Noise"][0][1][1]
    assert list(shown.caption) == ["<b>tumour</b>", "> 99.9 % sure", "novelty 100 %"]


@pytest.mark.parametrize("curve", [True, False])
def test_the_page_carries_all_within_itself_and_escapes_names(tmp_path, curve):
    (tmp_path / "accuracy.svg").write_text("<svg/>")
    path = tmp_path / "fool.html"
    of = report()
    fooling_page.write_page(path, of, exhibits(of), tmp_path / "accuracy.svg" if curve else None)
    text = path.read_text("utf-8")
    assert "&lt;b&gt;tumour" in text
    assert "<b>tumour" not in text
    assert ("Accuracy against ε" in text) is curve
    assert "no interval: 3 patients, fewer than 5" in text
    assert "4 patches are judged." in text
    assert 'src="data:' in text
    assert "http:" not in text
    assert "https:" not in text
