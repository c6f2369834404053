"""histocnn fool: one page, one JSON; mistakes are one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.cli import main
from histocnn.stages.fool import fool
from tests.inspection.fooled import PATTERN, patches_of
from tests.models.small_networks import write_model

FEW = ["--most", "8", "--made_up", "2", "--epsilons", "[4]", "--steps", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fool")
    write_model(folder / "model.safetensors")
    patches_of(folder / "patches")
    (folder / "things").mkdir()
    cv2.imwrite(str(folder / "things" / "grey.png"), np.full((20, 50), 77, np.uint8))
    (folder / "things" / "broken.png").write_bytes(b"x")
    return folder


def words(place: Path, out: Path, **more: str) -> list[str]:
    given = {"patches": str(place / "patches"), "model": str(place / "model.safetensors"),
             "out": str(out), "patient_pattern": PATTERN, **more}  # fmt: skip
    return ["fool", *FEW, *(word for k, v in given.items() for word in (f"--{k}", v))]


def test_a_page_and_every_number_are_written(place, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(words(place, out, things=str(place / "things"))) == 0
    said = capsys.readouterr().out
    assert "PGD, ε = 4" in said
    assert f"{out / 'fool.html'}: 18 kinds of pictures" in said
    stored = json.loads((out / "fool.json").read_text("utf-8"))
    names = [trial["name"] for trial in stored["trials"]]
    assert names[0] == "tissue as it is"
    assert {"things that are not tissue", "blur of 2 px"} <= set(names)
    assert any(name.startswith("ascent to b from ") for name in names)
    assert all(
        trial["figures"][f"auroc_{name}"]["value"] is not None
        for trial in stored["trials"][1:]
        for name in ("novelty", "distance", "max_softmax", "energy", "mahalanobis")
    )
    assert any("broken.png" in note for note in stored["notes"])
    assert (stored["model"], stored["judged"]) == ("model.safetensors", 8)
    page = (out / "fool.html").read_text("utf-8")
    assert "Confidence is not knowledge" in page
    assert "broken.png: not a whole image" in page
    assert str(place) not in page  # whose machine it is


def test_the_same_seed_gives_the_same_figures_and_files_may_be_replaced(place, tmp_path):
    more = {"most": 8, "made_up": 2, "epsilons": (4,), "steps": 2, "patient_pattern": PATTERN}
    given = place / "model.safetensors", place / "patches", tmp_path / "out"
    first = fool(*given, **more, device="cpu")
    text = (tmp_path / "out" / "fool.json").read_text("utf-8")
    again = fool(*given, **more, device="cpu")
    assert (tmp_path / "out" / "fool.json").read_text("utf-8") == text
    assert (first.outputs, first.exit_code) == (again.outputs, 0)
    assert [path.name for path in first.outputs][:2] == ["fool.html", "fool.json"]
    table = first.to_dataframe()
    assert table.kind.tolist()[0] == "tissue"
    assert "auroc_distance" in table.columns


def test_mistakes_are_one_line(place, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "fool.html").write_text("mine")
    cases = {
        "not made by fool": words(place, tmp_path / "mine"),
        "is the input": words(place, place / "patches"),
        "no such model": words(place, tmp_path / "o", model=str(tmp_path / "no.safetensors")),
        "no layer 'nope'": [*words(place, tmp_path / "o"), "--layers", "[nope]"],
        "--epsilons names no bound": [*words(place, tmp_path / "o"), "--epsilons", "[]"],
        "no images in it": words(place, tmp_path / "o", things=str(tmp_path / "empty")),
        "are of patients or slides that are judged": words(
            place, tmp_path / "o", reference=str(place / "patches")
        ),
    }
    (tmp_path / "empty").mkdir()
    for said, line in cases.items():
        assert main(line) in (1, 2), said
        shown = capsys.readouterr().err.splitlines()
        assert said in shown[-1], (said, shown)
        assert "Traceback" not in "".join(shown)
    assert (tmp_path / "mine" / "fool.html").read_text() == "mine"
    assert not (tmp_path / "o" / "fool.html").exists()


def test_its_help_brings_no_torch():
    code = (
        "import sys\nfrom histocnn.cli import main\n"
        "try: main(['fool', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted(set(sys.modules) & {'torch', 'pandas', 'matplotlib', 'sklearn'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
