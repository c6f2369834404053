from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.exports.annotated import write_anndata
from histocnn.patches.patches import FilePatches
from histocnn.storage import store
from tests.exports.test_frames import scores_over
from tests.feature_files import write_features
from tests.grid_files import write_grid

anndata = pytest.importorskip("anndata", reason="pip install 'histocnn[anndata]'")


def test_scores_lie_at_the_centres_of_their_patches(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, "s1", patient_id="p1")
    file = scores_over(grid, tmp_path / "scores" / "s1.h5", ("a", "b"))
    write_anndata(FilePatches(file), tmp_path / "s1.h5ad")
    table = anndata.read_h5ad(tmp_path / "s1.h5ad")
    stored = store.read(file)
    np.testing.assert_array_equal(table.X, stored["scores"])
    assert list(table.var_names) == ["a", "b"]
    assert list(table.obs_names[:2]) == ["s1:0", "s1:1"]
    np.testing.assert_array_equal(table.obsm["spatial"], stored["coords"] + 28)  # of 56 px
    assert table.obs.label.isna().tolist()[:4] == [True, False, False, True]
    assert table.obs.label.tolist()[1:3] == ["a", "b"]
    assert set(table.obs.patient_id) == {"p1"}
    facts = table.uns["histocnn"]
    assert (facts["patch_px"], facts["mpp"]) == (28, 1.0)
    assert facts["slide_mpp"].tolist() == [0.5, 0.5]


def test_features_are_the_variables_and_images_have_no_place(tmp_path: Path) -> None:
    file = write_features(tmp_path / "f.h5", n=6, patients=("p1", "p2"), nan_rows=(3,))
    assert write_anndata(FilePatches(file), tmp_path / "f.h5ad") == 6
    table = anndata.read_h5ad(tmp_path / "f.h5ad")
    np.testing.assert_array_equal(table.X, store.read(file, "features")["features"])
    assert list(table.var_names[:2]) == ["feature_0", "feature_1"]
    assert "spatial" not in table.obsm
    assert table.obs.path.tolist() == [f"{i}.png" for i in range(6)]
