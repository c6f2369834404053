"""The table on the screen: what the docs print, how one is got, and no torch for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import huggingface_hub.constants
import pytest

from histocnn.cli import main
from histocnn.models.encoders import table
from histocnn.stages.encoders import COLUMNS, cells, encoders

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "encoders.md"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def lie_in(cache: Path, repo: str, file: str) -> Path:
    """What the hub's client leaves of a downloaded file."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    stored = folder / "snapshots" / "abc" / file
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"weights")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    return stored


def test_the_table_of_the_docs_is_the_table() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for row in table().values():
        assert f"| {' | '.join(cells(row))} |" in text, row.name
    assert f"| {' | '.join(COLUMNS[:-1])} |" in text
    assert text.count("\n| ") >= len(table()) + 1


def test_the_readme_counts_pathologys_own() -> None:
    own = [row for row in table().values() if row.mpp]  # an ImageNet network has no scale
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"`histocnn encoders` lists {len(own)} of them" in readme


def test_the_screen_shows_all_and_what_lies_here(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lie_in(cache, "owkin/phikon", "model.safetensors")
    assert main(["encoders"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert table().keys() <= lines.keys()
    assert lines["phikon"].endswith(" yes")
    assert lines["uni"].endswith(" -")


def test_one_s_row_for_programs(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = lie_in(cache, "MahmoodLab/UNI2-h", "pytorch_model.bin")
    assert main(["encoders", "uni2-h", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row["parameters"] == 681_394_176
    assert row["mpp"] == [0.5]
    assert row["forbids"] == ["commercial use", "sharing derived models"]
    assert row["cached"] == str(stored)
    assert encoders("uni2-h").rows[0]["arguments"]["reg_tokens"] == 8


def test_how_to_get_a_gated_one_and_carry_it_away(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encoders", "uni2-h"]) == 0
    said = capsys.readouterr().out
    assert "/MahmoodLab/UNI2-h, and once: hf auth login" in said
    assert "--patch_px 224 --mpp 0.5" in said
    assert "hf download MahmoodLab/UNI2-h pytorch_model.bin --local-dir uni2-h" in said
    assert "--backbone uni2-h --out features --weights uni2-h/pytorch_model.bin" in said


@pytest.mark.parametrize(
    ("name", "said"),
    [("conch", "--backbone package.module:function"), ("retccl", "--weights FILE"),
     ("resnet50", "--weights imagenet"), ("gpfm", "forbids     unverified"),
     ("virchow2", "µm/px       0.25 0.5 1 2")],
)  # fmt: skip
def test_what_is_to_be_done_for_others(
    name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encoders", name]) == 0
    assert said in capsys.readouterr().out


def test_an_unknown_one_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encoders", "virchow3"]) == 2
    assert "Did you mean virchow, virchow2?" in capsys.readouterr().err


def test_no_torch_is_loaded_to_list_them() -> None:
    code = (
        "import sys; from histocnn.cli import main; main(['encoders']); "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
