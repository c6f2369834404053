"""compare.html escapes what it is given and asks for nothing."""

from __future__ import annotations

import re
from pathlib import Path

from histocnn.pages.compare_page import CAPTIONS, Shown, write_compare_page


def test_the_page_holds_it_all_and_nothing_of_others(tmp_path: Path) -> None:
    for name in CAPTIONS:
        (tmp_path / f"{name}.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    bad = "<script>x</script>"
    shown = Shown([bad], ["mind"], (["", "k"], [[bad, 0.5]]), (["", "1"], [["a", "0.5"]]),
                  (["", "licence"], [["a", "unknown"]]), ["so"])  # fmt: skip
    write_compare_page(tmp_path / "compare.html", shown, tmp_path)
    page = (tmp_path / "compare.html").read_text()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 2
    assert set(re.findall(r'src="([^:"]*)', page)) == {"data"}
    assert "unknown" in page
