"""A whole look: a transformer, a network without convolution, and one without images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from histocnn.errors import UsageError
from histocnn.inspection.inspecting import Options
from histocnn.inspection.looking import look
from histocnn.inspection.opening import open_subject
from histocnn.models.backbones import build
from histocnn.models.spec import ModelSpec, save
from histocnn.patches.patches import open_patches
from tests.inspection.looked import OPTIONS, sliding_model, subject_of, tiled
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


def test_tokens_of_a_transformer_are_shown_and_maps_refused_with_the_reason(
    tmp_path: Path,
) -> None:
    name, path = "timm/vit_tiny_patch16_224", tmp_path / "i.png"
    torch.manual_seed(0)
    small = {"depth": 1, "embed_dim": 48, "num_heads": 2}
    spec = ModelSpec(name, small, class_names=("a", "b"), patch_px=224)
    save(tmp_path / "m.safetensors", build(name, 2, arguments=small), spec)
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8))
    subject = open_subject(tmp_path / "m.safetensors", None, None)
    options = Options(layers=("blocks.0.mlp.act", "norm"), steps=1, class_name="b")
    report, pictures = look(subject, options, images=[path])
    assert [each.shape for each in report.activations] == [(197, 192), (197, 48)]
    assert pictures[report.activations[1].picture].shape[1] >= 240
    assert report.architecture["backbone.blocks.0.mlp.act"].whole
    assert report.fields == ()
    assert report.maps is not None
    assert report.maps.methods == ("occlusion",)
    assert "a transformer has no class activation map" in report.maps.refused["grad_cam"]
    assert [each.of_class for each in report.maps.maps] == ["b"]


def test_maps_of_each_class_their_check_and_truth(tmp_path: Path) -> None:
    grids, slides = tiled(tmp_path)
    subject = sliding_model(tmp_path)
    cohort = open_patches(grids, slides=slides)
    report, pictures = look(subject, replace(OPTIONS, slide="s1", checked=6), cohort)
    maps = report.maps
    assert maps is not None
    assert (maps.methods, maps.of_class) == (("grad_cam", "cam", "occlusion"), "tumour")
    assert [each.of_class for each in maps.maps] == ["normal", "tumour"]
    assert sum(each.probability for each in maps.maps) == pytest.approx(1)
    assert maps.sanity is not None
    assert maps.sanity.images == 6
    assert [row.method for row in maps.located] == ["grad_cam", "cam", "chance", "the centre pixel"]
    assert [each.slide_id for each in maps.slides] == ["s1"]
    assert maps.slides[0].picture in pictures


def test_a_slide_that_is_not_among_the_patches_is_refused(tmp_path: Path) -> None:
    grids, slides = tiled(tmp_path)
    cohort = open_patches(grids, slides=slides)
    subject = sliding_model(tmp_path)
    with pytest.raises(UsageError, match=r"--slide s2: no such slide.*There is s1"):
        look(subject, Options(slide="s2"), cohort)
    with pytest.raises(UsageError, match=r"no class 'tumor'.*tumour"):
        look(subject, Options(class_name="tumor"), cohort)


def test_a_bare_backbone_has_no_class_to_map(tmp_path: Path) -> None:
    subject = open_subject(None, "lenet5", str(write_weights(tmp_path / "w.safetensors")))
    with pytest.raises(UsageError, match="has no classes, so no maps"):
        look(subject, Options(slide="s1"))
