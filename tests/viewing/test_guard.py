"""Who may ask, and who may not."""

from __future__ import annotations

import pytest

from histocnn.viewing.guard import HEADERS, new_token, refusal

OWN = "127.0.0.1:8123"


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost:8123", "localhost"])
def test_the_loopback_s_names_are_its_own(host: str) -> None:
    assert refusal({"Host": host}, "t", "t") is None
    assert refusal({"Host": host, "Origin": f"http://{host}"}, "t", "t") is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:8123", "127.0.0.1.evil.example", "localhost.evil.example:1",
     "127.0.0.1:8123@evil.example", "0.0.0.0:8123", "192.168.0.2:8123", "127.0.0.1:8123\nX: y"],
)  # fmt: skip
def test_another_name_is_refused(host: str) -> None:
    assert refusal({"Host": host}, "t", "t") is not None


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "", "https://127.0.0.1:8123", "http://127.0.0.1:8124",
     "http://127.0.0.1:8123.evil.example"],
)  # fmt: skip
def test_another_origin_is_refused(origin: str) -> None:
    assert refusal({"Host": OWN, "Origin": origin}, "t", "t") == "another site asks"


@pytest.mark.parametrize(("site", "allowed"), [
    ("none", True), ("same-origin", True), ("cross-site", False), ("same-site", False),
])  # fmt: skip
def test_a_browser_that_says_who_asks_is_believed(site: str, allowed: bool) -> None:
    assert (refusal({"Host": OWN, "Sec-Fetch-Site": site}, "t", "t") is None) == allowed


def test_a_link_in_another_page_may_be_followed_and_not_framed() -> None:
    followed = {"Host": OWN, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert refusal({**followed, "Sec-Fetch-Dest": "document"}, "t", "t") is None
    for where in ("iframe", "embed", "object", "image", ""):
        assert refusal({**followed, "Sec-Fetch-Dest": where}, "t", "t") is not None
    other = {**followed, "Sec-Fetch-Dest": "document", "Origin": "http://evil.example"}
    assert refusal(other, "t", "t") is not None  # a form that is sent


def test_a_guess_is_refused() -> None:
    token = new_token()
    assert len(token) >= 32
    assert token != new_token()
    assert refusal({"Host": OWN}, token, token) is None
    for guess in ("", token[:-1], token + "x", "ü"):
        assert refusal({"Host": OWN}, guess, token) is not None


def test_the_page_may_load_nothing_from_elsewhere() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
