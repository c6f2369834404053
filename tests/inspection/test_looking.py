"""A whole look: a transformer, a network without convolution, and one without images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

from histocnn.inspection.inspecting import Options
from histocnn.inspection.looking import look
from histocnn.inspection.opening import open_subject
from histocnn.models.backbones import build
from histocnn.patches.patches import open_patches
from tests.inspection.looked import OPTIONS, subject_of
from tests.models.patch_files import write_folder
from tests.models.small_networks import write_weights


def test_everything_of_a_model_and_its_patches(tmp_path: Path) -> None:
    cohort = open_patches(write_folder(tmp_path / "p", patients=2, per_patient=2), mpp=0.5)
    report, pictures = look(subject_of(tmp_path), OPTIONS, cohort)
    assert report.class_names == ("a", "b")
    assert (report.patches, report.patches_seen, report.mpp) == (8, 8, 0.5)
    assert report.architecture.parameters == 61_706 - 8 * 85  # two classes, not ten
    first = report.architecture["backbone.layers.0"]
    assert (first.receptive_px, first.receptive_um) == ((5, 5), (2.5, 2.5))
    assert list(report.images) == [report.activations[0].image]
    assert {each.picture for each in report.activations} <= set(pictures)
    assert report.notes == ()


def test_without_images_what_needs_none_is_shown_and_the_rest_is_said(tmp_path: Path) -> None:
    report, _ = look(subject_of(tmp_path, mpp=None), OPTIONS)
    assert report.filters is not None
    assert len(report.excited) == 2
    assert (report.fields, report.activations, report.mpp) == ((), (), None)
    assert "no activations" in report.notes[0]


def test_a_network_without_convolution_shows_its_weights_as_pictures(tmp_path: Path) -> None:
    subject = open_subject(None, "mlp", str(write_weights(tmp_path / "w.safetensors", "mlp")))
    cohort = open_patches(write_folder(tmp_path / "p", patients=1))
    report, pictures = look(subject, OPTIONS, cohort)
    assert report.filters is not None
    assert (report.filters.filters, report.filters.shape) == (512, (1, 28, 28))
    assert "filters.png" in pictures
    assert report.fields == ()
    assert report.activations[0].shape == (512,)


def test_tokens_of_a_transformer_are_shown(tmp_path: Path) -> None:
    name = "timm/vit_tiny_patch16_224"
    torch.manual_seed(0)
    save_file(build(name, 0).backbone.state_dict(), tmp_path / "w.safetensors")
    path = tmp_path / "i.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8))
    subject = open_subject(None, name, str(tmp_path / "w.safetensors"))
    options = Options(layers=("blocks.0.mlp.act", "norm"), steps=1)
    report, pictures = look(subject, options, images=[path])
    assert [each.shape for each in report.activations] == [(197, 768), (197, 192)]
    assert pictures[report.activations[1].picture].shape[1] > 400
    assert report.architecture["blocks.0.mlp.act"].whole
    assert report.fields == ()
