from __future__ import annotations

import logging
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from histocnn.errors import ModelError, UsageError
from histocnn.models import backbones
from histocnn.models.backbones import Embedder, Network, build, embedder, feature_width

PUBLISHED = {  # parameters with 1,000 classes, without auxiliary heads
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "googlenet": 6_624_904,
    "inception_v3": 23_834_568,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "squeezenet1_1": 1_235_496,
}
AUXILIARY = {"googlenet": 13_004_888, "inception_v3": 27_161_264}


def on_meta(name: str, num_classes: int = 1000) -> Network:
    with torch.device("meta"):
        return build(name, num_classes)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameter_counts(name):
    named = [(n, p.numel()) for n, p in on_meta(name).named_parameters()]
    assert sum(c for n, c in named if ".aux" not in n.lower()) == PUBLISHED[name]
    assert sum(c for _, c in named) == AUXILIARY.get(name, PUBLISHED[name])


def test_lenet5_as_taught():
    assert sum(p.numel() for p in build("lenet5", 10).parameters()) == 61_706
    assert sum(p.numel() for p in build("mlp", 10).parameters()) == 784 * 512 + 512 + 5_130


@pytest.mark.parametrize(
    ("name", "width"),
    [("resnet18", 512), ("squeezenet1_1", 512), ("alexnet", 4096), ("vit_b_16", 768),
     ("densenet121", 1024), ("timm/vit_tiny_patch16_224", 192), ("lenet5", 84), ("mlp", 512)],
)  # fmt: skip
def test_feature_width(name, width):
    assert feature_width(name) == width


@pytest.mark.parametrize("name", ["squeezenet1_1", "timm/resnet18", "mobilenet_v3_small"])
def test_a_head_of_one_s_own_and_features(name):
    images = torch.zeros(2, 3, 64, 64, device="meta")
    assert on_meta(name, 3).eval()(images).shape == (2, 3)
    assert on_meta(name, 0).eval()(images).shape == (2, feature_width(name))


@pytest.mark.parametrize(("name", "heads"), [("googlenet", 3), ("inception_v3", 2)])
def test_auxiliary_heads_speak_in_training_only(name, heads):
    network = on_meta(name, 4)
    images = torch.zeros(2, 3, 299, 299, device="meta")
    outputs = network.train()(images)
    assert [tuple(o.shape) for o in outputs] == [(2, 4)] * heads
    assert network.eval()(images).shape == (2, 4)


@pytest.mark.parametrize("name", ["lenet5", "mlp"])
def test_networks_for_28_px_say_so(name):
    with pytest.raises(ModelError, match=r"28 × 28 px and got 50 × 40.*input_px"):
        build(name, 2)(torch.zeros(1, 3, 40, 50))


def test_layers_are_averaged_over_space_and_joined():
    backbone = build("squeezenet1_1", 0).backbone.eval()
    images = torch.rand(2, 3, 64, 64)
    features = Embedder(backbone, ["features.7", "features.12"])(images)
    first = backbone.features[:8](images).mean((2, 3))
    second = backbone.features[:13](images).mean((2, 3))
    assert torch.equal(features, torch.cat([first, second], dim=1))
    with pytest.raises(UsageError, match=r"no layer 'features.99'.*features"):
        Embedder(backbone, ["features.99"])


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
    build("lenet5", 2, weights=tmp_path / "w.safetensors")
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


def test_unknown_names_and_missing_files():
    with pytest.raises(UsageError, match="no network is called 'resnet19'"):
        build("resnet19", 2)
    with pytest.raises(UsageError, match="timm has no network 'nonsense'"):
        build("timm/nonsense", 2)
    with pytest.raises(ModelError, match="no such file"):
        build("lenet5", 2, weights="nowhere.safetensors")
    with pytest.raises(ModelError, match="lenet5 has no ImageNet weights"):
        build("lenet5", 2, weights="imagenet")


def test_offline_says_how_to_pass_a_file(monkeypatch, tmp_path):
    def unreachable(*args, **kwargs):
        raise OSError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(ModelError, match=r"resnet18 could not be downloaded.*--weights FILE"):
        build("resnet18", 2, weights="imagenet")


def test_offline_the_hub_is_named_too(monkeypatch):
    import timm

    def unreachable(*args, **kwargs):
        raise ConnectionError("offline")

    monkeypatch.setattr(timm.models, "load_model_config_from_hf", unreachable)
    with pytest.raises(ModelError, match="hf-hub:ORG/NAME could not be downloaded"):
        build("hf-hub:ORG/NAME", 2)


def test_dropout_stands_before_the_head():
    head = build("lenet5", 2, dropout=0.3).head
    assert isinstance(head, nn.Sequential)
    assert isinstance(head[0], nn.Dropout)
    assert head[0].p == 0.3


def test_normalisation_is_the_network_s_own():
    assert backbones.normalisation("resnet18")[0] == backbones.IMAGENET_MEAN
    assert backbones.normalisation("timm/vit_tiny_patch16_224") == ((0.5,) * 3, (0.5,) * 3)
