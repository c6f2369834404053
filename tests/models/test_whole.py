from __future__ import annotations

from pathlib import Path

import pytest
import torch

from histocnn.models.preparation import to_input
from histocnn.models.spec import ModelSpec, load
from histocnn.models.whole import Tempered, Whole
from tests.models.small_networks import write_model

PIXELS = torch.randint(0, 256, (3, 40, 40, 3), dtype=torch.uint8, generator=torch.manual_seed(3))


@pytest.mark.parametrize("how", ["bilinear", "bicubic"])
@pytest.mark.parametrize("resize_px", [None, 32])
def test_everything_is_inside(tmp_path: Path, how: str, resize_px: int | None) -> None:
    model = write_model(
        tmp_path / "m.safetensors", patch_px=40, input_px=28, interpolation=how,
        resize_px=resize_px, mean=(0.7, 0.5, 0.6), std=(0.2, 0.3, 0.25), temperature=1.7,
    )  # fmt: skip
    network, spec = load(model)
    with torch.inference_mode():
        expected = torch.softmax(network(to_input(PIXELS, spec)) / 1.7, dim=1)
        torch.testing.assert_close(Whole(network, spec)(PIXELS), expected)
        mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (spec.mean, spec.std))
        images = (PIXELS.permute(0, 3, 1, 2) / 255 - mean) / std
        logits = Tempered(network, spec)(images)
    torch.testing.assert_close(torch.softmax(logits, dim=1), expected, atol=1e-5, rtol=0)


def test_what_comes_at_the_network_s_side_goes_in_untouched() -> None:
    spec = ModelSpec("lenet5", class_names=("a", "b"), patch_px=40)
    images = torch.rand(2, 3, 40, 40)
    assert torch.equal(Tempered(torch.nn.Identity(), spec)(images), images)
