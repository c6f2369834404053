"""What every answer shares."""

from __future__ import annotations

import pytest

from histocnn.viewing.guarded import Guarded, Refused
from tests.viewing.serving import Client


def test_what_is_said_may_hold_any_letter() -> None:
    assert Refused(404, "50 µm, 日本").said == "50 µm, 日本"


def test_every_answer_has_its_headers_errors_too(client: Client) -> None:
    for answer in (client.get("cohort"), client.get("nothing"), client.raw("/x/cohort")):
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert answer.headers["Cache-Control"] == "no-store"


def test_no_log_holds_the_secret(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("DEBUG")
    assert client.get("slide/0/why/0").status == 400  # no point was said
    assert client.get("slide/0/values/0/s" + "9" * 5000).status == 404
    monkeypatch.setattr(client.viewing, "opened", lambda _: 1 / 0)
    assert client.get("slide/0").status == 500
    assert "ZeroDivisionError" in caplog.text
    assert client.viewing.token not in caplog.text


def test_without_a_connection_nobody_waits() -> None:
    assert Guarded._gone is False
