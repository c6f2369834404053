from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

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
        ([{"class_path": "albumentations.Blur", "init_args": {"blur_limit": "wide"}}], "Blur"),
    ],
)
def test_what_cannot_be_meant(steps, message):
    with pytest.raises(UsageError, match=message):
        Pipeline(steps)


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
