from __future__ import annotations

import logging
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from histocnn.errors import ModelError
from histocnn.models.backbones import build, embedder
from histocnn.models.weights import load_weights


def test_real_weights_fit_by_name(shared, caplog):
    path = shared / "weights" / "squeezenet1_1-imagenet.safetensors"
    with caplog.at_level(logging.INFO):
        network = embedder("squeezenet1_1", path)
    stored = load_file(path)
    for name, tensor in network.backbone.state_dict().items():
        assert torch.equal(tensor, stored[name])
    assert "classifier.1.weight" in caplog.text  # what was not used is named


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "encoder.", "module.encoder."])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_wrappers_prefixes_are_stripped(tmp_path, prefix, suffix):
    source = build("lenet5", 0).backbone
    stored = {prefix + k: v for k, v in source.state_dict().items()}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": stored, "epoch": 3}, path)
    else:
        save_file(stored, path)
    loaded = build("lenet5", 2, weights=path).backbone.state_dict()
    assert all(torch.equal(loaded[k], v) for k, v in source.state_dict().items())


def test_what_is_missing_is_named(tmp_path, caplog):
    stored = build("lenet5", 0).backbone.state_dict()
    del stored["layers.7.weight"]
    save_file(stored, tmp_path / "w.safetensors")
    load_weights(build("lenet5", 2).backbone, tmp_path / "w.safetensors")
    assert "left random: layers.7.weight" in caplog.text


def test_weights_of_another_network_are_refused(tmp_path):
    save_file(build("mlp", 0).backbone.state_dict(), tmp_path / "mlp.safetensors")
    with pytest.raises(ModelError, match=r"only 0 of the backbone's 8 tensors.*another network"):
        build("lenet5", 2, weights=tmp_path / "mlp.safetensors")


class Payload:
    def __reduce__(self):
        return print, ("unpickled!",)


def test_a_pickled_payload_is_refused(tmp_path, capsys):
    torch.save({"state_dict": {"w": torch.zeros(1)}, "extra": Payload()}, tmp_path / "evil.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Payload()))
    (tmp_path / "evil.safetensors").write_bytes(pickle.dumps(Payload()))
    for name in ("evil.pth", "raw.pth", "evil.safetensors"):
        with pytest.raises(ModelError, match="nothing is unpickled"):
            build("lenet5", 2, weights=tmp_path / name)
    assert "unpickled!" not in capsys.readouterr().out
