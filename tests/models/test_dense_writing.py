"""The options of dense scoring, and which models they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from histocnn.errors import ModelError
from histocnn.models.asked import DenseOptions
from histocnn.models.backbones import build
from histocnn.models.dense_writing import slider_of
from histocnn.models.runner import Runner
from histocnn.models.spec import ModelSpec
from histocnn.patches.patches import open_patches
from histocnn.slides.stain import Normaliser
from tests.grid_files import write_grid


def test_a_network_that_does_not_slide_is_named(tmp_path: Path) -> None:
    [patches] = open_patches(write_grid(tmp_path, "s1"))
    stain = Normaliser(per_patch=True).to_dict()
    for backbone, spec, said in (
        ("mlp", {}, "mlp cannot score densely: "),
        ("lenet5", {"stain": stain}, "lenet5 takes every patch with its own stains"),
    ):
        made = Runner(
            build(backbone, 2).eval(), ModelSpec(backbone, **spec), torch.device("cpu"), False,
            lambda logits: {"scores": logits},
        )  # fmt: skip
        with pytest.raises(ModelError, match=said):
            slider_of(made, patches, DenseOptions())


def test_a_network_is_proved_once_for_all_slides(tmp_path: Path) -> None:
    first, second = (open_patches(write_grid(tmp_path, slide_id))[0] for slide_id in ("s1", "s2"))
    made = Runner(
        build("lenet5", 2).eval(), ModelSpec("lenet5"), torch.device("cpu"), False,
        lambda logits: {"scores": logits},
    )  # fmt: skip
    one, two = (slider_of(made, patches, DenseOptions()) for patches in (first, second))
    assert one.dense is two.dense
    assert slider_of(made, second, DenseOptions(exact=True)).dense is not one.dense
