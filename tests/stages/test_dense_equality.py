"""Dense scores against what they must equal: patches without padding, one pass with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from histocnn.models.asked import DenseOptions
from histocnn.models.dense_infer import Slider
from histocnn.models.dense_writing import slider_of, write_dense
from histocnn.models.device import Engine
from histocnn.models.infer import Loading
from histocnn.models.predicting import Scorer
from histocnn.models.preparation import to_input
from histocnn.models.spec import load
from histocnn.patches.patches import Patches, open_patches
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.slides.slide import Slide
from histocnn.stages.predict import predict
from histocnn.stages.tile import tile
from histocnn.storage import store
from tests.grid_files import write_grid
from tests.models.dense_files import write_decided


def scores_and_cells(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    stored = store.read(folder / "s1.h5")
    return stored["scores"], stored["cell"]


@pytest.mark.parametrize(
    ("network", "patch_px", "stride_px"), [("Lenet", 28, 4), ("Vgg", 52, 4), ("Residual", 40, 4)]
)
def test_without_padding_every_cell_has_its_patchs_score(
    tmp_path: Path, network: str, patch_px: int, stride_px: int
) -> None:
    make_phantom(tmp_path / "s1.tif", PhantomSpec((360, 360), mpp=0.5))  # 1 µm/px: its level 1
    backbone = f"tests.models.dense_files:{network}"
    model = write_decided(tmp_path / "model.safetensors", backbone, patch_px, mpp=1.0)
    for name, overlap_px in (("plain", 0), ("overlapping", patch_px - stride_px)):
        how = {"patch_px": patch_px, "mpp": 1.0, "overlap_px": overlap_px}
        assert tile(tmp_path / "s1.tif", tmp_path / name, **how).exit_code == 0  # type: ignore[arg-type]
        dense, out = name == "plain", tmp_path / f"of {name}"
        scored = predict(
            tmp_path / name, model, out, dense=dense, precision="fp32", backbone=backbone
        )
        assert scored.exit_code == 0
    (slid, cells), (alone, expected) = (
        scores_and_cells(tmp_path / f"of {name}") for name in ("plain", "overlapping")
    )
    np.testing.assert_array_equal(cells, expected)
    np.testing.assert_allclose(slid, alone, rtol=0, atol=1e-4)
    assert len(slid) > 500
    assert np.ptp(slid[:, 0]) > 0.2  # else all of it could be one number


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide of 3,072 px at 0.5 µm/px and its grid."""
    folder = tmp_path_factory.mktemp("large")
    make_phantom(folder / "s1.tif", PhantomSpec((3072, 3072), mpp=0.5))
    assert tile(folder / "s1.tif", folder / "grids").exit_code == 0
    return folder


@torch.inference_mode()
def one_pass(slide: Path, model: Path, stride_px: int, cells: int) -> np.ndarray:
    """Scores [h, w, 2] of all windows that begin on a slide: one pass of torchvision's own trunk.

    White lies around the slide as a reader has it, farther than a window there can see.
    """
    around_px = 480
    network, spec = load(model)
    image = Slide(slide).read((0.0, 0.0), 3072, 0.5)
    padded = np.pad(image, [(around_px,) * 2] * 2 + [(0, 0)], constant_values=255)
    parts = list(network.backbone.children())
    trunk = torch.nn.Sequential(*(parts[:-2] if spec.backbone == "resnet18" else parts[:1]))
    maps = trunk(to_input(torch.from_numpy(padded[None]), spec))
    logits = network.head(F.avg_pool2d(maps, cells, 1).permute(0, 2, 3, 1))[0]
    first, last = around_px // stride_px, (around_px + 3072) // stride_px
    return logits[first:last, first:last].softmax(-1).numpy()


def sliding(model: Path, patches: Patches, *, exact: bool = False) -> Slider:
    """A model as predict --dense has it, in float32."""
    options = DenseOptions(exact=exact)
    engine = Engine.choose("cpu", "fp32", batch_size=64, threads=1, workers=1)
    scorer = Scorer(model, None, tta=False, engine=engine, dense=options)
    return slider_of(scorer.open(), patches, options)


def in_regions(
    patches: Patches, slider: Slider, kept_px: int, out: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and cells by regions that keep so many px each way, besides their context."""
    kept = kept_px // slider.stride_px
    sized = replace(slider, largest_px=slider.region_px(kept))
    assert sized.most == kept
    write_dense(
        out / "s1.h5", patches, sized, attributes={"recipe": {}}, tick=lambda done, total: None,
        copy={}, loading=Loading(),
    )  # fmt: skip
    return scores_and_cells(out)


def test_regions_of_any_size_give_the_same(tmp_path: Path) -> None:
    model = write_decided(tmp_path / "m.safetensors", "lenet5", 28, mpp=1.0)
    [patches] = open_patches(write_grid(tmp_path, "s1"))
    slider = sliding(model, patches)
    assert slider.halo_px > 0
    expected, cells = in_regions(patches, slider, 512, tmp_path / "one")
    assert np.ptp(cells, axis=0).max() * 4 < 512  # all windows in one region
    for kept_px in (64, 100):
        found, _ = in_regions(patches, slider, kept_px, tmp_path / str(kept_px))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
    assert np.ptp(expected[:, 0]) > 0.2


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("backbone", "stride_px", "cells"),
    [("resnet18", 32, 7), ("squeezenet1_1", 16, 13), ("mobilenet_v2", 32, 7)],
)
def test_with_padding_regions_of_any_size_are_as_one_pass_over_the_slide(
    large: Path, tmp_path: Path, backbone: str, stride_px: int, cells: int
) -> None:
    model = write_decided(tmp_path / "model.safetensors", backbone, 224, mpp=0.5)
    expected = one_pass(large / "s1.tif", model, stride_px, cells)
    assert np.ptp(expected[..., 0]) > 0.2
    [patches] = open_patches(large / "grids")
    for exact, sides_px, within in ((False, (512, 1024, 2048), 1e-3), (True, (2048,), 2e-5)):
        slider = sliding(model, patches, exact=exact)
        assert slider.stride_px == stride_px
        for kept_px in sides_px:
            found, cell = in_regions(patches, slider, kept_px, tmp_path / f"{exact} {kept_px}")
            off = np.abs(found - expected[tuple(cell.T)]).max()
            print(f"{backbone}, {kept_px} px and {slider.halo_px} px around: {off:.1e}", flush=True)
            assert off <= within
