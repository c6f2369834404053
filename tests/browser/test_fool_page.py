"""The page of what fools a network in a real browser: no request, no complaint, all pictures."""

from __future__ import annotations

import pytest

from histocnn.inspection.fooling_files import write_files
from tests.browser.conftest import Viewer
from tests.inspection.test_fool_report import report
from tests.inspection.test_fooling_page import exhibits

pytestmark = pytest.mark.browser


def test_it_asks_for_nothing_complains_of_nothing_and_shows_every_picture(viewer: Viewer, tmp_path):
    of = report()
    path, *_ = write_files(tmp_path, of, exhibits(of))
    viewer.page.goto(path.as_uri())
    viewer.settle()
    assert viewer.complaints == []
    assert [url for url in viewer.requests if not url.startswith("data:")] == [path.as_uri()]
    widths = viewer.page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
    assert len(widths) == 11  # tissue, PGD and what it changed, noise, ascent: 2 each; a curve
    assert min(widths) > 0
    body = viewer.page.locator("body").inner_text()
    assert "Confidence is not knowledge." in body
    assert "<b>tumour</b>" in body
    assert viewer.page.locator("td.first").count() == 5  # noise, by every detector
