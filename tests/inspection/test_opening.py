"""Networks opened by model or name, and the scale of their input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from histocnn.errors import ModelError, UsageError
from histocnn.inspection.opening import open_subject
from histocnn.models.preparation import to_input
from histocnn.patches.patches import open_patches
from histocnn.slides.stain import Normaliser
from tests.models.patch_files import write_folder
from tests.models.small_networks import write_model, write_weights


def test_a_model_brings_its_classes_and_its_side(tmp_path: Path) -> None:
    subject = open_subject(write_model(tmp_path / "m.safetensors", mpp=0.5), None, None)
    assert (subject.title, subject.input_px) == ("lenet5 (m.safetensors)", 28)
    assert subject.input_mpp() == 0.5
    assert not subject.network.training
    pixels = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 3), np.uint8)
    expected = to_input(torch.from_numpy(pixels), subject.spec)
    assert torch.equal(subject.tensor(pixels).cpu(), expected)


def test_a_backbone_takes_the_side_its_author_had_in_mind(tmp_path: Path) -> None:
    weights = str(write_weights(tmp_path / "w.safetensors"))
    subject = open_subject(None, "lenet5", weights)
    assert (subject.input_px, subject.input_mpp()) == (28, None)
    assert subject.input_mpp(mpp=0.25) == 0.25


def test_patches_that_are_resized_have_another_scale_at_the_input(tmp_path: Path) -> None:
    weights = str(write_weights(tmp_path / "w.safetensors"))
    subject = open_subject(None, "lenet5", weights)
    folder = write_folder(tmp_path / "p", patients=1, per_patient=1, side_px=56)
    patches = open_patches(folder, mpp=0.5)[0]
    assert subject.input_mpp(patches) == 1.0  # 56 px at 0.5 become 28


def test_patches_of_another_scale_are_refused_with_both(tmp_path: Path) -> None:
    subject = open_subject(write_model(tmp_path / "m.safetensors", mpp=0.5), None, None)
    patches = open_patches(write_folder(tmp_path / "p", patients=1), mpp=0.25)[0]
    with pytest.raises(ModelError, match=r"0\.25 µm/px, and the model was trained on .*0\.5 µm/px"):
        subject.prepare(patches)
    ready = replace(subject, spec=replace(subject.spec, mpp=None)).prepare(patches)
    assert ready(patches.patch(0)[None]).shape == (1, 3, 28, 28)


def test_a_stain_normalised_model_sees_normalised_patches(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.safetensors", stain=Normaliser().to_dict())
    subject = open_subject(path, None, None)
    subject = replace(subject, spec=replace(subject.spec, patch_px=None))  # any size, resized
    rng = np.random.default_rng(0)
    dyes = np.array([[120, 70, 150], [225, 140, 185]])[rng.integers(0, 2, (224, 224))]
    pixels = (dyes + rng.integers(-15, 16, (224, 224, 3))).astype(np.uint8)
    (tmp_path / "p" / "a").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "p" / "a" / "1.png"), pixels[..., ::-1])
    patches = open_patches(tmp_path / "p")[0]
    ready = subject.prepare(patches)(pixels[None])
    assert not torch.equal(ready, subject.tensor(pixels[None]))
    assert torch.equal(ready, subject.alone(pixels))


def test_neither_both_or_no_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs --backbone NAME or --model FILE"):
        open_subject(None, None, None)
    with pytest.raises(UsageError, match="needs --backbone NAME or --model FILE"):
        open_subject(write_model(tmp_path / "m.safetensors"), "lenet5", "imagenet")
    with pytest.raises(UsageError, match="without weights is random"):
        open_subject(None, "lenet5", None)
