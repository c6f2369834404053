"""The page of a comparison in a real browser: no request, no complaint, both pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from histocnn.evaluation.encoder_report import summed_up
from histocnn.evaluation.encoder_writing import write_comparison
from tests.browser.conftest import Viewer
from tests.evaluation.test_encoder_report import DIVISION, tried

pytestmark = pytest.mark.browser


def test_it_asks_for_nothing_and_shows_both_curves(viewer: Viewer, tmp_path: Path) -> None:
    write_comparison(tmp_path, summed_up(tried(), DIVISION, replicates=50))  # type: ignore[arg-type]
    path = tmp_path / "compare.html"
    viewer.page.goto(path.as_uri())
    viewer.settle()
    assert viewer.complaints == []
    assert [url for url in viewer.requests if not url.startswith("data:")] == [path.as_uri()]
    widths = viewer.page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
    assert len(widths) == 2
    assert min(widths) > 0
    assert viewer.page.locator("table").count() == 3
