"""An index beside its reference: whole with its record, or not believed; nobody's file is lost."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from histocnn.errors import UsageError
from histocnn.reference.kept_index import check_free, keep, kept
from histocnn.storage.json import to_json


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_kept_and_read_again(tmp_path: Path) -> None:
    path, recipe = tmp_path / ".index" / "ivf.faiss", {"reference": ["a"], "rows": "b"}
    assert kept(path, recipe) == (None, "no index yet")
    assert keep(path, recipe, lambda target: target.write_bytes(b"index") and None, 32) == ""
    assert kept(path, recipe) == (32, "")
    assert kept(path, recipe | {"rows": "c"})[1] == "the index is older than its reference"
    record = path.with_suffix(".json")
    record.write_text(record.read_text().replace("32", "64"))
    assert kept(path, recipe)[1] == "the index there was not made by you on this machine"
    assert (tmp_path / "state" / "histocnn" / "index.key").stat().st_mode & 0o77 == 0


@pytest.mark.parametrize("left", [b"", b"short"])
def test_a_key_that_is_not_whole_marks_nothing(tmp_path: Path, left: bytes) -> None:
    """What a full disk or a killed run left of it, anybody could guess."""
    path, recipe = tmp_path / ".index" / "ivf.faiss", {"reference": ["a"]}
    home = tmp_path / "state" / "histocnn"
    home.mkdir(parents=True)
    (home / "index.key").write_bytes(left)
    path.parent.mkdir()
    path.write_bytes(b"forged")
    said = {"recipe": recipe, "effort": 1, "sha256": hashlib.sha256(b"forged").hexdigest()}
    mark = hmac.new(left, to_json(said).encode(), "sha256").hexdigest()
    path.with_suffix(".json").write_text(json.dumps(said | {"mark": mark}))
    assert kept(path, recipe) == (None, "the index there was not made by you on this machine")
    assert [(each.name, each.stat().st_size) for each in home.iterdir()] == [("index.key", 32)]
    assert (home / "index.key").stat().st_mode & 0o77 == 0


def test_anothers_file_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / ".index" / "ivf.faiss"
    path.parent.mkdir()
    path.write_bytes(b"somebody's")
    with pytest.raises(UsageError, match="not made by knn"):
        check_free(path)
    with pytest.raises(UsageError, match="not made by knn"):
        keep(path, {}, lambda target: None, 1)
    assert path.read_bytes() == b"somebody's"


def test_a_folder_that_cannot_be_written_costs_only_the_keeping(tmp_path: Path) -> None:
    def full(target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    said = keep(tmp_path / ".index" / "ivf.faiss", {}, full, 1)
    assert said.startswith(" but not kept (")
    assert not (tmp_path / ".index" / "ivf.faiss").exists()
