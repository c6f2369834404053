"""Maps against known truth, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from benchmarks.explain import crops, mapped, mean_and_interval, random_gains
from histocnn import demonstration
from histocnn.errors import UsageError
from histocnn.inspection.localisation import hits_and_energy, masks_of, pointing
from histocnn.jobs.steps import Steps
from histocnn.models.spec import load
from histocnn.phantom.cohort import make_cohort


def quarter(count: int) -> np.ndarray:
    """The top left quarter of images of 4 × 4 px."""
    truth = np.zeros((count, 4, 4), bool)
    truth[:, :2, :2] = True
    return truth


def test_hits_and_energy_by_hand() -> None:
    at_size = np.zeros((4, 4, 4), np.float32)
    at_size[0, 0, 0], at_size[0, 3, 3] = 3, 1  # points into the region, 3 of 4 parts lie there
    at_size[1, 0, 1], at_size[1, 2, 2], at_size[1, 3, 3] = 1, 1, -9  # two highest, one of them in
    at_size[3] = -1  # nothing speaks for the class
    hit, energy = hits_and_energy(at_size, quarter(4))
    np.testing.assert_array_equal(hit, [1, 0.5, np.nan, np.nan])
    np.testing.assert_array_equal(energy, [0.75, 0.5, np.nan, np.nan])


def test_small_maps_are_enlarged_to_the_image() -> None:
    maps = np.float32([[[4, 0], [0, 0]]])
    hit, energy = hits_and_energy(maps, quarter(1))
    assert hit.tolist() == [1]
    # Along an axis the pixels have 1, 3/4, 1/4, 0 of the cell: 7/4 of 2 lie in its half.
    assert energy.tolist() == [(7 / 8) ** 2]


def test_chance_and_the_centre_pixel_stand_beside_the_methods() -> None:
    truth = quarter(6)
    truth[3:] = False
    truth[3:, 1:3, 1:4] = True  # 6 of 16 pixels, the middle ones among them
    right, wrong = truth.astype(np.float32), (~truth).astype(np.float32)
    wrong[0] = 0
    maps = {"right": right, "wrong": wrong}
    rows = {row.method: row for row in pointing(maps, truth, list("abcdef"))}
    assert list(rows) == ["right", "wrong", "chance", "the centre pixel"]
    coverage = (4 + 6) / 2 / 16
    assert rows["right"].hit == rows["right"].energy == 1
    assert rows["right"].gain == pytest.approx(1 - coverage)
    assert rows["right"].bounds["hit"] == (1, 1)
    low, high = rows["right"].bounds["gain"]
    assert low < 1 - coverage < high
    assert (rows["wrong"].hit, rows["wrong"].images, rows["wrong"].undefined) == (0, 5, 1)
    assert rows["wrong"].coverage == pytest.approx((2 * 4 + 3 * 6) / 5 / 16)  # of those it judges
    assert rows["chance"].hit == rows["chance"].energy == rows["chance"].coverage
    assert rows["chance"].gain == 0
    # Of the middle four pixels one lies in the quarter, and all lie in the other region.
    assert rows["the centre pixel"].hit == pytest.approx((0.25 + 1) / 2)
    assert rows["the centre pixel"].energy is None


def test_intervals_are_over_slides() -> None:
    truth = quarter(6)
    (row, *_) = pointing({"m": truth.astype("f4")}, truth, ["a", "a", "a", "b", "b", "b"])
    assert (row.bounds, row.note) == ({}, "no interval: 2 slides, fewer than 5")


def test_truth_of_a_box_is_the_region_at_its_pixels() -> None:
    region = shapely.union(shapely.box(10, 20, 14, 40), shapely.box(100, 100, 101, 101))
    boxes = np.array([[8, 16, 16, 32], [50, 50, 58, 66], [14, 20, 22, 36.0]])
    masks = masks_of(region, boxes, (8, 4))  # 2 × 2 level-0 px to a pixel
    expected = np.zeros((8, 4), bool)
    expected[2:, 1:3] = True
    np.testing.assert_array_equal(masks[0], expected)
    assert not masks[1:].any()  # the last one shares an edge only


def test_what_does_not_fit_together_is_refused() -> None:
    truth = quarter(2)
    with pytest.raises(UsageError, match="2 images of known truth, 1 slides"):
        pointing({"m": truth.astype("f4")}, truth, ["a"])
    truth[1] = False
    with pytest.raises(UsageError, match="1 images have nothing of the region"):
        pointing({}, truth, ["a", "b"])


@pytest.fixture(scope="module")
def demo_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network that `histocnn demo` trains."""
    out = tmp_path_factory.mktemp("demo")
    slides, patients = demonstration.SLIDES, demonstration.PATIENTS
    size_px, steps = demonstration.SIZE_PX, Steps()
    cohort = make_cohort(out / "cohort", slides=slides, patients=patients, size_px=size_px)
    demonstration._tile(steps, cohort, out, workers=1)
    demonstration._train(steps, cohort, out, seed=0)
    return out / "model" / "model.safetensors"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_grad_cam_of_the_demos_network_points_at_tumour_and_of_random_ones_does_not(
    demo_model: Path, tmp_path: Path
) -> None:
    network, spec = load(demo_model)
    images, truth, names = crops(tmp_path, spec, slides=6, each=4)
    assert images.shape[2:] == (448, 448)  # four times the patch
    maps = mapped(network, images, spec.class_names.index("tumour"), "grad_cam")
    cam, chance, centre = pointing({"grad_cam": maps}, truth, names)
    assert cam.gain >= 0.4
    assert cam.bounds["gain"][0] > 0.2
    assert chance.hit == pytest.approx(truth.mean())
    assert centre.gain < cam.gain - 0.4  # tumour does not lie where one would look without looking
    gains = random_gains(spec, images[::2], truth[::2], names[::2], seeds=10)
    _, low, high = mean_and_interval(gains)
    assert low <= 0 <= high
