"""Class activation maps against sums by hand, autograd and grad-cam 1.5.7."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from histocnn.errors import ModelError, UsageError
from histocnn.inspection.class_maps import METHODS, cam, cams, last_map, linear_head
from histocnn.inspection.maps import scaled, undefined
from histocnn.models.backbones import build


def by_hand() -> nn.Sequential:
    """Red and green of every second pixel, averaged; class 0 is red less green, 1 twice green."""
    seen = nn.Conv2d(3, 2, 2, 2, bias=False)
    head = nn.Linear(2, 2)
    with torch.no_grad():
        seen.weight.zero_()
        seen.weight[0, 0, 0, 0] = seen.weight[1, 1, 0, 0] = 1
        head.weight.copy_(torch.tensor([[1.0, -1], [0, 2]]))
        head.bias.copy_(torch.tensor([7.0, -7]))
    return nn.Sequential(seen, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


def spots() -> Tensor:
    image = torch.zeros(3, 4, 4)
    image[0, 0, 0], image[1, 2, 2] = 4, 8
    return image


def small(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(inplace=True), nn.Conv2d(8, 12, 3, 2, 1),
        nn.BatchNorm2d(12), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Dropout(), nn.Linear(48, 3),
    )  # fmt: skip


def test_grad_cam_and_plain_cam_are_the_sums_that_their_papers_say() -> None:
    network, image = by_hand(), spots()
    # A map's mean over 4 cells: every cell's gradient is a quarter of the head's weight.
    assert cam(network, image, 0).tolist() == [[1, 0], [0, 0]]  # green speaks against it: ReLU
    assert cam(network, image, 1).tolist() == [[0, 0], [0, 4]]
    plain = [cam(network, image, each, method="cam") for each in (0, 1)]
    np.testing.assert_allclose(plain, [[[4, 0], [0, -8]], [[0, 0], [0, 16]]], atol=1e-5)
    named = cam(network, image, "green", class_names=["red", "green"])
    assert named.tolist() == [[0, 0], [0, 4]]


def test_a_map_that_says_nothing_is_undefined() -> None:
    image = spots()
    image[0] = 0
    assert undefined(cams(by_hand(), image[None], 0)).tolist() == [True]


def test_plain_cam_sums_to_the_output() -> None:
    torch.manual_seed(0)
    network = build("squeezenet1_1", 3).eval()
    image = torch.randn(3, 64, 96)  # not square
    head = linear_head(network, image[None])
    assert head.weights.shape == (3, 512)
    for index in range(3):
        plain = cam(network, image, index, method="cam")
        output = float(network(image[None])[0, index].detach())
        assert plain.mean() + float(head.bias[index]) == pytest.approx(output, abs=1e-4)
        # For such a head Grad-CAM is plain CAM by the number of cells, after ReLU.
        weighed = cam(network, image, index)
        np.testing.assert_allclose(weighed, np.maximum(plain, 0) / plain.size, atol=1e-6)


@pytest.mark.parametrize("layer", ["0", "1", "2", "3", "4", "5"])
def test_grad_cam_equals_its_formula_by_autograd(layer: str) -> None:
    network, images = small().eval(), torch.randn(2, 3, 24, 20)
    ours = cams(network, images, 1, layer=layer)
    first = network[: int(layer) + 1](images).detach()
    kept = first.clone().requires_grad_()
    network[int(layer) + 1 :](kept.clone())[:, 1].sum().backward()
    assert kept.grad is not None
    weights = kept.grad.mean((2, 3), keepdim=True)
    np.testing.assert_allclose(ours, torch.relu((weights * first).sum(1)), atol=1e-6)


# Where a layer's output is changed in place behind it (densenet's), grad-cam weighs the changed map
# by the gradient of the unchanged one; captum, and so we, take both before the change.
@pytest.mark.parametrize(
    "name",
    ["resnet18", "squeezenet1_1", "lenet5", "small", pytest.param("vgg11", marks=pytest.mark.slow),
     pytest.param("googlenet", marks=pytest.mark.slow)],
)  # fmt: skip
def test_grad_cam_equals_grad_cam_1_5_7(name: str) -> None:
    reference = pytest.importorskip("pytorch_grad_cam", reason="grad-cam is no part of histocnn")
    targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    torch.manual_seed(0)
    network = small() if name == "small" else build(name, 3)
    network.eval()
    side = 28 if name == "lenet5" else 64
    images = torch.randn(2, 3, side, side)
    layer = last_map(network, images)
    compared = 0
    for index in range(3):
        raw: list[np.ndarray] = []

        class Kept(reference.GradCAM):  # type: ignore[misc, name-defined]
            def get_cam_image(self, *of: Any, raw: list[np.ndarray] = raw, **how: Any) -> Any:
                raw.append(super().get_cam_image(*of, **how))
                return raw[-1]

        with Kept(network, [network.get_submodule(layer)]) as theirs:
            theirs(images, [targets.ClassifierOutputTarget(index)] * 2)
        ours = cams(network, images, index)
        expected = np.maximum(raw[0], 0)
        np.testing.assert_array_equal(undefined(ours), undefined(expected))
        np.testing.assert_allclose(scaled(ours), scaled(expected), rtol=0, atol=1e-4)
        compared += np.count_nonzero(~undefined(ours))
    assert compared


@pytest.mark.parametrize(
    ("name", "layer"),
    [("resnet18", "layer4"), ("lenet5", "layers.5"), ("squeezenet1_1", "features"),
     ("googlenet", "inception5b"), pytest.param("vgg11", "features", marks=pytest.mark.slow)],
)  # fmt: skip
def test_the_last_map_is_found_without_a_table_of_networks(name: str, layer: str) -> None:
    network = build(name, 2).eval()
    side = 28 if name == "lenet5" else 64
    assert last_map(network, torch.randn(1, 3, side, side)) == f"backbone.{layer}"


def test_a_network_in_training_is_judged_as_it_predicts_and_left_in_training() -> None:
    network, image = small().train(), torch.randn(3, 24, 24)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = cam(network, image, 1)
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    np.testing.assert_array_equal(found, cam(network.eval(), image, 1))


@pytest.mark.parametrize("method", METHODS)
def test_a_grey_image_and_one_that_is_no_square_have_maps(method: Any) -> None:
    found = cam(by_hand(), torch.rand(8, 12), 1, method=method)
    assert found.shape == ((8, 12) if method == "occlusion" else (4, 6))
    assert found.dtype == np.float32


def test_unknown_classes_layers_and_methods_are_refused_with_what_there_is() -> None:
    network, image = small(), torch.randn(3, 24, 24)
    with pytest.raises(UsageError, match="3 classes and no class 3"):
        cam(network, image, 3)
    with pytest.raises(UsageError, match=r"no class 'tumor'\. It has tumour"):
        cam(network, image, "tumor", class_names=["normal", "tumour", "fat"])
    with pytest.raises(UsageError, match=r"no layer 'layer9\.conv'"):
        cam(network, image, 1, layer="layer9.conv")
    with pytest.raises(UsageError, match=r"layer '9' gives \[1, 3\], no map"):
        cam(network, image, 1, layer="9")
    with pytest.raises(UsageError, match="Use one of grad_cam, cam, occlusion"):
        cam(network, image, 1, method="gradcam")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="layer is for grad_cam"):
        cam(network, image, 1, method="cam", layer="2")
    with pytest.raises(UsageError, match="one image, not 2"):
        cam(network, torch.randn(2, 3, 24, 24), 1)


def test_a_module_that_is_called_twice_is_no_layer_to_weigh() -> None:
    network = build("resnet18", 2).eval()
    with pytest.raises(UsageError, match="is not called once for an image"):
        cam(network, torch.randn(3, 64, 64), 1, layer="backbone.layer4.1.relu")


def test_a_transformer_is_refused_with_the_reason() -> None:
    network = torchvision.models.VisionTransformer(32, 8, 1, 2, 16, 32, num_classes=2)
    with pytest.raises(ModelError, match="its tokens attend to each other"):
        cam(network, torch.randn(3, 32, 32), 1)
    with pytest.raises(ModelError, match="a transformer has no class activation map"):
        cam(network, torch.randn(3, 32, 32), 1, method="cam")
    assert cam(network, torch.randn(3, 32, 32), 1, method="occlusion").shape == (32, 32)


def test_a_network_without_convolution_is_refused_with_the_reason() -> None:
    network = build("mlp", 2)
    with pytest.raises(ModelError, match="a network without convolution has no map"):
        cam(network, torch.randn(3, 28, 28), 1)
    assert cam(network, torch.randn(3, 28, 28), 1, method="occlusion").shape == (28, 28)


def test_a_head_that_is_no_weighed_mean_allows_no_plain_cam() -> None:
    with pytest.raises(ModelError, match=r"not one linear layer on the mean .* method='grad_cam'"):
        cam(small(), torch.randn(3, 32, 32), 1, method="cam")


def test_an_image_that_the_network_does_not_take_is_refused() -> None:
    with pytest.raises(ModelError, match="lenet5 takes 28 × 28 px"):
        cam(build("lenet5", 2), torch.randn(3, 64, 64), 1)


def test_what_does_not_fit_the_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*of: Any, **how: Any) -> Any:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("histocnn.inspection.class_maps.LayerGradCam.attribute", full)
    with pytest.raises(ModelError, match="1 images of 24 × 24 px and their gradients do not fit"):
        cam(small(), torch.randn(3, 24, 24), 1)
