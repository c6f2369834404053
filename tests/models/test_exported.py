from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from histocnn.errors import ModelError
from histocnn.models.exported import LARGEST, read_exported


def write(folder: Path, **changed: Any) -> Path:
    (folder / "model.onnx").write_bytes(b"network")
    recipe = {
        "histocnn_export": 1,
        "files": {"model.onnx": hashlib.sha256(b"network").hexdigest()},
        "encoder": {"encoder": "uni", "licence": "CC-BY-NC-ND-4.0", "forbids": ["commercial use"]},
    } | changed
    (folder / "recipe.json").write_text(json.dumps(recipe))
    return folder


def test_what_is_whole_is_read(tmp_path: Path) -> None:
    found = read_exported(write(tmp_path))
    assert found == json.loads((tmp_path / "recipe.json").read_text())


def test_an_edited_a_cut_and_a_lost_file_are_named(tmp_path: Path) -> None:
    network = write(tmp_path) / "model.onnx"
    for content in (b"netw0rk", b"net"):
        network.write_bytes(content)
        with pytest.raises(ModelError, match=r"model\.onnx: is not the file.*edited, or is cut"):
            read_exported(tmp_path)
    network.unlink()
    with pytest.raises(ModelError, match=r"model\.onnx.*Export the model again"):
        read_exported(tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"histocnn_export": 2}, r"later histocnn \(format 2; this reads 1\).*Use that version"),
        ({"histocnn_export": "x"}, "is no recipe"),
        ({"files": {}}, "is no recipe"),
        ({"files": ["model.onnx"]}, "is no recipe"),
        ({"files": {"../model.onnx": "a"}}, r"names the file '\.\./model\.onnx'"),
        ({"files": {"model.onnx": 3}}, "names the file"),
        ({"encoder": {"encoder": 3}}, "terms are"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        read_exported(write(tmp_path, **changed))


def test_what_is_no_recipe_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such file"):
        read_exported(tmp_path)
    recipe = tmp_path / "recipe.json"
    for content, message in ((b"{", "as JSON"), (b"[]", "no recipe"), (b"\xff", "as JSON")):
        recipe.write_bytes(content)
        with pytest.raises(ModelError, match=message):
            read_exported(tmp_path)
    recipe.write_bytes(b" " * (LARGEST + 1))
    with pytest.raises(ModelError, match="too large"):
        read_exported(tmp_path)
    recipe.unlink()
    recipe.mkdir()
    with pytest.raises(ModelError, match="no ordinary file"):
        read_exported(tmp_path)
