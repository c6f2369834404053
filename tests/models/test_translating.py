from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor, nn

from histocnn.errors import ModelError, UsageError
from histocnn.models import translating
from histocnn.models.translating import check_size, onnx_program, torchscript, traced

IMAGES = torch.rand(2, 3, 16, 16)


class Branching(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps * 2 if maps.sum() > 0 else maps


class Leaving(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps * float(maps.max().item())


class Small(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.stage = nn.Sequential(nn.Conv2d(4, 4, 3), inner)

    def forward(self, images: Tensor) -> Tensor:
        return self.stage(self.stem(images)).mean((2, 3))


def test_a_layer_that_branches_on_values_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    for write in (traced, torchscript):  # TorchScript alone would bake one branch in, unseen
        with pytest.raises(ModelError, match=r"layer stage\.1 \(Branching\).*torch\.where"):
            write(Small(Branching()).eval(), IMAGES)
    assert capfd.readouterr().err == ""  # torch prints its graph


def test_a_whole_that_fails_though_its_layers_do_not_is_named() -> None:
    class Bent(Small):
        def forward(self, images: Tensor) -> Tensor:
            found = super().forward(images)
            return found if found.sum() > 0 else -found

    with pytest.raises(ModelError, match=r"the network \(Bent\) cannot be exported"):
        traced(Bent(nn.ReLU()).eval(), IMAGES)


def test_what_a_graph_holds_is_the_network_for_any_number_of_images() -> None:
    network = Small(nn.ReLU()).eval()
    script, graph = torchscript(network, IMAGES), traced(network, IMAGES).module()
    for count in (1, 3):
        images = torch.rand(count, 3, 16, 16)
        for found in (script, graph):
            torch.testing.assert_close(found(images), network(images))


def test_a_constant_taken_out_of_the_graph_is_refused() -> None:
    with pytest.raises(ModelError, match=r"stage\.1 \(Leaving\)"):
        traced(Small(Leaving()).eval(), IMAGES)


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_without_the_exporter_it_says_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"{package} is needed.*pip install 'histocnn\[onnx\]'"):
        onnx_program(Small(nn.ReLU()).eval(), IMAGES, ("images", "outputs"))


def test_what_no_onnx_file_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translating, "MOST_BYTES", 100)
    with pytest.raises(ModelError, match=r"weights are 0\.0 GB.*--to torchscript"):
        check_size(Small(nn.ReLU()))
