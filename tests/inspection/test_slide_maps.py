"""Score and attribution over a slide against each patch alone, and against predict --dense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from histocnn.errors import ModelError, PatchesError, UsageError
from histocnn.inspection.class_maps import cams
from histocnn.inspection.slide_maps import CentreCam, slide_map
from histocnn.models.preparation import to_input
from histocnn.models.spec import ModelSpec, load
from histocnn.patches.patches import open_patches
from histocnn.stages.predict import predict
from histocnn.storage import store
from tests.grid_files import write_grid
from tests.models.dense_files import write_decided
from tests.models.small_networks import write_model

NAME = "tests.models.dense_files:Valid"  # without padding: stride 8
SIDE_PX = 64


def test_scores_are_predicts_and_the_attribution_is_the_cam_of_the_windows_middle(
    tmp_path: Path,
) -> None:
    grid = write_grid(tmp_path, size=(1200, 900), patch_px=SIDE_PX)
    model = write_decided(tmp_path / "model.safetensors", NAME, SIDE_PX, mpp=1.0)
    network, spec = load(model, backbone=NAME)
    (patches,) = open_patches(grid)
    found = slide_map(patches, network, spec)
    dense = {"dense": True, "precision": "fp32", "backbone": NAME}
    assert predict(grid, model, tmp_path / "scores", **dense).exit_code == 0  # type: ignore[arg-type]
    stored = store.read(tmp_path / "scores" / "s1.h5")
    np.testing.assert_array_equal(found.grid.cell, stored["cell"])
    np.testing.assert_allclose(found.scores, stored["scores"], atol=1e-5)

    # Windows that are patches of the grid: the network sees each of these alone, too.
    at = {tuple(cell): row for row, cell in enumerate(found.grid.cell.tolist())}
    step = SIDE_PX // found.grid.stride_px
    compared = 0
    for row, cell in enumerate(patches.datasets["cell"].tolist()):
        window = at.get((cell[0] * step, cell[1] * step))
        if window is None:
            continue
        image = to_input(torch.from_numpy(patches.patch(row))[None], spec)
        for index in range(2):
            alone = cams(network, image, index, method="cam")[0]
            edge = (len(alone) - 1) // 2, len(alone) // 2 + 1
            middle = alone[edge[0] : edge[1], edge[0] : edge[1]].mean()
            assert found.attribution[window, index] == pytest.approx(middle, abs=1e-4)
            compared += 1
    assert compared >= 20
    assert np.ptp(found.attribution[:, 0]) > 0.1

    score, added = found.rasters(spec.class_names[1])
    assert score.shape == added.shape == found.grid.shape
    np.testing.assert_array_equal(np.isnan(score), np.isnan(added))
    with pytest.raises(UsageError, match="has no class 'c'"):
        found.rasters("c")


def test_a_network_whose_head_allows_no_cam_is_refused(tmp_path: Path) -> None:
    grid = write_grid(tmp_path)
    network, spec = load(write_model(tmp_path / "m.safetensors"))
    (patches,) = open_patches(grid)
    with pytest.raises(ModelError, match="not one linear layer on the mean"):
        slide_map(patches, network, spec)


def test_patches_of_another_scale_and_images_are_refused(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, patch_px=28, mpp=1.0)
    network, spec = load(write_model(tmp_path / "m.safetensors", mpp=0.5))
    (patches,) = open_patches(grid)
    with pytest.raises(ModelError, match="the model was trained on 28 px at"):
        slide_map(patches, network, spec)
    (tmp_path / "images" / "a").mkdir(parents=True)
    from PIL import Image

    Image.new("RGB", (28, 28)).save(tmp_path / "images" / "a" / "1.png")
    (images,) = open_patches(tmp_path / "images")
    with pytest.raises(PatchesError, match="no place on a slide"):
        slide_map(images, network, ModelSpec("lenet5", class_names=("a", "b")))


def test_windows_of_an_odd_number_of_cells_have_one_in_the_middle() -> None:
    from histocnn.inspection.class_maps import linear_head
    from histocnn.models.backbones import build

    torch.manual_seed(0)
    network = build("resnet18", 2).eval()
    head = linear_head(network, torch.zeros(1, 3, 96, 96))  # 3 × 3 cells
    image = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        both = CentreCam(network, head)(image)
        np.testing.assert_allclose(both[0, :2, 0, 0], network(image)[0], atol=1e-4)
    for index in range(2):
        alone = cams(network, image, index, method="cam")[0]
        assert float(both[0, 2 + index, 0, 0]) == pytest.approx(float(alone[1, 1]), abs=1e-4)
