from __future__ import annotations

from histocnn.pages.search_page import Told, write_search_page


def test_the_page_needs_nothing_else_and_believes_no_text(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "history.svg").write_text("<svg/>")
    told = Told(
        metric="macro_auroc",
        said=["20 trials: <b>20</b> complete."],
        remarks=["Trial 3 failed: nan"],
        trials=(["trial", "value"], [[0, 0.5], [1, None]]),
        tested=(["figure", "best"], [["accuracy", "0.9"]]),
        best="model: {backbone: resnet18}",
    )
    write_search_page(tmp_path / "search.html", told, tmp_path / "figures")
    page = (tmp_path / "search.html").read_text()
    assert "&lt;b&gt;20" in page
    assert page.count("data:image/svg+xml") == 1  # what was not drawn is left out
    assert "Trial 3 failed: nan" in page
    assert "On the test patients" in page
    assert 'src="http' not in page
