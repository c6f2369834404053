from __future__ import annotations

import cv2
import numpy as np
import pytest

from histocnn.errors import PatchesError
from histocnn.models.data import PatchDataModule
from histocnn.models.options import DataOptions
from histocnn.models.samples import EpochSampler, class_weights
from tests.models.patch_files import patch, write_folder

PATTERN = "(p[0-9]+)_"


def module(path, **options):
    usual = {"patient_pattern": PATTERN, "augment": "light", "workers": 0, "batch_size": 8}
    return PatchDataModule(DataOptions(path, **usual | options))


@pytest.fixture
def own(tmp_path):
    """A folder that a test may spoil."""
    return write_folder(tmp_path / "images", patients=10, per_patient=2)


def batches(data, part="train", train=False):
    return [data.on_before_batch_transfer(b, 0) for b in data.loader(part, train=train)]


def test_images_of_several_sizes(own):
    data = module(own)
    odd = own / data.rows["train"].name(0)
    cv2.imwrite(str(odd), patch(0, 999, 40))
    with pytest.raises(PatchesError, match=r"40 px among patches of 28 px.*input_px"):
        batches(data)
    scaled = module(own, input_px=32)
    assert {b["pixels"].shape[1:] for b in batches(scaled)} == {(28, 28, 3)}


def test_a_patch_cut_at_the_slide_s_edge_is_padded_white(own):
    data = module(own)
    name = own / data.rows["train"].name(0)
    cv2.imwrite(str(name), patch(0, 999)[:, :20])
    pixels = next(b["pixels"][0] for b in batches(data) if 0 in b["rows"])
    assert (pixels[:, 20:] == 255).all()
    assert (pixels[:, :20] < 255).any()


def test_grey_transparent_and_16_bit_files(own):
    data = module(own)
    grey = np.full((28, 28), 100, np.uint8)
    cv2.imwrite(str(own / data.rows["train"].name(0)), grey)
    cv2.imwrite(str(own / data.rows["train"].name(1)), np.dstack([grey, grey, grey, grey * 0]))
    cv2.imwrite(str(own / data.rows["train"].name(2)), (grey.astype(np.uint16) << 8) + 7)
    pixels = batches(data)[0]["pixels"]
    assert [int(p.float().mean()) for p in pixels[:3]] == [100, 255, 100]


def test_class_weights_by_hand():
    assert class_weights(np.array([0, 0, 0, 1]), 2).tolist() == pytest.approx([4 / 6, 2])


def test_processes_share_the_rows_and_repeat_none():
    parts = [list(EpochSampler(101, shuffle=False, rank=r, world=2)) for r in range(2)]
    assert [len(p) for p in parts] == [51, 50]
    assert sorted(i for p in parts for _, i in p) == list(range(101))
    shuffled = [EpochSampler(101, shuffle=True, seed=5, rank=r, world=2) for r in range(2)]
    for sampler in shuffled:
        sampler.set_epoch(3)
    keys = [list(s) for s in shuffled]
    assert [len(k) for k in keys] == [len(s) for s in shuffled] == [50, 50]
    assert len({i for k in keys for _, i in k}) == 100
    assert {epoch for k in keys for epoch, _ in k} == {3}
