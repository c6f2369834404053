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
