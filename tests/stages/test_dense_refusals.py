"""histocnn predict and embed with --dense where it cannot be had: refused, or managed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.jobs.result import StageResult
from histocnn.models.backbones import build
from histocnn.models.spec import ModelSpec, save
from histocnn.stages.embed import embed
from histocnn.stages.predict import predict
from histocnn.storage import store
from tests.grid_files import write_grid
from tests.models.dense_files import SIDE_PX, write_decided

REASONS = {
    "timm/test_vit": "tokens or pixels, as those of a transformer",
    "timm/test_efficientnet": "its module backbone.blocks.3.0.se (SqueezeExcite) looks at the "
    "whole image",
    "mlp": "its first layer takes the whole patch",
}
INSTEAD = "Use predict or embed without --dense, or a convolutional network that pools once"


@pytest.mark.parametrize("stage", [predict, embed])
@pytest.mark.parametrize(
    ("backbone", "patch_px"),
    [("timm/test_vit", 160), ("timm/test_efficientnet", 64), ("mlp", 28)],
)
def test_networks_that_do_not_slide_are_refused_with_reason_and_remedy(
    tmp_path: Path, stage: object, backbone: str, patch_px: int
) -> None:
    write_grid(tmp_path, "s1", size=(400, 400), patch_px=patch_px)
    spec = ModelSpec(backbone, class_names=("a", "b"), patch_px=patch_px, mpp=1.0)
    save(tmp_path / "m.safetensors", build(backbone, 2), spec)
    result: StageResult = stage(  # type: ignore[operator]
        tmp_path / "grids", model=tmp_path / "m.safetensors", out=tmp_path / "out", dense=True
    )
    assert result.exit_code == 1
    said = result.failures["s1"]
    assert said.startswith(f"{backbone} cannot score densely: ")
    assert REASONS[backbone] in said.replace("module blocks", "module backbone.blocks")
    assert INSTEAD in said
    assert "Traceback" not in said


def scored_densely(place: Path, network: str, patch_px: int = SIDE_PX) -> StageResult:
    """Score `place/grids` with one of our own networks."""
    backbone = f"tests.models.dense_files:{network}"
    model = write_decided(place / f"{network}.safetensors", backbone, patch_px, mpp=1.0)
    return predict(
        place / "grids", model, place / network, dense=True, precision="fp32", backbone=backbone
    )


def test_a_patch_smaller_than_one_stride_is_refused(tmp_path: Path) -> None:
    write_grid(tmp_path, "s1", size=(100, 100), patch_px=6)
    assert scored_densely(tmp_path, "Padded", 6).failures == {
        "s1": "patches of 6 px are smaller than the network's stride, 8 px. "
        "Use larger patches, or leave --dense out."
    }


def test_a_patch_that_the_network_does_not_take_is_refused(tmp_path: Path) -> None:
    write_grid(tmp_path, "s1", size=(100, 100), patch_px=6)
    spec = ModelSpec("squeezenet1_1", class_names=("a", "b"), patch_px=6, mpp=1.0)
    save(tmp_path / "m.safetensors", build("squeezenet1_1", 2), spec)
    done = predict(tmp_path / "grids", tmp_path / "m.safetensors", tmp_path / "out", dense=True)
    assert "squeezenet1_1 cannot score densely: it does not take 6 × 6 px" in done.failures["s1"]


def test_a_region_that_does_not_fit_the_memory_is_parted_once_and_that_is_said(
    tmp_path: Path,
) -> None:
    # 17 × 25 windows of 64 px each 8 px: 192 × 256 px; a quarter of them 128 × 160 px
    write_grid(tmp_path, "s1", size=(400, 260), patch_px=SIDE_PX)
    assert scored_densely(tmp_path, "Valid").exit_code == 0
    result = scored_densely(tmp_path, "Cramped")
    assert "regions were computed in quarters, because whole ones did not fit" in str(result.rows)
    found, expected = (
        store.read(tmp_path / name / "s1.h5", "scores")["scores"] for name in ("Cramped", "Valid")
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert scored_densely(tmp_path, "MoreCramped").failures == {
        "s1": "a region of 128 px does not fit the memory of cpu. "
        "Give --device cpu, or leave --dense out."
    }
