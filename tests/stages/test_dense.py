"""histocnn predict and embed with --dense: the patches' own scores at every window."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.errors import PatchesError, UsageError
from histocnn.patches.patches import open_patches
from histocnn.stages.embed import embed
from histocnn.stages.heatmap import heatmap
from histocnn.stages.predict import predict
from histocnn.stages.tile import tile
from histocnn.storage import store
from tests.forked import exit_code, running
from tests.grid_files import write_grid
from tests.memory import PEAK_KIB
from tests.models.dense_files import NAME, SIDE_PX, write_valid
from tests.models.patch_files import write_folder
from tests.models.small_networks import write_model
from tests.slide_files import write_pyramid, write_sparse_pyramid


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dense")
    write_grid(folder, "s1", size=(400, 260), patch_px=SIDE_PX, patient_id="p1")
    write_valid(folder / "valid.safetensors", mpp=1.0)
    return folder


def scored(place: Path, out: Path, **how: object) -> dict[str, np.ndarray]:
    """Scores of the one slide, dense unless `how` says another."""
    options = {"dense": True, "precision": "fp32", "backbone": NAME, **how}
    model = options.pop("model", place / "valid.safetensors")
    grids = options.pop("patches", place / "grids")
    assert predict(grids, model, out, **options).exit_code == 0  # type: ignore[arg-type]
    return store.read(out / "s1.h5")


def failure(out: Path) -> str:
    return (out / "s1.failed.json").read_text()


def test_a_network_without_padding_gives_the_patches_scores(place: Path, tmp_path: Path) -> None:
    dense = scored(place, tmp_path / "dense")
    # At every 8 px: 17 rows begin on the slide's 130 px and 25 columns on its 200 px; their
    # centres, 32 px on, lie in the grid's 3 × 4 patches of 64 px.
    assert len(dense["scores"]) == 17 * 25
    alone = scored(place, tmp_path / "alone", patches=tmp_path / "dense", dense=False)
    np.testing.assert_array_equal(alone["coords"], dense["coords"])
    np.testing.assert_allclose(alone["scores"], dense["scores"], atol=1e-4)
    inner = (dense["coords"] + 128 <= (400, 260)).all(axis=1)
    np.testing.assert_allclose(alone["colour"][inner], dense["colour"][inner], atol=1e-3)
    assert np.ptp(dense["scores"][:, 0]) > 0.2  # else all of it could be one number


@pytest.mark.parametrize("stride_px", [4, 24])
def test_other_strides_are_the_same_scores_at_other_places(
    place: Path, tmp_path: Path, stride_px: int
) -> None:
    own = scored(place, tmp_path / "own")
    other = scored(place, tmp_path / "other", dense_stride_px=stride_px)
    score = {tuple(xy): row for xy, row in zip(own["coords"].tolist(), own["scores"], strict=True)}
    shared = [row for row, xy in enumerate(other["coords"].tolist()) if tuple(xy) in score]
    assert len(shared) >= len(own["scores"]) // 9
    expected = [score[tuple(other["coords"][row])] for row in shared]
    np.testing.assert_allclose(other["scores"][shared], expected, atol=1e-5)
    if stride_px == 4:
        alone = scored(place, tmp_path / "alone", patches=tmp_path / "other", dense=False)
        np.testing.assert_allclose(alone["scores"], other["scores"], atol=1e-4)


def test_views_are_those_of_each_patch(place: Path, tmp_path: Path) -> None:
    dense = scored(place, tmp_path / "dense", tta=True)
    alone = scored(place, tmp_path / "alone", patches=tmp_path / "dense", dense=False, tta=True)
    np.testing.assert_allclose(alone["scores"], dense["scores"], atol=1e-4)


def test_a_grid_of_tissue_gives_the_windows_that_tile_would(tmp_path: Path) -> None:
    image = np.full((800, 1000, 3), 245, np.uint8)
    cv2.ellipse(image, (430, 380), (330, 250), 20, 0, 360, (190, 90, 160), -1)
    write_pyramid(tmp_path / "s1.tiff", image)
    for name, overlap_px in (("plain", 0), ("overlapping", SIDE_PX - 8)):
        options = {"patch_px": SIDE_PX, "mpp": 1.0, "overlap_px": overlap_px}
        assert tile(tmp_path / "s1.tiff", tmp_path / name, **options).exit_code == 0  # type: ignore[arg-type]
    model = write_valid(tmp_path / "valid.safetensors", mpp=1.0)
    how = {"model": model, "patches": tmp_path / "plain"}
    dense = scored(tmp_path, tmp_path / "dense", **how)
    expected = store.read(tmp_path / "overlapping" / "s1.h5")
    for name in ("cell", "coords"):
        np.testing.assert_array_equal(dense[name], expected[name])
    np.testing.assert_allclose(dense["tissue_fraction"], expected["tissue_fraction"], atol=1e-6)


def test_windows_that_touch_a_damaged_tile_are_nan_and_no_others(
    place: Path, tmp_path: Path
) -> None:
    write_grid(tmp_path, "s1", size=(680, 560), patch_px=SIDE_PX, damaged=True)
    result = predict(
        tmp_path / "grids", place / "valid.safetensors", tmp_path / "out",
        dense=True, precision="fp32", backbone=NAME,
    )  # fmt: skip
    dense = store.read(tmp_path / "out" / "s1.h5")
    lost = np.isnan(dense["scores"]).all(axis=1)
    np.testing.assert_array_equal(lost, (dense["coords"] < 512).all(axis=1))
    assert f"{lost.sum()} of {len(lost)} patches unreadable, NaN" in str(result.rows)
    alone = scored(place, tmp_path / "alone", patches=tmp_path / "out", dense=False)
    np.testing.assert_allclose(alone["scores"], dense["scores"], atol=1e-4)


def test_a_file_says_that_its_network_slid(place: Path, tmp_path: Path) -> None:
    result = predict(place / "grids", place / "valid.safetensors", tmp_path / "s", dense=True,
                     backbone=NAME)  # fmt: skip
    said = store.attributes(tmp_path / "s" / "s1.h5")
    assert said["scoring"] == "dense"
    assert said["engine"].startswith("torch ")
    assert (said["patch_px"], said["stride_px"], said["window_px"]) == (64, 8, 64)
    assert (said["offset_px"], said["centre_px"]) == (0, 31)  # 62 of the 64 px count
    assert said["recipe"]["dense"]["exact"] is False
    assert "those of single patches" in str(result.rows)
    assert "windows lie where the grid's patches do" in str(result.rows)
    assert heatmap(tmp_path / "s", tmp_path / "h", html=True).exit_code == 0
    again = predict(place / "grids", place / "valid.safetensors", tmp_path / "s", dense=True,
                    backbone=NAME)  # fmt: skip
    assert [row["status"] for row in again.rows] == ["skipped"]


def test_a_model_with_a_dense_calibration_uses_it(place: Path, tmp_path: Path) -> None:
    points = {"b": {"youden": {"threshold": 0.25}}}
    dense = {"temperature": 3.0, "thresholds": points}
    model = write_valid(tmp_path / "m.safetensors", mpp=1.0, temperature=1.5, dense=dense)
    cold, warm = scored(place, tmp_path / "cold"), scored(place, tmp_path / "warm", model=model)
    odds = [np.log(each["scores"][:, 0] / each["scores"][:, 1]) for each in (cold, warm)]
    np.testing.assert_allclose(odds[1], odds[0] / 3, atol=1e-3)
    said = store.attributes(tmp_path / "warm" / "s1.h5")
    assert (said["temperature"], said["thresholds"]) == (3.0, points)
    alone = tmp_path / "alone"
    scored(place, alone, model=model, dense=False)
    assert store.attributes(alone / "s1.h5")["temperature"] == 1.5


def test_dense_features_are_the_patches_own(place: Path, tmp_path: Path) -> None:
    how = {"model": place / "valid.safetensors", "backbone": NAME, "precision": "fp32"}
    assert embed(place / "grids", tmp_path / "dense", dense=True, **how).exit_code == 0  # type: ignore[arg-type]
    assert embed(tmp_path / "dense", tmp_path / "alone", **how).exit_code == 0  # type: ignore[arg-type]
    dense, alone = (store.read(tmp_path / name / "s1.h5") for name in ("dense", "alone"))
    assert dense["features"].dtype == np.float16
    np.testing.assert_allclose(dense["features"], alone["features"], rtol=2e-3, atol=2e-3)
    [patches] = open_patches(tmp_path / "dense")
    assert patches.attributes["scoring"] == "dense"


def test_what_cannot_be_scored_densely_is_refused_with_what_to_do(
    place: Path, tmp_path: Path
) -> None:
    model = place / "valid.safetensors"
    with pytest.raises(UsageError, match="Give --dense true"):
        predict(place / "grids", model, tmp_path / "a", dense_stride_px=8, backbone=NAME)
    write_folder(tmp_path / "images", patients=2)
    for stage, how in ((predict, {}), (embed, {"precision": "fp32"})):
        with pytest.raises(PatchesError, match="image files have no place on a slide"):
            stage(tmp_path / "images", model=model, out=tmp_path / "a", dense=True, backbone=NAME,
                  **how)  # fmt: skip
    predict(place / "grids", model, tmp_path / "b", dense=True, dense_stride_px=12, backbone=NAME)
    assert "Give one of 4, 8, 16, 24" in failure(tmp_path / "b")
    other = write_valid(tmp_path / "other.safetensors", mpp=0.5)
    predict(place / "grids", other, tmp_path / "c", dense=True, backbone=NAME)
    assert "the model was trained on 64 px at 0.5 µm/px" in failure(tmp_path / "c")


@pytest.mark.slow  # predict is killed so by default, every stage in tests/chaos
def test_killed_and_started_again_it_is_as_if_undisturbed(place: Path, tmp_path: Path) -> None:
    out, model = tmp_path / "scores", str(place / "valid.safetensors")
    command = ["predict", "--patches", place / "grids", "--model", model, "--dense", "true"]
    command += ["--backbone", NAME, "--out", out]
    first = running(*command)
    while not list(out.glob(".*tmp*")) and not list(out.glob("*.h5")):
        assert first.exitcode in (None, 0)
        time.sleep(0.001)
    first.kill()
    first.join()
    assert exit_code(running(*command)) == 0
    assert not list(out.glob("**/*.tmp"))
    calm = scored(place, tmp_path / "calm", precision="auto")
    np.testing.assert_array_equal(store.read(out / "s1.h5", "scores")["scores"], calm["scores"])


@pytest.mark.slow
def test_a_huge_sparse_slide_is_scored_in_bounded_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(-20, 20, (32, 32, 1)), np.ones((8, 8, 1), int))
    patch = (np.array([200, 120, 170]) + texture).astype(np.uint8)

    def tile_at(level: int, col: int, row: int) -> np.ndarray | None:
        # Four pieces of 10,240 px, far apart.
        scale = 4**level
        return patch if col * scale % 200 < 40 and row * scale % 200 < 40 else None

    write_sparse_pyramid(tmp_path / "huge.tiff", tile_at=tile_at, downsamples=(1, 4, 16, 64))
    assert tile(tmp_path / "huge.tiff", tmp_path / "grids").exit_code == 0
    model = write_model(tmp_path / "m.safetensors", patch_px=224, input_px=28, mpp=0.5)
    arguments = ["predict", "--patches", str(tmp_path / "grids"), "--model", str(model)]
    arguments += ["--dense", "true", "--out", str(tmp_path / "out")]
    code = (
        "import sys\nfrom histocnn.cli import main\n"
        f"code = main({arguments!r})\nprint({PEAK_KIB})\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    scores = store.read(tmp_path / "out" / "huge.h5", "scores")["scores"]
    assert len(scores) > 400_000
    assert np.isfinite(scores).all()
    print(done.stderr, done.stdout)
    assert int(done.stdout.split()[-1]) < 2_000_000, "kB resident"
