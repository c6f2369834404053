"""What a folder remembers of its files: a claim before they are written, a record after."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from histocnn.jobs import claims
from histocnn.storage import store


def test_a_claim_names_what_comes_and_keeps_what_was(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    path = claims.record_path(target)
    assert path == tmp_path / ".runs" / "a.png.json"
    assert claims.claim(path, "heatmap", [target, tmp_path / "a.html"]) == ["a.html", "a.png"]
    assert not claims.is_finished(claims.read(path))
    named = claims.claim(path, "heatmap", [target], slide_id="a", begun={"html": False})
    assert named == ["a.html", "a.png"]  # the page of the earlier run is still ours
    record = claims.read(path)
    assert record["begun"] == {"html": False}
    assert claims.made(record, "heatmap") == {"a.html", "a.png"}
    assert claims.made(record, "tile") == set()


def test_what_is_no_longer_made_goes_if_the_record_names_it_and_it_is_the_slides(
    tmp_path: Path,
) -> None:
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "a.png"
    path = claims.record_path(target)
    names = ["a.html", "a.png", "a_tumour.png", "b.png", "slides.csv", "../a.txt", "a_folder"]
    claims.claim(path, "heatmap", [target])
    path.write_text(json.dumps({"command": "heatmap", "files": [*names, "a_gone.png"]}))
    (tmp_path / "out" / "a_folder").mkdir()
    for name in (*names[:-1], "a_notes.png"):
        (tmp_path / "out" / name).write_text("")
    assert claims.renounce(path, "tile", target, []) == ["a.png"]  # the record is heatmap's
    left = claims.renounce(path, "heatmap", target, [target.with_name("a_normal.png")])
    assert left == ["a.png", "a_normal.png"]
    found = {each.name for each in tmp_path.rglob("*")} - {"out", ".runs", path.name}
    assert found == {"a.png", "b.png", "slides.csv", "a.txt", "a_folder", "a_notes.png"}


@pytest.mark.parametrize("text", ["", "{cut", "[]", "3", '"a"', "[" * 100_000, "\x00"])
def test_a_record_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert claims.read(tmp_path / "a.json") == {}
    assert claims.read(tmp_path / "none.json") == {}


def test_a_pipe_in_a_folder_of_somebody_else_s_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    assert claims.read(tmp_path / "a.json") == {}


@pytest.mark.parametrize("files", [None, 3, {"a": 1}, [3, None]])
def test_names_of_another_form_are_no_names(files: object) -> None:
    assert claims.made({"command": "tile", "files": files}, "tile") == set()


def test_the_records_of_version_0_1_0_name_a_stage_and_no_files(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    old = {"slide_id": "a", "recipe": {"stage": "heatmap"}}
    assert claims.is_of_stage(target, old, "heatmap")
    assert not claims.is_of_stage(target, old, "tile")
    assert not claims.is_of_stage(target, {**old, "files": []}, "heatmap")
    assert not claims.is_of_stage(target, {"recipe": "heatmap"}, "heatmap")
    assert not claims.is_of_stage(target, {}, "heatmap")


def test_facts_are_rebuilt_from_the_file(tmp_path: Path) -> None:
    for rows, outcome in ((3, "ok"), (0, "empty")):
        store.write(tmp_path / "a.h5", {"coords": np.zeros((rows, 2), np.int64)}, {})
        assert claims.rebuilt(tmp_path / "a.h5") == {"patches": rows, "outcome": outcome}
    assert json.dumps(claims.rebuilt(tmp_path / "a.h5"))
