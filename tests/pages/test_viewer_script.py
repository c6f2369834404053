from __future__ import annotations

import re

import pytest

from histocnn.pages import viewer_script, viewer_values

SCRIPTS = {
    "PAINT": viewer_script.PAINT,
    "PAINT_SMOOTH": viewer_script.PAINT_SMOOTH,
    "POINT": viewer_script.POINT,
}
OTHERS = {"FIT": viewer_script.FIT, "EXPLAIN": viewer_script.EXPLAIN}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scores_are_read_as_the_page_writes_them(name):
    numbers = {int(number) for number in re.findall(r"\b6\d{4}\b", SCRIPTS[name])}
    # A smooth layer asks `own` what is scored.
    absent = set() if name == "PAINT_SMOOTH" else {viewer_values.NOT_SCORED}
    assert numbers == {viewer_values.STEPS} | absent


@pytest.mark.parametrize("name", SCRIPTS | OTHERS)
def test_every_bracket_is_closed(name):
    for left, right in ("()", "[]", "{}"):
        code = (SCRIPTS | OTHERS)[name]
        assert code.count(left) == code.count(right)
