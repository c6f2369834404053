"""An encoder's licence is in everything that is made with it, and on a report's first screen."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import histocnn
from histocnn.errors import FeaturesError, ModelError
from histocnn.metrics.terms import NOBODYS, UNKNOWN, Terms
from histocnn.models import encoders
from histocnn.models.backbones import build
from histocnn.models.spec import read_spec, terms_behind
from histocnn.phantom.cohort import make_cohort
from histocnn.reference.features import load
from histocnn.scores.scored import read_scored
from histocnn.storage import store
from tests.grid_files import write_grid
from tests.models.patch_files import write_csv
from tests.models.small_networks import write_model

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's and torch's of each other
SMALL = {"depth": 1, "embed_dim": 24, "num_heads": 3, "img_size": 32}
BOUND = Terms("tiny-nc", "CC-BY-NC-ND-4.0", ("commercial use", "sharing derived models"))
SENTENCE = "Licence: " + BOUND.sentence()


def row(name: str, **changed: Any) -> encoders.Encoder:
    known = {"architecture": "timm/vit_tiny_patch16_224", "arguments": SMALL, "pool": "cls+mean",
             "width": 48, "input_px": 32, "mpp": (1.0,), "licence": BOUND.licence,
             "forbids": BOUND.forbids, "cite": "nobody", **changed}  # fmt: skip
    return encoders.Encoder(name=name, **known)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small encoders in the table, weights of theirs, and two slides' grids at 1 µm/px."""
    rows = {"tiny-nc": row("tiny-nc"), "tiny-mit": row("tiny-mit", licence="MIT", forbids=())}
    monkeypatch.setattr(encoders, "table", lambda: rows)
    torch.manual_seed(0)
    network = build("timm/vit_tiny_patch16_224", 0, arguments=SMALL).backbone
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    write_grid(tmp_path, "s1", patient_id="p1")
    write_grid(tmp_path, "s2", size=(500, 300), patient_id="p2")
    return tmp_path


def embedded(place: Path, name: str, out: str, **how: Any) -> Path:
    weights = str(place / "w.safetensors")
    assert histocnn.embed(place / "grids", place / out, name, weights, **how).exit_code == 0
    return place / out


