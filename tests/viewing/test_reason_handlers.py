"""Answers to "why" over the wire."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.viewing.at_work import Asked, Viewing
from histocnn.viewing.reason_handlers import OfPatch
from histocnn.viewing.routes import ROUTES
from histocnn.viewing.shelf import shelve
from tests.models.small_networks import write_model
from tests.slide_files import position_image
from tests.viewing.conftest import NAMES, SIZE
from tests.viewing.serving import Client, serving


def test_a_patch_is_explained_and_shown(client: Client) -> None:
    said = client.get("slide/0/why/0?x=150&y=50").json
    assert said["row"] == 1
    assert said["box"] == [100, 0, 200, 100]
    assert list(said["scores"]) == list(NAMES)  # as they are: the page shows them as text
    assert said["network"] is False
    assert "neighbours" not in said
    answer = client.get("slide/0/patch/0/1")
    assert answer.headers["Content-Type"] == "image/jpeg"
    pixels = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR_RGB)
    half = cv2.resize(position_image(*SIZE)[:100, 100:200], (50, 50), interpolation=cv2.INTER_AREA)
    assert np.abs(pixels.astype(int) - half).mean() < 6


@pytest.mark.parametrize(
    ("path", "status"),
    [("why/0?x=1&y=nope", 400), ("why/0?x=1", 400), ("why/0?x=-5&y=2", 404), ("why/7?x=1&y=2", 404),
     ("why/0?x=nan&y=inf", 404), ("patch/0/999999", 404), ("neighbour/0/0/0", 404),
     ("because/0/0/0", 404), ("channels/0/0", 404), ("channel/0/0/0", 404)],
)  # fmt: skip
def test_what_is_not_there_is_said(client: Client, path: str, status: int) -> None:
    answer = client.get(f"slide/0/{path}")
    assert answer.status == status
    assert answer.json["error"]


def test_a_network_is_asked_where_a_model_was_given(looked_at: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.safetensors", patch_px=50, mpp=1.0, input_px=28)
    viewing = Viewing(shelve(looked_at / "scores"), Asked(model=model))
    with serving(viewing) as client:
        assert client.get("slide/0/why/0?x=150&y=50").json["network"]
        classes = client.get("network").json["classes"]
        assert len(classes) >= 2
        assert client.get("slide/0/because/0/1/0").headers["Content-Type"] == "image/jpeg"
        found = client.get("slide/0/channels/0/1").json["channels"]
        assert client.get(f"slide/0/channel/0/1/{found[0]['channel']}").status == 200


def test_its_answers_are_guarded() -> None:
    own = [handler for _, handler in ROUTES if issubclass(handler, OfPatch)]
    assert len(own) == 7
