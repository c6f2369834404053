from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import ModelError
from histocnn.models.export_check import COUNT, SYNTHETIC, patches_to_check
from histocnn.models.spec import ModelSpec
from tests.models.patch_files import write_folder

SPEC = ModelSpec("lenet5", class_names=("a", "b"), patch_px=28, mpp=1.0)


def test_synthetic_patches_show_tissue() -> None:
    pixels, of = patches_to_check(SPEC, None, None)
    assert (pixels.shape, of) == ((COUNT, 28, 28, 3), SYNTHETIC)
    assert len(np.unique(pixels.reshape(COUNT, -1), axis=0)) == COUNT
    assert pixels.mean((1, 2)).min() < 230


def test_the_user_s_own_stand_in_their_place(tmp_path: Path) -> None:
    pixels, of = patches_to_check(SPEC, write_folder(tmp_path / "mine", patients=2), None)
    assert (pixels.shape, of) == ((COUNT, 28, 28, 3), "of mine")


def test_patches_of_another_side_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "mine", patients=2, side_px=36)
    with pytest.raises(ModelError, match=r"36.*28 px"):
        patches_to_check(SPEC, folder, None)
