"""Noise of the promised distribution; things of any shape and colour."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.stats import chisquare, norm

from histocnn.errors import PatchesError, UsageError
from histocnn.inspection import made_up
from tests.grid_files import write_grid


def test_uniform_noise_is_uniform():
    noise = made_up.uniform(4, (40, 30), seed=3)
    assert noise.shape == (4, 40, 30, 3)
    assert chisquare(np.bincount(noise.ravel(), minlength=256)).pvalue > 1e-3
    assert (noise == made_up.uniform(4, (40, 30), seed=3)).all()
    assert (noise != made_up.uniform(4, (40, 30), seed=4)).any()


def test_gaussian_noise_has_the_colour_it_is_given():
    mean, std = np.array([200.0, 100.0, 150.0]), np.array([10.0, 20.0, 5.0])
    found = made_up.colour_of(made_up.gaussian(8, (50, 50), mean, std))
    np.testing.assert_allclose(found, (mean, std), rtol=0.02)
    plain = made_up.gaussian(8, (50, 50))
    assert (plain == 0).mean() == pytest.approx(norm.cdf((0.5 - 127.5) / 64), abs=0.002)


def test_things_may_be_grey_long_broken_and_of_any_size(tmp_path):
    grey = np.full((10, 10), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "a_grey.png"), grey)
    cv2.imwrite(str(tmp_path / "b_long.png"), np.zeros((8, 32, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "c_large.jpg"), np.full((64, 64, 3), (0, 0, 255), np.uint8))
    (tmp_path / "d_broken.png").write_bytes(b"no picture")
    pixels, problems = made_up.read_things(tmp_path, 16)
    assert pixels.shape == (3, 16, 16, 3)
    assert (pixels[0] == 90).all()
    assert (pixels[1, :4] == 0).all()  # scaled as its longer side is
    assert (pixels[1, 4:] == 255).all()  # and padded white
    assert pixels[2, 8, 8].tolist() == pytest.approx([255, 0, 0], abs=3)  # RGB
    assert len(problems) == 1
    assert problems[0].startswith("d_broken.png: ")
    assert len(made_up.read_things(tmp_path, 16, most=1)[0]) <= 1


def test_a_folder_of_grids_or_of_nothing_is_refused(tmp_path):
    write_grid(tmp_path)
    with pytest.raises(UsageError, match="holds grids of slides"):
        made_up.read_things(tmp_path / "grids", 16)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PatchesError, match="no images in it"):
        made_up.read_things(tmp_path / "empty", 16)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"x")
    with pytest.raises(PatchesError, match="images can be read"):
        made_up.read_things(tmp_path / "bad", 16)
