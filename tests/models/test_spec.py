from __future__ import annotations

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from histocnn.cohort.seen import hashed
from histocnn.errors import ModelError
from histocnn.models.backbones import build
from histocnn.models.preparation import to_input
from histocnn.models.spec import ModelSpec, load, read_spec, save
from histocnn.slides.stain import Normaliser

SPEC = ModelSpec(
    "lenet5",
    class_names=("normal", "tumour"),
    patch_px=28,
    mpp=0.5,
    input_px=28,
    stain=Normaliser().to_dict(),
    temperature=1.5,
    thresholds={"tumour": {"youden": {"threshold": 0.25}}},
    seen={
        "train": {"patients": ["p1"], "slides": ["s1"]},
        "val": {"patients": ["p2"], "slides": []},
    },
)


def test_network_and_spec_come_back(tmp_path):
    network = build("lenet5", 2, dropout=0.5)
    save(tmp_path / "new" / "model.safetensors", network, SPEC)
    loaded, spec = load(tmp_path / "new" / "model.safetensors")
    assert spec == SPEC
    assert not loaded.training
    images = torch.rand(2, 3, 28, 28)
    assert torch.allclose(loaded(images), network.eval()(images), atol=1e-6)
    weights = loaded.state_dict()
    assert all(torch.equal(weights[k], v) for k, v in network.state_dict().items())
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["model.safetensors"]


def test_equal_specs_give_equal_text():
    assert ModelSpec.from_json(SPEC.to_json()).to_json() == SPEC.to_json()


def test_pixels_become_input_in_one_way():
    pixels = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)  # one patch of one pixel
    spec = ModelSpec("any", mean=(0.5, 0.0, 0.2), std=(0.5, 0.1, 0.4))
    found = to_input(pixels, spec)
    assert found.shape == (1, 3, 1, 1)
    assert torch.allclose(found.flatten(), torch.tensor([-1.0, 2.0, 2.0]))
    assert pixels.dtype == torch.uint8
    assert to_input(pixels, ModelSpec("any", input_px=4)).shape == (1, 3, 4, 4)


def test_input_is_channels_last():
    pixels = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    for side in (None, 4):
        found = to_input(pixels, ModelSpec("any", input_px=side))
        assert found.is_contiguous(memory_format=torch.channels_last)


def test_a_model_of_another_version_is_refused(tmp_path):
    stored = json.loads(SPEC.to_json()) | {"format": 99, "version": "7.0"}
    path = tmp_path / "model.safetensors"
    save_file(build("lenet5", 2).state_dict(), path, {"histocnn_recipe": json.dumps(stored)})
    with pytest.raises(ModelError, match=r"histocnn 7\.0 \(format 99\).*Use that version"):
        load(path)


def test_files_that_are_no_model(tmp_path):
    (tmp_path / "pickle.safetensors").write_bytes(pickle.dumps({"a": 1}))
    save_file({"w": torch.zeros(2)}, tmp_path / "weights.safetensors")
    with pytest.raises(ModelError, match=r"not a whole \.safetensors"):
        read_spec(tmp_path / "pickle.safetensors")
    with pytest.raises(
        ModelError, match=r"weights without what histocnn writes of a model.*--backbone"
    ):
        read_spec(tmp_path / "weights.safetensors")
    with pytest.raises(ModelError, match="no such model"):
        read_spec(tmp_path / "absent.safetensors")


def test_weights_that_are_not_the_spec_s(tmp_path):
    path = tmp_path / "model.safetensors"
    save(path, build("mlp", 2), SPEC)
    with pytest.raises(ModelError, match="not those of lenet5"):
        load(path)


@pytest.mark.parametrize("salt", [None, "pepper"])
def test_who_was_seen(salt):
    def ids(*names):
        return [hashed(name, salt) for name in names]

    spec = ModelSpec(
        "any",
        seen={"train": {"patients": ids("p1"), "slides": ids("s1")},
              "val": {"patients": ids("p2"), "slides": ids("s2")}},
        salt=salt,
    )  # fmt: skip
    assert spec.seen_as("s1", "p1") == "train"
    assert spec.seen_as("other", "p1") == "train"  # another slide of a training patient
    assert spec.seen_as("s2", "") == "val"
    assert spec.seen_as("s9", "p9") == "no"
    assert spec.seen_as("s9", "") == "unknown"
    assert ModelSpec("any").seen_as("s1", "p1") == "unknown"


def test_salted_ids_do_not_tell_the_patient():
    assert hashed("p1", None) == "p1"
    assert "p1" not in hashed("p1", "salt")
    assert hashed("p1", "salt") != hashed("p1", "pepper")


def test_a_model_says_how_its_scores_came_about():
    points = {"b": {"youden": {"threshold": 0.3}}}
    spec = ModelSpec(
        "any",
        class_names=("a", "b"),
        temperature=1.5,
        thresholds=points,
        seen={"train": {"patients": ["p1"], "slides": []}},
        training={"seed": 3},
    )
    scoring = spec.scoring({"stage": "predict"}, ["s1", "", "s2"], ["p1", "", "p2"])
    assert scoring.class_names == ("a", "b")
    assert scoring.recipe == {"stage": "predict"}
    assert scoring.seen == ["train", "unknown", "no"]
    assert (scoring.temperature, scoring.thresholds, scoring.training) == (1.5, points, {"seed": 3})


@pytest.mark.parametrize("own", [True, False])
def test_dense_scores_come_with_their_own_calibration_or_whole_with_that_of_patches(own):
    patches = {"temperature": 1.5, "thresholds": {"b": {}}, "validation": {"patches": 9}}
    dense = {"temperature": 2.5, "thresholds": {"a": {}}, "validation": {"patches": 441}}
    spec = ModelSpec("any", ("a", "b"), **patches, dense=dense if own else {"refused": "because"})
    found = spec.scoring({}, [], [], dense=True)
    expected = dense if own else patches
    assert {name: getattr(found, name) for name in expected} == expected
    assert spec.scoring({}, [], []).validation == {"patches": 9}
    assert spec.is_dense_calibrated is own


@pytest.mark.parametrize("salt", [None, "salt"])
def test_a_slide_of_training_is_known_under_another_name(salt):
    ids = {"patients": [hashed("P1", salt)], "slides": [hashed("s1", salt)]}
    seen = {"train": ids | {"fingerprints": [hashed("77-ab", salt)]}, "val": ids}
    spec = ModelSpec("tiny", seen=seen, salt=salt)
    assert spec.seen_as("s9", "P9", "77-ab") == "train"
    assert spec.seen_as("s9", "P9", "78-cd") == "no"
    assert spec.scoring({}, ["s9"], ["P9"], "77-ab").seen == ["train"]
