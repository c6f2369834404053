"""Notebooks get every row, in order, with its place; and what nobody knows is None or NaN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import histocnn
from histocnn.errors import PatchesError, StoreError
from histocnn.exports.frames import only_class, read_features, read_grid, read_scores
from histocnn.storage import store
from tests.feature_files import write_features
from tests.grid_files import write_grid


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """Patches of 28 px at 1 µm/px on a slide of 0.5 µm/px: 56 level-0 px a side."""
    return write_grid(tmp_path, "s1", patient_id="p1")


def scores_over(grid: Path, path: Path, names: tuple[str, ...], **datasets: object) -> Path:
    stored, attributes = store.read(grid), store.attributes(grid)
    scores = np.full((len(stored["coords"]), len(names)), 1 / len(names), np.float32)
    scores[1] = np.nan
    attributes |= {"scores.class_names": list(names), "seen": "no"}
    store.write(path, {**stored, "scores": scores, **datasets}, attributes)
    return path


def test_a_grid_says_where_each_patch_lies(grid: Path) -> None:
    frame = read_grid(grid)
    stored = store.read(grid)
    assert len(frame) == len(stored["coords"])
    assert frame[["x_l0", "y_l0"]].to_numpy().tolist() == stored["coords"].tolist()
    assert frame[["row", "col"]].to_numpy().tolist() == stored["cell"].tolist()
    assert frame.loc[0, ["width_l0", "height_l0"]].tolist() == [56, 56]
    assert frame.label.tolist()[:4] == [None, "a", "b", None]
    assert set(frame.slide_id) == {"s1"}
    assert set(frame.patient_id) == {"p1"}


def test_features_and_obs_have_the_same_rows_and_nan_rows_stay(grid: Path, tmp_path: Path) -> None:
    folder = tmp_path / "features"
    write_features(folder / "s1.h5", like=grid, nan_rows=(2,))
    write_features(folder / "images.h5", n=4, patients=("p9",))
    values, obs = read_features(folder)
    assert values.dtype == np.float32
    assert values.shape == (len(obs), 8)
    assert obs.file.tolist()[:4] == ["images"] * 4
    assert obs.path.tolist()[:4] == ["0.png", "1.png", "2.png", "3.png"]
    assert obs.path[4:].isna().all()
    assert np.isnan(obs.x_l0[:4]).all()  # image files have no place on a slide
    assert np.isnan(values).all(axis=1).tolist() == [row == 4 + 2 for row in range(len(obs))]
    first = store.read(folder / "images.h5", "features")["features"]
    np.testing.assert_array_equal(values[:4], first)
    assert obs.slide_id.tolist()[0] is None


def test_scores_of_several_files_are_matched_by_the_classes_names(
    grid: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "scores"
    count = len(store.read(grid, "coords")["coords"])
    novelty = np.linspace(0, 100, count, dtype=np.float32)
    scores_over(grid, folder / "a.h5", ("x", "y"), novelty=novelty)
    scores_over(grid, folder / "b.h5", ("y", "z", "x"))
    frame = read_scores(folder)
    assert len(frame) == 2 * count
    scored = [name for name in frame.columns if name.startswith("prob_")]
    assert scored == ["prob_x", "prob_y", "prob_z"]
    assert frame.loc[0, "prob_x"] == 0.5
    assert frame.loc[count, "prob_x"] == pytest.approx(1 / 3)
    assert frame.loc[: count - 1, "prob_z"].isna().all()
    assert frame.loc[[1, count + 1], scored].isna().all(axis=None)
    np.testing.assert_array_equal(frame.novelty[:count], novelty)
    assert set(frame.seen) == {"no"}
    one = only_class(frame, "y", "s1")
    assert [name for name in one.columns if name.startswith("prob_")] == ["prob_y"]


def test_quality_is_in_the_tables_where_it_was_measured(grid: Path, tmp_path: Path) -> None:
    assert "blur_um" not in read_grid(grid)
    blur = np.arange(len(read_grid(grid)), dtype=np.float32)
    file = scores_over(grid, tmp_path / "scores" / "s1.h5", ("a", "b"), blur_um=blur)
    for frame in (read_scores(file), read_grid(file)):
        assert frame.blur_um.tolist() == blur.tolist()
        assert "pen_fraction" not in frame


def test_a_slide_without_patches_adds_no_rows(grid: Path, tmp_path: Path) -> None:
    full, empty = read_grid(grid), tmp_path / "grids" / "z.h5"
    stored = {name: array[:0] for name, array in store.read(grid).items()}
    store.write(empty, stored, store.attributes(grid))
    frame = read_grid(grid.parent)
    assert len(frame) == len(full)
    assert frame.dtypes.astype(str).to_dict() == full.dtypes.astype(str).to_dict()


def test_what_cannot_be_read_says_so(grid: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no scores"):
        read_scores(grid)
    with pytest.raises(StoreError, match="has no features"):
        read_features(grid)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PatchesError, match=r"no \.h5 files"):
        read_grid(tmp_path / "empty")
    write_features(tmp_path / "f" / "a.h5", n=3)
    write_features(tmp_path / "f" / "b.h5", n=3, width=9)
    with pytest.raises(PatchesError, match="widths 8, 9"):
        read_features(tmp_path / "f")


def test_the_package_offers_them(grid: Path) -> None:
    assert histocnn.read_grid(str(grid)).equals(read_grid(grid))
