"""The comparison that the campaign rests on sees what is not equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from histocnn.storage import store
from tests.chaos import trees

FILES = ("a.h5", "a.png", "m.safetensors", ".runs/a.h5.json")


def _folder(at: Path, value: float = 1.0) -> dict[str, object]:
    (at / ".runs").mkdir(parents=True)
    store.write(at / "a.h5", {"scores": np.array([value, np.nan])}, {"slide_id": "a"})
    (at / "a.png").write_bytes(bytes([int(value)]))
    save_file({"w": np.array([value])}, at / "m.safetensors", {"b": "1", "a": "2"})
    (at / ".runs" / "a.h5.json").write_text(f'{{"seconds": {id(at)}, "recipe": {value}}}')
    return trees.content(at)


def test_equal_folders_do_not_differ(tmp_path: Path) -> None:
    assert trees.differing(_folder(tmp_path / "a"), _folder(tmp_path / "b")) == []


def test_every_file_that_differs_or_is_lacking_is_named(tmp_path: Path) -> None:
    ours, theirs = _folder(tmp_path / "a"), _folder(tmp_path / "b", 2.0)
    assert trees.differing(ours, theirs) == sorted(FILES)
    assert trees.differing(ours, theirs, among=["a.png"]) == ["a.png"]
    assert trees.differing(ours, theirs, among=[]) == []
    for name in FILES:
        assert trees.differing(ours, {n: v for n, v in ours.items() if n != name}) == [name]


@pytest.mark.parametrize("name", [".a.h5.vm.1-1.tmp", ".runs/.x.vm.1-2.tmp"])
def test_what_is_half_written_is_found(tmp_path: Path, name: str) -> None:
    _folder(tmp_path / "a")
    assert trees.unfinished(tmp_path / "a") == []
    (tmp_path / "a" / name).touch()
    assert trees.unfinished(tmp_path / "a") == [name]
