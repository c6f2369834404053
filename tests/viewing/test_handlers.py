"""What is answered: to its own page everything, to strangers nothing, of the disk no name."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.pages.viewer_values import STEPS
from histocnn.storage import store
from histocnn.viewing.at_work import Viewing
from histocnn.viewing.guard import HEADERS
from histocnn.viewing.handlers import Nothing
from histocnn.viewing.routes import ROUTES
from histocnn.viewing.shelf import shelve
from tests.slide_files import position_image
from tests.viewing.conftest import NAMES, SIZE
from tests.viewing.serving import Client, serving
from tests.viewing.test_shelf import a_slide, scores_of

ASKED = [
    "", "page/main.js", "page/page.css", "cohort", "slide/0", "slide/0/layers",
    "slide/0/tile/0/0/0", "slide/0/thumbnail", "slide/0/tissue", "slide/0/outlines/tissue",
    "slide/0/outlines/annotations", "slide/0/values/0/classes",
]  # fmt: skip


def decoded(body: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR_RGB)


def test_its_own_page_is_answered(client: Client) -> None:
    for path in ASKED:
        answer = client.get(path)
        assert answer.status == 200, path
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert "Server" not in answer.headers
    page = client.get("").body.decode()
    assert 'src="page/main.js"' in page
    assert client.get("cohort").json["slides"] == [{"id": "a", "scores": {}, "broken": ""}]
    assert client.get("slide/0/layers").json["layers"][0]["facts"]["names"] == list(NAMES)


def test_a_tile_has_the_slide_s_pixels(client: Client) -> None:
    tile = decoded(client.get("slide/0/tile/3/2/1").body)
    right = position_image(*SIZE)[256:512, 512:768]
    assert np.abs(tile.astype(int) - right).mean() < 6  # JPEG, twice


def test_a_layer_has_every_cell_s_score(client: Client, looked_at: Path) -> None:
    values = np.frombuffer(client.get("slide/0/values/0/s1").body, "<u2").reshape(11, 14)
    scores = store.read(looked_at / "scores" / "a.h5")["scores"]
    assert np.abs(values.ravel() / STEPS - scores[:, 1]).max() < 1e-4


@pytest.mark.parametrize("path", ASKED)
def test_strangers_are_refused_everywhere(client: Client, path: str) -> None:
    foreign = [
        client.get(path, Host_="evil.example"),
        client.get(path, Host_=f"evil.example:{client.port}"),
        client.get(path, Origin="http://evil.example"),
        client.get(path, Sec_Fetch_Site="cross-site"),
        client.raw(f"/{'x' * 32}/{path}"),
        client.raw(f"//{path}"),
    ]
    assert [answer.status for answer in foreign] == [403] * len(foreign)
    assert all(answer.json["error"] for answer in foreign)
    assert all(b"tiff" not in answer.body for answer in foreign)


def test_only_the_loopback_listens(client: Client) -> None:
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    own = [row.split()[1] for row in rows if row.split()[1].endswith(f":{client.port:04X}")]
    assert own
    assert {address.split(":")[0] for address in own if address} == {"0100007F"}
    six = Path("/proc/net/tcp6").read_text() if Path("/proc/net/tcp6").exists() else ""
    assert f":{client.port:04X} 00000000000000000000000000000000:0000 0A" not in six


@pytest.mark.parametrize(
    "path",
    ["../a.tiff", "page/../a.tiff", "page/../../../../../../../etc/passwd", "page/%2e%2e%2fa.tiff",
     "slide/..%2f0", "slide/0/values/0/../../a", "slide/0/outlines/%2fetc%2fpasswd",
     "page//etc/passwd", "slide/0/tile/0/0/0/../../../a.tiff", "a.tiff", "slides.csv",
     "slide/-1", "slide/99999999999",
     "page/assets.py", "page/.js", "slide/0/values/0/s0;x", "slide/0%00"],
)  # fmt: skip
def test_no_path_reaches_the_disk(
    client: Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get("slide/0")
    touched = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda *a, **k: touched.append(a) or real(*a, **k))
    answer = client.get(path)
    assert answer.status in (400, 403, 404)
    assert b"root:" not in answer.body
    assert touched == []


def test_errors_are_one_line_without_a_trace_or_a_name_of_another(client: Client) -> None:
    for path in (
        "slide/7",
        "slide/0/tile/9/0/0",
        "slide/0/values/5/s0",
        "slide/0/values/0/s9",
        "no",
    ):
        answer = client.get(path)
        assert answer.status == 404, path
        assert "\n" not in answer.json["error"]
        assert "Traceback" not in answer.json["error"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_it_is_read_only(client: Client, method: str) -> None:
    for path in ASKED:
        answer = client.raw(f"/{client.viewing.token}/{path}", method, b"{}")
        assert answer.status == 405, path


def test_a_broken_slide_says_why_and_others_are_shown(tmp_path: Path) -> None:
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides" / "broken µ.tiff").write_bytes(b"II*\0 broken")
    a_slide(tmp_path / "slides", "fine")
    with serving(Viewing(shelve(tmp_path / "slides"))) as client:
        assert [each["id"] for each in client.get("cohort").json["slides"]] == ["broken µ", "fine"]
        broken = client.get("slide/0")
        assert broken.status == 404
        assert "broken µ.tiff: cannot be opened" in broken.json["error"]
        assert client.get("slide/0/thumbnail").status == 404
        assert client.get("slide/1").status == 200
        assert client.get("slide/1/thumbnail").status == 200


def test_a_moved_slide_asks_for_slides(tmp_path: Path) -> None:
    slide = a_slide(tmp_path)
    scores_of(tmp_path / "scores" / "a.h5", slide)
    slide.unlink()
    with serving(Viewing(shelve(tmp_path / "scores"))) as client:
        assert "--slides" in client.get("slide/0").json["error"]


def test_label_and_macro_images_are_never_asked_for(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openslide

    asked = []
    monkeypatch.setattr(
        openslide.OpenSlide, "associated_images", property(lambda _: asked.append(1) or {})
    )
    for path in ASKED:
        client.get(path)
    for path in ("slide/0/label", "slide/0/macro", "slide/0/associated/label"):
        assert client.get(path).status == 404
    assert asked == []


def test_all_that_is_nothing_else_is_answered_so() -> None:
    assert ROUTES[-1][1] is Nothing
