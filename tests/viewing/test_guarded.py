"""What every answer shares."""

from __future__ import annotations

from histocnn.viewing.guarded import Guarded, Refused
from tests.viewing.serving import Client


def test_what_is_said_may_hold_any_letter() -> None:
    assert Refused(404, "50 µm, 日本").said == "50 µm, 日本"


def test_every_answer_has_its_headers_errors_too(client: Client) -> None:
    for answer in (client.get("cohort"), client.get("nothing"), client.raw("/x/cohort")):
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert answer.headers["Cache-Control"] == "no-store"


def test_without_a_connection_nobody_waits() -> None:
    assert Guarded._gone is False
