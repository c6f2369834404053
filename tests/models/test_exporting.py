from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import ModelError, UsageError
from histocnn.models import exporting
from histocnn.models.export_subject import open_subject
from histocnn.models.exported import read_exported
from histocnn.models.exporting import files_of, what_stands, write
from tests.models.small_networks import write_model

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 3), dtype=np.uint8)


def test_what_stands_is_said(tmp_path: Path) -> None:
    model, out = write_model(tmp_path / "m.safetensors", mpp=1.0), tmp_path / "out"
    subject = open_subject(model, "wsinfer", None, None, None)
    assert what_stands(subject, "wsinfer", out) is None
    recipe = write(subject, "wsinfer", out, PIXELS, "of a test")
    assert sorted(path.name for path in out.iterdir()) == sorted(files_of("wsinfer"))
    assert recipe["check"]["max_difference"] < 1e-5
    assert read_exported(out) == recipe
    assert what_stands(subject, "wsinfer", out) == ""
    del recipe["files"]["torchscript_model.pt"]  # edited, so that the network is not looked at
    whole = (out / "recipe.json").read_text()
    (out / "recipe.json").write_text(json.dumps(recipe))
    assert "recipe.json: does not name torchscript_model.pt" in str(
        what_stands(subject, "wsinfer", out)
    )
    (out / "recipe.json").write_text(whole)
    other = open_subject(write_model(model, mpp=1.0, temperature=2.0), "wsinfer", None, None, None)
    assert what_stands(other, "wsinfer", out) == "inside and model changed"
    with pytest.raises(UsageError, match=r"holds an export --to wsinfer.*an --out of its own"):
        what_stands(subject, "torchscript", out)  # whose recipe would take the place
    (out / "config.json").write_text("{}")
    assert "config.json: is not the file that recipe.json names" in str(
        what_stands(subject, "wsinfer", out)
    )


def test_what_scores_otherwise_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = open_subject(write_model(tmp_path / "m.safetensors"), "torchscript", None, None, None)
    right = exporting.READERS["torchscript"]
    for wrong in (2e-3, np.nan):
        monkeypatch.setitem(
            exporting.READERS, "torchscript", lambda *given, by=wrong: right(*given) + by
        )  # type: ignore[arg-type]
        with pytest.raises(ModelError, match=r"differ from torch's by .*not written"):
            write(subject, "torchscript", tmp_path / "out", PIXELS, "of a test")
        assert list((tmp_path / "out").iterdir()) == []
