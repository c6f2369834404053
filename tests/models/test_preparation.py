"""Pixels become input as published transforms make it; a patch of the right size is not touched."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from histocnn.errors import ModelError
from histocnn.models.preparation import IMAGENET_MEAN, Preparation, from_cfg, to_input

PLAIN = {"mean": (0.0,) * 3, "std": (1.0,) * 3}


def picture(side: int) -> np.ndarray:
    x = np.arange(side)
    waves = 127 + 100 * np.sin(x[:, None] / 9)[..., None] * np.cos(x[None, :, None] / [5, 7, 11])
    return waves.astype(np.uint8)


@pytest.mark.parametrize("how", ["bilinear", "bicubic"])
def test_resize_and_crop_are_those_of_torchvision_on_pillow(how: str) -> None:
    pixels = picture(300)
    theirs = v2.Compose([v2.Resize(256, getattr(v2.InterpolationMode, how.upper())),
                         v2.CenterCrop(224), v2.PILToTensor()])  # fmt: skip
    expected = theirs(Image.fromarray(pixels)).float() / 255
    prepared = Preparation(**PLAIN, input_px=224, resize_px=256, interpolation=how)  # type: ignore[arg-type]
    found = to_input(torch.from_numpy(pixels)[None], prepared)
    assert found.shape == (1, 3, 224, 224)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert (found[0] - expected).abs().max() < 1.5 / 255


def test_a_patch_of_the_input_s_side_is_not_touched() -> None:
    pixels = torch.from_numpy(picture(224))[None]
    prepared = Preparation(**PLAIN, input_px=224, resize_px=256, interpolation="bicubic")
    found = to_input(pixels, prepared)
    torch.testing.assert_close(found, pixels.permute(0, 3, 1, 2) / 255)


def test_bicubic_stays_within_what_a_pixel_can_be() -> None:
    edge = np.zeros((1, 64, 64, 3), np.uint8)
    edge[:, :, 32:] = 255
    found = to_input(
        torch.from_numpy(edge), Preparation(**PLAIN, input_px=96, interpolation="bicubic")
    )
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_hub_s_configuration_says_it_all() -> None:
    cfg = {"mean": [0.7, 0.6, 0.5], "std": [0.1, 0.2, 0.3], "input_size": [3, 224, 224],
           "interpolation": "bilinear", "crop_pct": 0.9}  # fmt: skip
    found = from_cfg("net", cfg, sized=True)
    assert found == Preparation((0.7, 0.6, 0.5), (0.1, 0.2, 0.3), 224, 248, "bilinear")
    assert from_cfg("net", cfg, sized=False).input_px is None
    assert from_cfg("net", {}, sized=False).mean == IMAGENET_MEAN


@pytest.mark.parametrize(
    "strange",
    [{"mean": "high"}, {"std": [0, 1, 1]}, {"std": [1]}, {"input_size": [3, 0, 0]},
     {"input_size": 7}, {"crop_pct": 9}, {"input_size": [3, 224, 225]}],
)  # fmt: skip
def test_what_is_no_image_s_is_refused(strange: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="net: what its configuration says of mean"):
        from_cfg("net", strange, sized=True)
