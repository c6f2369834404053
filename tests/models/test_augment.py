from __future__ import annotations

import pickle
import subprocess
import sys

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from histocnn.errors import UsageError
from histocnn.models.augment import PRESETS, Pipeline

PATCH = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_pipeline_is_a_function_of_pixels_and_seed(preset):
    pipeline = Pipeline(preset)
    first = [pipeline(PATCH, seed) for seed in range(8)]
    again = [Pipeline(preset)(PATCH, seed) for seed in reversed(range(8))][::-1]
    for a, b in zip(first, again, strict=True):
        assert a.shape == PATCH.shape
        assert a.dtype == np.uint8
        assert (a == b).all()
    differ = sum((a != first[0]).any() for a in first[1:])
    assert differ >= 5 if preset != "none" else differ == 0


def test_none_changes_nothing_and_light_keeps_every_colour():
    assert Pipeline("none")(PATCH, 1) is PATCH
    colours = {tuple(c) for c in PATCH.reshape(-1, 3)}
    square = [Pipeline("light")(PATCH, s) for s in range(8)]
    turned = [i for i in square if {tuple(c) for c in i.reshape(-1, 3)} == colours]
    assert turned  # half of them are not shifted: flips and turns move pixels, and no more


def test_steps_by_class_path():
    steps = [
        {"class_path": "albumentations.InvertImg", "init_args": {"p": 1.0}},
        {"class_path": "histocnn.models.augment.StainJitter", "init_args": {"sigma": 0.0}},
    ]
    found = Pipeline(steps)(PATCH, 0)
    assert np.abs(found.astype(int) - (255 - PATCH.astype(int))).max() <= 1


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("strong", "no augmentation is called 'strong'"),
        ([{"class_path": "os.system", "init_args": {}}], "not of albumentations"),
        ([{"class_path": "albumentations.Nonsense"}], "albumentations.Nonsense"),
        ([{"class_path": "histocnn.storage.atomic.sweep"}], "is no albumentations"),
        ([{"class_path": "histocnn.cli.main"}], "Name a subclass of BasicTransform"),
        ([{"class_path": "albumentations.Blur", "init_args": {"blur_limit": "wide"}}], "Blur"),
    ],
)
def test_what_cannot_be_meant(steps, message):
    with pytest.raises(UsageError, match=message):
        Pipeline(steps)


def nested(path: str, /, **arguments):
    inner = {"class_path": path, "init_args": arguments}
    return [{"class_path": "albumentations.OneOf", "init_args": {"transforms": [inner], "p": 1.0}}]


def test_steps_within_steps_are_constructed_by_the_same_rule(tmp_path):
    found = Pipeline(nested("albumentations.InvertImg", p=1.0))(PATCH, 0)
    assert (found == 255 - PATCH).all()
    target = tmp_path / "written"
    for path, message in {
        "histocnn.storage.atomic.write_text": "is no albumentations",
        "pathlib.Path": "is not of albumentations or histocnn",
        "albumentations.core.serialization.save": "is no albumentations",
        "albumentations.BasicTransform.InitSchema": "cannot be imported",
    }.items():
        with pytest.raises(UsageError, match=message):
            Pipeline(nested(path, path=str(target), text="x"))
        with pytest.raises(UsageError, match=message):
            Pipeline([{"class_path": path, "init_args": {"path": str(target), "text": "x"}}])
    assert not target.exists()


@pytest.mark.parametrize(
    "step",
    [
        "Blur",
        {},
        {"class_path": "albumentations.Blur", "args": {}},
        {"class_path": "albumentations.Blur", "init_args": [1]},
    ],
)
def test_what_is_no_step_is_said(step):
    with pytest.raises(UsageError, match=r"augment: has .*init_args"):
        Pipeline([step])


def test_spawned_workers_can_be_sent_a_pipeline():
    pipeline = pickle.loads(pickle.dumps(Pipeline("histology")))  # noqa: S301
    assert (pipeline(PATCH, 3) == Pipeline("histology")(PATCH, 3)).all()


def test_importing_calls_no_network():
    program = (
        "import socket, os; os.environ.pop('NO_ALBUMENTATIONS_UPDATE', None)\n"
        "def refuse(*a, **k): raise SystemExit('called the network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "import histocnn.models.augment"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# What replaces albumentations the day it breaks gives the same where both do the same thing.


def tensor(pixels):
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def smooth():
    """Tissue-like pixels: noise of one pixel would only measure how JPEG and blur round."""
    noise = np.random.default_rng(1).normal(170, 60, (48, 48, 3)).clip(0, 255).astype(np.uint8)
    return cv2.GaussianBlur(noise, (5, 5), 0)


def test_flips_and_turns_are_torchvision_s():
    flips = [torch.clone, functional.horizontal_flip]
    square = {
        functional.rotate(flip(tensor(PATCH)), 90 * k).numpy().tobytes()
        for k in range(4)
        for flip in flips
    }
    d4 = A.Compose([A.D4(p=1)])
    ours = set()
    for seed in range(60):
        d4.set_random_seed(seed)
        ours.add(tensor(d4(image=PATCH)["image"]).contiguous().numpy().tobytes())
    assert len(square) == 8
    assert ours == square


@pytest.mark.parametrize(
    ("brightness", "contrast"), [(0.1, 0.0), (-0.1, 0.0), (0.0, 0.1), (0.05, -0.1)]
)
def test_brightness_and_contrast_are_torchvision_s_arithmetic_within_a_grey_level(
    brightness, contrast
):
    step = A.RandomBrightnessContrast(
        brightness_limit=(brightness, brightness), contrast_limit=(contrast, contrast), p=1
    )
    ours = A.Compose([step])(image=smooth())["image"].astype(int)
    # torchvision's contrast pivots on the mean, ours on black: the rest is a shift of brightness.
    scaled = functional.adjust_brightness(tensor(smooth()), 1 + contrast).numpy().astype(int)
    expected = (scaled + brightness * 255).clip(0, 255).transpose(1, 2, 0)
    inside = (scaled.transpose(1, 2, 0) < 255) & (ours < 255)
    assert np.abs(ours - expected)[inside].max() <= 1


def test_blur_is_torchvision_s():
    blur = next(s for s in PRESETS["histology"]() if isinstance(s, A.GaussianBlur))
    assert blur.blur_limit == (3, 3)
    fixed = A.Compose([A.GaussianBlur(blur_limit=(3, 3), sigma_limit=(0.8, 0.8), p=1)])
    theirs = functional.gaussian_blur(tensor(smooth()), [3, 3], [0.8, 0.8]).numpy()
    ours = fixed(image=smooth())["image"].astype(int)
    assert np.abs(ours - theirs.transpose(1, 2, 0)).max() <= 2


@pytest.mark.filterwarnings("ignore:The image decoding and encoding:DeprecationWarning")
def test_jpeg_is_torchvision_s_with_red_and_blue_exchanged():
    """albumentations gives OpenCV's encoder, which takes BGR, the RGB it has."""
    ours = A.Compose([A.ImageCompression(quality_range=(80, 80), p=1)])(image=smooth())["image"]
    theirs = functional.jpeg(tensor(smooth()[..., ::-1]), 80).numpy().transpose(1, 2, 0)
    assert np.abs(ours.astype(int) - theirs[..., ::-1]).max() <= 2
