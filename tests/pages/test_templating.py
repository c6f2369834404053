from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from histocnn.pages.templating import render


def test_whatever_is_put_in_is_escaped():
    page = render("page.html.j2", title="<script>alert(1)</script>", purpose='"&')
    assert "<script" not in page
    assert "<title>&lt;script&gt;alert(1)&lt;/script&gt;</title>" in page
    assert "&#34;&amp;" in page


def test_a_name_that_is_not_given_is_an_error():
    with pytest.raises(UndefinedError, match="purpose"):
        render("page.html.j2", title="x")


def test_a_page_asks_for_nothing():
    page = render("page.html.j2", title="x", purpose="y")
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")
