"""Tables of networks: fields as taught, as torchlens has them, as measured; costs as published."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from histocnn.errors import ModelError
from histocnn.inspection import receptive_fields
from histocnn.inspection.architecture import Architecture
from histocnn.models.networks import MLP, LeNet5
from tests.inspection.networks import Excited, Rolled, measured, with_ones

PUBLISHED = {  # torchvision's own documents: parameters, 10⁹ multiply-adds
    "alexnet": (61_100_840, 0.714),
    "vgg16": (138_357_544, 15.470),
    "googlenet": (6_624_904, 1.498),
    "inception_v3": (27_161_264, 5.713),
    "resnet18": (11_689_512, 1.814),
    "resnet152": (60_192_808, 11.514),
    "squeezenet1_1": (1_235_496, 0.349),
}
# Adaptive pooling of 6 to 6 and 7 to 7: torchlens takes a bound, the layer keeps what it is given.
KEPT = ("avgpool", "classifier.0")
SLOW = ("vgg16", "googlenet", "inception_v3", "resnet152")


def network_of(name: str, **how: object) -> nn.Module:
    """A network without weights of anybody's."""
    torch.manual_seed(0)
    if name == "lenet5":
        return nn.Sequential(LeNet5(), nn.Linear(84, 10)).eval()
    if name in ("googlenet", "inception_v3"):
        how = {"init_weights": False, "aux_logits": name == "inception_v3", **how}
    return torchvision.models.get_model(name, **how).eval()


def table_of(name: str, network: nn.Module) -> Architecture:
    return receptive_fields(network, {"lenet5": 28, "inception_v3": 299}.get(name, 224))


def some_slow(names: object) -> list[object]:
    return [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in names]  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_stacked_3_by_3_see_2n_plus_1(count: int) -> None:
    stack = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(count)))
    last = receptive_fields(stack, 32).layers[-1]
    assert last.receptive_px == (2 * count + 1, 2 * count + 1)
    assert (last.jump_px, last.offset_px) == ((1, 1), (0, 0))


@pytest.mark.parametrize("name", some_slow(PUBLISHED))
def test_parameters_and_multiply_adds_are_the_published(name: str) -> None:
    table = table_of(name, network_of(name))
    parameters, billions = PUBLISHED[name]
    listed = sum(layer.parameters for layer in table) + sum(table.unused.values())
    assert (table.parameters, listed) == (parameters, parameters)
    assert round(table.multiply_adds / 1e9, 3) == billions
    assert sum(layer.multiply_add_share for layer in table) == pytest.approx(1)


def test_the_fields_of_known_networks_end_as_they_are_taught() -> None:
    resnet = table_of("resnet18", network_of("resnet18"))
    assert resnet["conv1"].receptive_px == (7, 7)
    assert resnet["maxpool"].receptive_px == (11, 11)
    assert resnet["layer4.1.conv2"].receptive_px == (435, 435)  # Araujo et al. 2019
    assert resnet["fc"].whole
    lenet = table_of("lenet5", network_of("lenet5"))
    fields = [layer.receptive_px[0] for layer in lenet.layers[:6] if layer.receptive_px]
    assert fields == [5, 5, 6, 14, 14, 16]
    assert lenet["0.layers.0"].offset_px == (0, 0)  # 28 px padded by 2
    assert sum(layer.parameters for layer in lenet) == 61_706


