from __future__ import annotations

import csv
import logging
import pickle
import shutil

import cv2
import h5py
import numpy as np
import pytest

from histocnn.errors import CohortError, TrainingError
from histocnn.models.data import PatchDataModule
from histocnn.models.options import DataOptions
from tests.models.patch_files import module, write_folder, write_grids


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("patches") / "images")


@pytest.fixture
def own(tmp_path):
    """A folder that a test may spoil."""
    return write_folder(tmp_path / "images", patients=10, per_patient=2)


def test_a_patient_is_in_one_split(folder):
    data = module(folder)
    patients = [set(data.rows[part].patient_ids) for part in ("train", "val", "test")]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 12
    assert sum(len(rows) for rows in data.rows.values()) == 144
    assert data.class_names == ["a", "b"]
    for part in ("train", "val", "test"):
        assert data.prior(part) == {"a": 0.5, "b": 0.5}


def test_the_split_is_seeded_and_read_again(folder, tmp_path):
    first = module(folder)
    assert (module(folder).parts == first.parts).all()
    assert (module(folder, seed=1).parts != first.parts).any()
    from histocnn.cohort.splits import write_split

    write_split(tmp_path / "split.csv", first.groups, [str(p) for p in first.parts])
    assert (module(folder, seed=1, split_file=tmp_path / "split.csv").parts == first.parts).all()


def test_folds_test_every_patch_once(folder):
    tested = np.sum([module(folder, folds=4, fold=i).parts == "test" for i in range(4)], axis=0)
    assert (tested == 1).all()


def batches(data, part="train", train=False):
    return [data.on_before_batch_transfer(b, 0) for b in data.loader(part, train=train)]


def test_a_corrupt_image_is_named_skipped_and_counted(own, caplog):
    data = module(own)
    bad = own / data.rows["train"].name(3)
    bad.write_bytes(bad.read_bytes()[:40])
    found = batches(data)
    assert sum(len(b["labels"]) for b in found) == len(data.rows["train"]) - 1
    assert 3 not in np.concatenate([b["rows"] for b in found])
    batches(data)  # named once, not once per epoch
    assert caplog.text.count(bad.name) == 1
    assert len(data.problems) == 1


def test_too_many_corrupt_images_stop(own):
    data = module(own)
    for i in range(6):
        (own / data.rows["train"].name(i)).write_bytes(b"no image")
    with pytest.raises(TrainingError, match="6 of 40 patches could not be read"):
        batches(data)


def test_max_per_class_and_balance(tmp_path):
    folder = write_folder(tmp_path / "images", patients=10, per_patient=4)
    data, whole = module(folder, max_per_class=20), module(folder)
    assert np.bincount(data.rows["train"].labels).tolist() == [20, 20]
    for part in ("val", "test"):  # at natural prevalence
        names = [[d.rows[part].name(i) for i in range(len(d.rows[part]))] for d in (data, whole)]
        assert names[0] == names[1]
    assert (
        len(data.groups)
        == len(data.parts)
        == len(data.all_rows)
        == sum(len(rows) for rows in data.rows.values())
    )
    assert data.class_weights is None
    for name in list((folder / "b").iterdir())[:30]:
        name.unlink()
    assert module(folder).learnt_prior() == module(folder).prior("train") != {"a": 0.5, "b": 0.5}
    assert module(folder, balance="sampler").learnt_prior() == {"a": 0.5, "b": 0.5}
    data = module(folder, balance="loss")
    assert data.learnt_prior() == {"a": 0.5, "b": 0.5}
    a, b = (float((data.rows["train"].labels == c).mean()) for c in (0, 1))
    assert np.allclose(data.class_weights, [0.5 / a, 0.5 / b])
    loader = module(folder, balance="sampler").loader("train", train=True)
    drawn = []
    for epoch in range(20):
        loader.sampler.set_epoch(epoch)
        drawn += [label for batch in loader for label in batch["labels"].tolist()]
    assert 0.4 < np.mean(drawn) < 0.6  # four deviations; without the sampler it is about 0.2


def test_order_and_augmentation_follow_seed_and_epoch(folder):
    def epoch(number, seed=0):
        loader = module(folder, seed=seed, split_file=None).loader("train", train=True)
        loader.sampler.set_epoch(number)
        return [(b["rows"].tolist(), b["pixels"].sum().item()) for b in loader]

    assert epoch(2) == epoch(2)
    assert epoch(2) != epoch(3)
    assert epoch(2) != epoch(2, seed=1)


