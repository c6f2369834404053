"""A patch is embedded as its archive was, or it is said why it cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import FeaturesError
from histocnn.models.one_patch import embed_as
from histocnn.models.recalled import recalled
from histocnn.patches.one_place import OnePlace
from histocnn.reference.features import load
from histocnn.slides.slide import Slide
from histocnn.stages.embed import embed
from histocnn.storage import store
from tests.grid_files import write_grid
from tests.models.small_networks import write_weights


def test_the_patch_is_the_archives_to_the_bit_of_its_numbers(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, "s1", size=(300, 200), patient_id="p1")
    weights = str(write_weights(tmp_path / "w.safetensors"))
    for how in ({"dtype": "float32", "precision": "fp32", "tta": True}, {"stain": "macenko"}):
        out = tmp_path / str(how.get("dtype", "stain"))
        embed(grid, out, "lenet5", weights, threads=1, **how)  # type: ignore[arg-type]
        archive = load([out / "s1.h5"])
        corner = store.read(grid, "coords")["coords"][3]
        at = float(corner[0]) + 28, float(corner[1]) + 28
        patch = OnePlace(Slide(tmp_path / "slides" / "s1.tiff"), at, 28, 1.0, slide_id="s1")
        assert patch.coords is not None
        assert patch.coords.tolist() == [corner.tolist()]
        row = embed_as(archive, patch, recalled(archive.files[0], weights=weights), "cpu")
        if "stain" not in how:  # whose stains are the patch's own here
            np.testing.assert_allclose(row.values[0], archive.values[3], atol=1e-5)
        assert row.patient_ids == ["p1"]  # as the archive knows


def test_windows_of_a_dense_pass_cannot_be_had_alone(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, "s1", size=(300, 200))
    weights = str(write_weights(tmp_path / "w.safetensors"))
    embed(grid, tmp_path / "f", "lenet5", weights, threads=1)
    file = tmp_path / "f" / "s1.h5"
    attributes = store.attributes(file)
    attributes["recipe"]["dense"] = {"stride_px": 4}
    store.write(file, store.read(file), attributes)
    patch = OnePlace(Slide(tmp_path / "slides" / "s1.tiff"), (99, 99), 28, 1.0, slide_id="s1")
    with pytest.raises(FeaturesError, match="without --dense"):
        embed_as(load([file]), patch, recalled(file, weights=weights), "cpu")