@pytest.mark.usefixtures("without_pictures")
def test_from_features_to_the_report(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    features = embedded(place, "tiny-nc", "f")
    stored = store.attributes(features / "s1.h5")
    assert Terms.stored_in(stored) == BOUND
    assert stored["recipe"]["network"]["pool"] == "cls+mean"
    for stage, out in ((histocnn.knn, "knn"), (histocnn.probe, "probe")):
        assert stage(features, features, place / out).exit_code == 0  # type: ignore[operator]
        assert Terms.stored_in(store.attributes(place / out / "s1.h5")) == BOUND
    found = histocnn.evaluate(place / "knn", place / "report", allow_seen=True, replicates=1)
    assert found.report is not None
    assert SENTENCE in found.report.words
    assert found.report.model["encoder"] == BOUND.to_dict()
    page = (place / "report" / "report.html").read_text()
    assert "<b>Licence:</b> Made with tiny-nc (CC-BY-NC-ND-4.0), whose licence forbids" in page
    assert page.index("Licence:") < page.index("<h2>")  # the first screen
    capfd.readouterr()
    assert histocnn.export(place / "knn", place / "csv", to="csv").exit_code == 0
    assert BOUND.sentence() in capfd.readouterr().err


@pytest.mark.usefixtures("without_pictures")
def test_what_forbids_nothing_is_named_but_not_on_the_first_screen(place: Path) -> None:
    features = embedded(place, "tiny-mit", "f")
    histocnn.knn(features, features, place / "knn")
    histocnn.evaluate(place / "knn", place / "report", allow_seen=True, replicates=1)
    page = (place / "report" / "report.html").read_text()
    assert "Licence:" not in page
    assert "Made with tiny-mit (MIT)." in page


def test_a_model_trained_on_it_and_its_scores(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = write_csv(place / "images", {"train": 32, "val": 8, "test": 12})
    options = {
        "data": {"patches": listing, "workers": 0, "augment": "none"},
        "model": {"backbone": "tiny-nc", "weights": str(place / "w.safetensors"),
                  "finetune": "head"},
        "trainer": {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False},
    }  # fmt: skip
    histocnn.train(out=place / "model", **options)
    assert BOUND.sentence() in capsys.readouterr().out
    model = place / "model" / "model.safetensors"
    spec = read_spec(model)
    assert spec.terms == BOUND
    assert (spec.pool, spec.input_px, spec.interpolation) == ("cls+mean", 32, "bicubic")
    assert Terms.stored_in(store.attributes(place / "model" / "scores.h5")) == BOUND
    assert histocnn.predict(listing, model, place / "s").exit_code == 0
    [scores] = (place / "s").glob("*.h5")
    assert Terms.stored_in(store.attributes(scores)) == BOUND
    again = histocnn.embed(listing, place / "again", model=model)
    assert Terms.stored_in(store.attributes(again.outputs[0])) == BOUND
    assert terms_behind("lenet5", model) == BOUND  # and a model that begins with this one


def test_what_is_unknown_and_what_is_nobody_s(tmp_path: Path) -> None:
    assert read_spec(write_model(tmp_path / "old.safetensors")).terms == UNKNOWN
    assert terms_behind("resnet18", None) == NOBODYS
    assert terms_behind("resnet18", "run.ckpt") == UNKNOWN
    assert terms_behind("resnet18", "imagenet").licence == "BSD-3-Clause"


def test_another_scale_is_refused_unless_it_is_asked_for(place: Path) -> None:
    encoders.table()["tiny-nc"].__dict__["mpp"] = (0.5, 2.0)  # type: ignore[index]
    with pytest.raises(ModelError, match=r"s1: patches at 1 µm/px.*0\.5, 2\. Tile at --mpp 0\.5"):
        embedded(place, "tiny-nc", "f")
    assert not (place / "f").exists()
    embedded(place, "tiny-nc", "f", any_scale=True)


def test_patches_of_another_size_are_scaled_and_it_is_said(place: Path) -> None:
    facts = json.loads((embedded(place, "tiny-nc", "f") / "run.json").read_text())["slides"]["s1"]
    assert facts["notes"] == ["patches of 28 px are scaled to 32: the encoder sees 0.875 µm/px"]
    said = json.loads((embedded(place, "tiny-nc", "g", input_px=32) / "run.json").read_text())
    assert said["slides"]["s1"]["notes"] == []


def test_heatmaps_bear_it(place: Path) -> None:
    features = embedded(place, "tiny-nc", "f")
    histocnn.knn(features, features, place / "knn")
    origin = read_scored(place / "knn" / "s1.h5").origin
    assert "tiny-nc: commercial use, sharing derived models forbidden" in origin


def test_features_of_two_encoders_do_not_mix(place: Path) -> None:
    first = embedded(place, "tiny-nc", "f")
    torch.manual_seed(1)
    other = build("timm/vit_tiny_patch16_224", 0, arguments=SMALL).backbone
    save_file(other.state_dict(), place / "w.safetensors")
    second = embedded(place, "tiny-mit", "g")
    with pytest.raises(FeaturesError, match=r"features of tiny-nc and tiny-mit"):
        load([first / "s1.h5", second / "s2.h5"])
    with pytest.raises(FeaturesError, match=r"features of width 48 and 24"):
        load([first / "s1.h5", embedded(place, "tiny-nc", "h", pool="cls") / "s2.h5"])


OWN = """
import torch
from histocnn import Recipe
from histocnn.models.networks import LeNet5

def load():
    torch.manual_seed(0)
    return LeNet5(), Recipe(input_px=28, mpp=1.0, licence="MIT", forbids=())

def silent():
    network = load()[0]
    network.width = 84  # 224 px, by which it would be measured, are not for a LeNet-5
    return network

def elsewhere():
    return silent(), {"mpp": 0.5}
"""


def test_a_function_of_one_s_own_and_what_it_says(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "labs_nets.py").write_text(OWN)
    monkeypatch.chdir(place)
    monkeypatch.delitem(sys.modules, "labs_nets", raising=False)
    said = {}
    for name in ("load", "silent"):
        done = histocnn.embed("grids", name, f"labs_nets:{name}")
        assert done.exit_code == 0
        said[name] = Terms.stored_in(store.attributes(done.outputs[0]))
        assert store.read(done.outputs[0], "features")["features"].shape[1] == 84
    assert said["load"] == Terms("labs_nets:load", "MIT", ())
    assert said["silent"] == Terms("labs_nets:silent", "", None)
    assert said["silent"].sentence().endswith("what its licence forbids is unknown.")
    assert histocnn.embed("grids", "e", "labs_nets:elsewhere").exit_code == 1  # its scale: 0.5
    assert histocnn.embed("grids", "e", "labs_nets:elsewhere", any_scale=True).exit_code == 0


@pytest.mark.slow
def test_run_goes_by_the_encoder_of_its_reference(place: Path) -> None:
    cohort = make_cohort(place / "cohort", slides=2, patients=2, size_px=(1024, 1024))
    weights = str(place / "w.safetensors")
    histocnn.tile(cohort, place / "g", patch_px=32, mpp=2.0)
    how = {"any_scale": True, "pool": "mean"}
    histocnn.embed(place / "g", place / "reference", "tiny-nc", weights, **how)
    words = {"reference": place / "reference", "k": 3}
    with pytest.raises(ModelError, match=r"of the network tiny-nc, which the hub would be asked"):
        histocnn.run(cohort, place / "a", **words)
    done = histocnn.run(cohort, place / "b", weights=weights, **words)
    assert done.exit_code == 0
    assert done.report is not None
    assert SENTENCE in done.report.words
