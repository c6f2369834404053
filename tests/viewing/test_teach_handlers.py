"""Teaching over the wire: only where it is on, only from its own page, only as JSON."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from histocnn.viewing.at_work import Asked, Viewing
from histocnn.viewing.classroom import Lesson
from histocnn.viewing.routes import ROUTES
from histocnn.viewing.shelf import shelve
from histocnn.viewing.teach_handlers import Taught
from tests.viewing.serving import Client, serving
from tests.viewing.test_classroom import features

POSTED = ("slide/0/teach/tell", "slide/0/teach/undo", "slide/0/teach/save")
GOT = ("slide/0/teach", "slide/0/teach/suggest", "slide/0/teach/values/classes")


@pytest.fixture
def taught(tmp_path: Path) -> Iterator[Client]:
    features(tmp_path)
    viewing = Viewing(shelve(tmp_path / "features"), Asked(lesson=Lesson(tmp_path / "taught")))
    with serving(viewing) as client:
        yield client


def test_a_session(taught: Client, tmp_path: Path) -> None:
    assert taught.get("cohort").json["teaching"]
    assert taught.get("slide/0/teach").json["acts"] == 0
    for at, name in (([30, 5], "a"), ([60, 5], "b")):
        answer = taught.post("slide/0/teach/tell", {"at": at, "class": name})
        assert answer.status == 200
    assert len(answer.json["layers"]) == 5
    values = np.frombuffer(taught.get("slide/0/teach/values/classes").body, "<u2")
    assert values.shape == (50,)
    assert len(taught.get("slide/0/teach/suggest?rule=novel").json) == 6
    assert taught.post("slide/0/teach/undo", {}).json["acts"] == 2  # who knows of no turn sees none
    assert taught.post("slide/0/teach/undo", {"turns": 2}).json["acts"] == 1
    saved = taught.post("slide/0/teach/save", {}).json
    assert sorted(path.name for path in (tmp_path / "taught").iterdir()) == sorted(saved["files"])


def test_without_teaching_nothing_changes(client: Client) -> None:
    assert not client.get("cohort").json["teaching"]
    for path in POSTED:
        answer = client.post(path, {"rows": [1], "class": "a"})
        assert answer.status == 405
        assert "read-only" in answer.json["error"]
    for path in GOT:
        assert client.get(path).status == 405


@pytest.mark.parametrize("path", POSTED)
def test_strangers_teach_nothing(taught: Client, tmp_path: Path, path: str) -> None:
    said = {"rows": [1], "class": "a"}
    own = f"http://127.0.0.1:{taught.port}"
    assert taught.post("slide/0/teach/tell", said, Origin=own).status == 200
    foreign = [
        taught.post(path, said, Host_="evil.example"),
        taught.post(path, said, Origin="http://evil.example"),
        taught.post(path, said, Origin="null"),
        taught.post(path, said, Sec_Fetch_Site="cross-site"),
        taught.raw(f"/{'x' * 32}/{path}", "POST", b"{}", Content_Type="application/json"),
    ]
    assert [answer.status for answer in foreign] == [403] * len(foreign)
    # What a form of another page may send without asking first.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        assert taught.post(path, said, Content_Type=kind).status in (400, 415)
    assert taught.get("slide/0/teach").json["acts"] == 1
    assert not (tmp_path / "taught").exists()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(taught: Client, body: bytes) -> None:
    path = f"/{taught.viewing.token}/slide/0/teach/tell"
    answer = taught.raw(path, "POST", body, Content_Type="application/json")
    assert answer.status == 400
    assert "JSON" in answer.json["error"]


def test_what_is_too_large_is_not_read(taught: Client) -> None:
    path = f"/{taught.viewing.token}/slide/0/teach/tell"
    connection = http.client.HTTPConnection("127.0.0.1", taught.port, timeout=30)
    connection.putrequest("POST", path)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(10**9))
    connection.endheaders()
    assert connection.getresponse().status in (400, 413)
    connection.close()


def test_a_class_named_like_html_is_kept_as_text(taught: Client) -> None:
    name = "<script>alert(1)</script>"
    said = taught.post("slide/0/teach/tell", {"rows": [1], "class": name}).json
    assert said["classes"][0]["name"] == name


def test_only_these_answers_take_anything() -> None:
    posting = {handler for _, handler in ROUTES if "post" in vars(handler)}
    assert {handler.__name__ for handler in posting} == {"Tell", "Undo", "Save"}
    assert all(issubclass(handler, Taught) for handler in posting)
    for _, handler in ROUTES:
        assert not {"put", "delete", "patch"} & set(vars(handler))
