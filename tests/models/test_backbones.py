from __future__ import annotations

import sys

import pytest
import torch

from histocnn.errors import ModelError, UsageError
from histocnn.metrics.terms import Terms
from histocnn.models.backbones import build
from histocnn.models.networks import Network, takes
from histocnn.models.preparation import Preparation

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


@pytest.mark.parametrize(
    ("name", "width"),
    [("resnet18", 512), ("squeezenet1_1", 512), ("alexnet", 4096), ("vit_b_16", 768),
     ("densenet121", 1024), ("timm/vit_tiny_patch16_224", 192), ("lenet5", 84), ("mlp", 512)],
)  # fmt: skip
def test_feature_width(name, width):
    assert on_meta(name, 0).width == width


@pytest.mark.parametrize("name", ["squeezenet1_1", "timm/resnet18", "mobilenet_v3_small"])
def test_a_head_of_one_s_own_and_features(name):
    images = torch.zeros(2, 3, 64, 64, device="meta")
    assert on_meta(name, 3).eval()(images).shape == (2, 3)
    assert on_meta(name, 0).eval()(images).shape == (2, on_meta(name, 0).width)


@pytest.mark.parametrize(("name", "heads"), [("googlenet", 3), ("inception_v3", 2)])
def test_auxiliary_heads_speak_in_training_only(name, heads):
    network = on_meta(name, 4)
    images = torch.zeros(2, 3, 299, 299, device="meta")
    outputs = network.train()(images)
    assert [tuple(o.shape) for o in outputs] == [(2, 4)] * heads
    assert network.eval()(images).shape == (2, 4)


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


def test_how_pixels_become_input_is_the_network_s_own():
    assert on_meta("resnet18").preparation == Preparation()
    own = on_meta("timm/vit_tiny_patch16_224").preparation
    assert (own.mean, own.std, own.input_px) == ((0.5,) * 3, (0.5,) * 3, None)


def test_a_transformer_takes_what_its_patches_divide_and_says_so():
    network = build("timm/vit_small_patch14_dinov2", 0, arguments={"depth": 1}).eval()
    assert network(torch.zeros(1, 3, 224, 224)).shape == (1, 384)  # was: AssertionError 224 != 518
    images = torch.zeros(1, 3, 225, 224)
    said = r"net does not take 224 × 225 px.*Set input_px"
    with pytest.raises(ModelError, match=said), takes("net", images):
        network(images)


def test_arguments_that_a_network_does_not_take():
    with pytest.raises(UsageError, match=r"timm/resnet10t does not take .*nonsense"):
        build("timm/resnet10t", 0, arguments={"nonsense": 1})
    with pytest.raises(UsageError, match="resnet18 takes no arguments"):
        build("resnet18", 0, arguments={"width": 1})
    with pytest.raises(UsageError, match=r"mlp_layer is 'os\.system'. Give one of Mlp"):
        build("timm/vit_tiny_patch16_224", 0, arguments={"mlp_layer": "os.system"})


OWN = """
import torch
from torch import nn

class Said(nn.Module):
    width = 5
    def forward(self, images):
        return images.mean((2, 3)).repeat(1, 2)[:, :5]

class Measured(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 7, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

class Flat(nn.Flatten):
    width = "wide"

class Maps(nn.Identity):
    pass

class Small(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(3 * 8 * 8, 4))

class Ran:
    def __init__(self):
        raise SystemExit("was run")

def function():
    raise LookupError("no weights here")

def number():
    return 7

def strange():
    return Said(), {"std": [0, 1, 1]}

def loaded():
    return Said(), {"mean": [0.1, 0.2, 0.3], "input_px": 48, "licence": "MIT", "forbids": []}

def plain():
    return Measured()
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "my_own_nets.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_own_nets", raising=False)


@pytest.mark.parametrize(("name", "width"), [("Said", 5), ("Measured", 7)])
def test_people_s_own_network_says_its_width_or_is_measured(own, name, width):
    network = build(f"my_own_nets:{name}", 3)
    assert network.width == width
    assert network.name == f"my_own_nets:{name}"
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    assert "" not in sys.path[-1:]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_own_nets:Flat", "its width is 'wide'"),
        ("my_own_nets:Maps", r"gives \(1, 3, 224, 224\) for one image.*Pool and flatten"),
        ("my_own_nets:Small", "224 px do not pass"),
        ("my_own_nets:Ran", "is no torch.nn.*Name a subclass of Module"),
        ("my_own_nets:function", "LookupError: no weights here"),
        ("my_own_nets:number", "returns int, no torch.nn.Module"),
        ("my_own_nets:strange", "its recipe's std cannot be meant"),
        ("os:system", "is not written in os"),
        ("os.path:isfile", "is not written in os.path"),
        ("my_own_nets:Absent", "is not there"),
        ("no_such_nets:Said", "cannot be imported"),
    ],
)
def test_people_s_own_network_that_cannot_be_meant(own, name, message):
    with pytest.raises(UsageError, match=message):
        build(name, 3)


def test_a_function_of_one_s_own_returns_the_network_and_what_it_wants_to_say(own):
    network = build("my_own_nets:loaded", 0)
    assert network.preparation.mean == (0.1, 0.2, 0.3)
    assert network.preparation.input_px == 48
    assert network.terms == Terms("my_own_nets:loaded", "MIT", ())
    silent = build("my_own_nets:plain", 0)
    assert silent.width == 7
    assert silent.terms == Terms("my_own_nets:plain", "", None)  # unknown
    assert silent.preparation == Preparation()


def test_people_s_own_network_has_no_imagenet_weights(own):
    with pytest.raises(ModelError, match="has no ImageNet weights"):
        build("my_own_nets:Said", 3, weights="imagenet")


@pytest.mark.parametrize("name", ["checkpoint_path", "pretrained_cfg_overlay", "cache_dir"])
def test_what_came_with_a_file_sets_the_architecture_alone(name):
    brought = {name: "/etc/passwd"}
    with pytest.raises(ModelError, match=f"timm/resnet10t: its configuration sets {name}"):
        build("timm/resnet10t", 2, arguments=brought)
