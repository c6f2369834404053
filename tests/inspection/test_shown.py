"""Images made what the network takes, or refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.errors import ModelError, PatchesError
from histocnn.inspection.opening import Subject, open_subject
from histocnn.inspection.shown import from_cohort, from_file
from histocnn.patches.patches import open_patches
from tests.models.patch_files import write_folder
from tests.models.small_networks import write_model


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return open_subject(write_model(tmp_path / "m.safetensors", mpp=0.5), None, None)


def write(path: Path, *shape: int) -> Path:
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    return path


def test_grey_becomes_three_equal_channels(subject: Subject, tmp_path: Path) -> None:
    one, notes = from_file(subject, write(tmp_path / "a.png", 28, 28))
    assert one.pixels.shape == (28, 28, 3)
    assert (one.pixels[..., 0] == one.pixels[..., 2]).all()
    assert (notes, one.tensor.shape) == ([], (1, 3, 28, 28))


def test_of_an_image_that_is_not_square_or_larger_the_middle_is_taken(
    subject: Subject, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.png", 40, 60, 3)
    one, notes = from_file(subject, path, mpp=0.5)
    whole = cv2.imread(str(path))[..., ::-1]
    assert (one.pixels == whole[6:34, 16:44]).all()
    assert notes == ["a.png: of its 60 × 40 px the 28 in the middle"]


def test_an_image_of_another_scale_or_too_small_is_refused(
    subject: Subject, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.png", 20, 28, 3)
    with pytest.raises(ModelError, match=r"28 × 20 px, and the model was trained on 28 px"):
        from_file(subject, path)
    with pytest.raises(ModelError, match=r"0\.25 µm/px, and the model was trained on 0\.5"):
        from_file(subject, path, mpp=0.25)
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(PatchesError, match="not a whole image"):
        from_file(subject, tmp_path / "b.png")


def test_patches_are_taken_evenly_from_the_cohort(subject: Subject, tmp_path: Path) -> None:
    cohort = open_patches(write_folder(tmp_path / "p", patients=4, per_patient=2))
    found = from_cohort(subject, cohort, most=3)
    assert [one.facts["row"] for one in found] == [0, 7, 15]
    assert found[0].name == "a/p00_0.png"
    for path in (tmp_path / "p").glob("*/*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(PatchesError, match="none of 16 images can be read"):
        from_cohort(subject, open_patches(tmp_path / "p"))
