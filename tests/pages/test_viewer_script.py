from __future__ import annotations

import re

import pytest

from histocnn.pages import viewer, viewer_script


@pytest.mark.parametrize("code", [viewer_script.PAINT, viewer_script.POINT])
def test_scores_are_read_as_the_page_writes_them(code):
    numbers = {int(number) for number in re.findall(r"\b6\d{4}\b", code)}
    assert numbers == {viewer._STEPS, viewer._NOT_SCORED}


@pytest.mark.parametrize("code", [viewer_script.PAINT, viewer_script.POINT])
def test_every_bracket_is_closed(code):
    for left, right in ("()", "[]", "{}"):
        assert code.count(left) == code.count(right)
