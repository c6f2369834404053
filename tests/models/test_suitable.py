"""Patches of another scale are refused; stains are normalised by what is best known of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import ModelError
from histocnn.models.spec import ModelSpec
from histocnn.models.suitable import checked, normaliser
from histocnn.patches.patches import open_patches
from histocnn.slides.stain import Normaliser
from tests.grid_files import write_grid
from tests.models.patch_files import write_folder


@pytest.mark.parametrize(
    ("patch_px", "mpp", "fits"),
    [(28, 1.0, True), (None, None, True), (28, 1.005, True), (28, 0.5, False), (32, 1.0, False)],
)
def test_scale_must_be_the_models(
    tmp_path: Path, patch_px: int | None, mpp: float | None, fits: bool
) -> None:
    [patches] = open_patches(write_grid(tmp_path))
    spec = ModelSpec("lenet5", patch_px=patch_px, mpp=mpp)
    if fits:
        checked(patches, spec)
    else:
        with pytest.raises(ModelError, match=f"28 px at 1.0 µm/px.*{patch_px} px at {mpp} µm/px"):
            checked(patches, spec)


def test_slides_are_normalised_by_their_own_stains_and_images_by_their_pixels(
    tmp_path: Path,
) -> None:
    [patches] = open_patches(write_folder(tmp_path / "set", patients=3))
    assert normaliser(ModelSpec("lenet5"), patches) is None
    spec = ModelSpec("lenet5", stain=Normaliser().to_dict())
    [grid] = open_patches(write_grid(tmp_path))
    stains = grid.stains()
    for source, slide_stains in ((patches, None), (grid, stains)):
        normalise = normaliser(spec, source)
        assert normalise is not None
        pixels = source.patch(0)
        expected = Normaliser(per_patch=source is patches)(pixels, slide_stains)
        np.testing.assert_array_equal(normalise(pixels), expected)


@pytest.mark.parametrize(
    ("patch_px", "mpp", "flags"),
    [
        (32, None, "--patch_px 32,"),
        (None, 0.5, "--mpp 0.5,"),
        (32, 0.5, "--patch_px 32 --mpp 0.5,"),
    ],
)
def test_the_remedy_names_only_what_the_model_knows(
    tmp_path: Path, patch_px: int | None, mpp: float | None, flags: str
) -> None:
    [patches] = open_patches(write_grid(tmp_path))
    with pytest.raises(ModelError) as error:
        checked(patches, ModelSpec("lenet5", patch_px=patch_px, mpp=mpp))
    assert f"Tile with {flags} or use another model." in str(error.value)
    assert "None" not in str(error.value)