@pytest.fixture(scope="module")
def grids(tmp_path_factory):
    return write_grids(tmp_path_factory.mktemp("grids"))


# A spawned process takes seconds to import torch, and only then finds what cannot be sent to it.
@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_read_slides(grids, start):
    plain = PatchDataModule(DataOptions(grids, augment="none", workers=0, batch_size=4))
    data = PatchDataModule(DataOptions(grids, augment="none", workers=1, batch_size=4, start=start))
    assert data.patch_px == 32
    assert data.mpp == 1.0
    assert len(plain.rows["train"]) == 11  # 12 patches, one of them unlabelled
    for mine, theirs in zip(data.loader("train"), plain.loader("train"), strict=True):
        assert (mine["pixels"] == theirs["pixels"]).all()
        assert mine["pixels"].float().std() > 5
        assert mine["problems"] == []


def test_what_a_spawned_worker_is_sent_reads_slides(grids):
    data = PatchDataModule(DataOptions(grids, augment="none", workers=1, start="spawn"))
    loader = data.loader("train")
    read = [loader.dataset[0, i].pixels for i in range(len(loader.dataset))]  # slides are open
    all_of_it = loader.dataset, loader.collate_fn, loader.worker_init_fn
    sent, *_ = pickle.loads(pickle.dumps(all_of_it))  # noqa: S301 - our own
    for i, pixels in enumerate(read):
        assert (sent[0, i].pixels == pixels).all()


def test_a_split_in_slides_csv_is_kept(grids, tmp_path):
    order = {"slide0": "val", "slide1": "train", "slide2": "test"}
    with (tmp_path / "slides.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows(
            [("slide_id", "slide_path", "split"),
             *((s, grids.parent / f"{s}.tiff", p) for s, p in order.items())]
        )  # fmt: skip
    data = PatchDataModule(DataOptions(grids, slides=tmp_path / "slides.csv", workers=0))
    for slide, part in order.items():
        assert set(data.rows[part].slide_ids) == {slide}


def test_stain_normalisation_is_per_slide_or_per_patch(grids):
    for stain, per_patch in (("slide", False), ("patch", True)):
        data = PatchDataModule(DataOptions(grids, stain=stain, augment="none", workers=0))
        assert data.stain["per_patch"] is per_patch
        next(iter(data.loader("train")))


def test_patches_whose_stain_is_left_as_it_is_are_counted_once_each(own):
    """Two stains, of which there is more of one to the right; two of 40 pictures are grey."""
    share = np.linspace(0, 1, 28)[None, :, None]
    density = share * [0.5, 1.2, 0.9] + (1 - share) * [0.2, 0.9, 0.3]
    pixels = np.exp(-density * np.linspace(0.8, 1.2, 28)[:, None, None]) * 255
    grey = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2)
    for number, path in enumerate(own.glob("*/*.png")):
        shown = grey if path.parent.name == "a" and path.name.startswith("p00") else pixels
        shown[0, 0] = number  # no two are the same
        cv2.imwrite(str(path), shown[..., ::-1].astype(np.uint8))
    data = module(own, stain="patch")
    for _ in range(2):
        for part in ("train", "val", "test"):
            assert all("unstained" not in batch for batch in batches(data, part))
    assert data.unstained == {"a/p00_0.png", "a/p00_1.png"}
    assert module(own).unstained == set()


@pytest.fixture(autouse=True)
def _log_everything(caplog):
    caplog.set_level(logging.WARNING)


def test_a_slide_under_two_ids_in_two_splits_is_refused(grids, tmp_path):
    copied = tmp_path / "h5"
    shutil.copytree(grids, copied)
    shutil.copy(copied / "slide0.h5", copied / "slide9.h5")
    with h5py.File(copied / "slide9.h5", "r+") as file:
        file.attrs["histocnn_slide_id"], file.attrs["histocnn_patient_id"] = "slide9", "p9"
    order = {"slide0": "train", "slide1": "val", "slide2": "test", "slide9": "test"}
    with (tmp_path / "slides.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows(
            [("slide_id", "slide_path", "split"),
             *((s, grids.parent / f"slide{i}.tiff", p) for i, (s, p) in
               enumerate(order.items()) if i < 3),
             ("slide9", shutil.copy(grids.parent / "slide0.tiff", tmp_path / "9.tiff"), "test")]
        )  # fmt: skip
    with pytest.raises(CohortError, match=r"slide0 \(train\) and slide9 \(test\) are the same"):
        PatchDataModule(DataOptions(copied, slides=tmp_path / "slides.csv", workers=0))
