"""The page's files: all of them ours, and none that could take a name for HTML."""

from __future__ import annotations

import re

import pytest

from histocnn.viewing.assets import assets


def test_every_part_that_a_part_names_is_there() -> None:
    for name, asset in assets().items():
        text = asset.content.decode()
        for other in re.findall(r'from "\./([^"]+)"', text):
            assert other in assets(), f"{name} imports {other}"
        for other in re.findall(r'(?:src|href)="page/([^"]+)"', text):
            assert other in assets()


@pytest.mark.parametrize("name", sorted(assets()))
def test_nothing_is_fetched_from_elsewhere_and_no_text_becomes_html(name: str) -> None:
    text = assets()[name].content.decode()
    assert text.count("\n") <= 300
    assert not re.search(r"https?://", text)
    for risky in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                  "new Function", "srcdoc", " style="):  # fmt: skip
        assert risky not in text


def test_kinds_are_said() -> None:
    assert assets()["index.html"].mime.startswith("text/html")
    assert assets()["page.css"].mime.startswith("text/css")
    assert "main.js" in assets()