@pytest.mark.slow
@pytest.mark.timeout(1200)  # torchlens takes two minutes for resnet152
@pytest.mark.parametrize("name", ["lenet5", *PUBLISHED])
@pytest.mark.filterwarnings("ignore")
def test_fields_are_torchlenss_on_every_layer(name: str) -> None:
    torchlens = pytest.importorskip("torchlens")
    network = network_of(name)
    table = table_of(name, network)
    trace = torchlens.trace(network, torch.randn(1, *table.input_shape))
    known: dict[str, list[object]] = {}
    for op in trace.ops:
        for field in op.receptive_field.per_input.values():
            if field.axes is not None and op.module is not None:
                known.setdefault(str(op.module), []).append(field.axes)
    compared = 0
    for layer in table:
        for axes in known.get(f"{layer.name}:{layer.call}", [])[-1:]:
            for axis in axes:  # type: ignore[attr-defined]
                if axis.input_axis < 2 or axis.kind == "unknown" or layer.name in KEPT:
                    continue
                at, compared = 3 - axis.input_axis, compared + 1
                if axis.kind == "full":
                    assert layer.whole, layer.name
                    continue
                assert layer.receptive_px is not None
                assert layer.receptive_px[at] == axis.size, layer.name
                if layer.jump_px is not None and layer.offset_px is not None:
                    assert layer.jump_px[at] == axis.jump, layer.name
                    assert layer.offset_px[at] == float(axis.center0), layer.name
    # Both axes; torchlens is silent where a map was flattened.
    assert compared >= 2 * len([layer for layer in table if layer.call]) - 6


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("squeezenet1_1", 704),
        pytest.param("alexnet", 704, marks=pytest.mark.slow),
        pytest.param("vgg16", 704, marks=pytest.mark.slow),
        pytest.param("resnet18", 1280, marks=pytest.mark.slow),
    ],
)
def test_fields_are_those_of_an_impulse_through_ones(name: str, width: int) -> None:
    network = network_of(name)
    table = table_of(name, network)
    with_ones(network)
    rows = [layer for layer in table if layer.call == 1 and len(layer.output_shape) == 3]
    rows = [layer for layer in rows if not layer.whole and layer.name != "avgpool"]
    if name == "squeezenet1_1":  # in the default suite: a layer of each fire module, every pooling
        rows = [layer for layer in rows if layer.kind == "MaxPool2d" or "expand3x3" in layer.name]
        rows = [layer for layer in rows if "activation" not in layer.name]
    for layer in rows:
        assert layer.receptive_px is not None
        assert layer.jump_px is not None
        assert layer.offset_px is not None
        size, jump, first = measured(network, layer.name, width)
        assert (size, jump) == (layer.receptive_px[0], layer.jump_px[0]), layer.name
        assert first + (size - 1) / 2 == layer.offset_px[0], layer.name


def test_a_kernel_that_is_wider_than_high_has_two_fields_and_micrometres_follow() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, (1, 7), stride=(1, 2), padding=(0, 3)))
    row = receptive_fields(net, 32, mpp=0.5).layers[0]
    assert (row.kernel_px, row.stride_px) == ((7, 1), (2, 1))
    assert (row.receptive_px, row.receptive_um) == ((7, 1), (3.5, 0.5))
    assert (row.input_shape, row.output_shape) == ((3, 32, 32), (4, 32, 16))


def test_what_weighs_a_map_by_its_mean_sees_everything_and_what_nobody_knows_is_unknown() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), Excited(), Rolled(), nn.Conv2d(8, 8, 3))
    table = receptive_fields(net, 16)
    assert [layer.whole for layer in table] == [False, True, True, None, None]
    assert table.layers[-1].receptive_px is None
    assert [layer.name for layer in table] == ["0", "1.gate", "1 mul", "2", "3"]


def test_tokens_of_a_transformer_see_their_patch_until_attention() -> None:
    net = torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32).eval()
    table = receptive_fields(net, 32)
    assert table["conv_proj"].receptive_px == (8, 8)
    assert table["encoder.layers.encoder_layer_0.ln_1"].whole is False
    assert table["encoder.layers.encoder_layer_0.self_attention"].whole is True
    assert table["heads.head"].whole is True
    assert table.unused == {"the network itself": 16, "encoder": 17 * 16}  # class token, positions


def test_a_network_without_convolution_sees_all_at_once() -> None:
    table = receptive_fields(nn.Sequential(MLP(), nn.Linear(512, 10)), 28)
    assert [layer.whole for layer in table] == [False, True, True, True]
    assert table["0.layers.1"].receptive_px == (28, 28)
    frame = table.to_dataframe()
    assert frame.parameters.tolist() == [0, 401_920, 0, 5_130]
    assert table.to_dict()["parameters"] == 407_050


def test_an_image_that_does_not_pass_and_a_module_without_layers_are_refused() -> None:
    with pytest.raises(ModelError, match="does not take 32 × 32 px"):
        receptive_fields(nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, 2)), 32)

    class Nothing(nn.Module):
        def forward(self, images: torch.Tensor) -> list[int]:
            return [1]

    with pytest.raises(ModelError, match="calls no layer"):
        receptive_fields(Nothing(), 8)
