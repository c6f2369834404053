"""Patches: what opens, what each row is known to be, and which pixels it gives."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from histocnn.errors import PatchesError, StoreError, UsageError
from histocnn.patches.grid import build_grid
from histocnn.patches.patches import FilePatches, id_of, open_patches
from histocnn.slides.slide import Slide
from histocnn.storage import store
from tests.grid_files import write_grid
from tests.patches.image_files import write_image
from tests.slide_files import position_image, write_pyramid


@pytest.fixture
def grid_file(tmp_path: Path) -> Path:
    slide = Slide(write_pyramid(tmp_path / "s1.tiff", position_image(600, 400)))
    grid = build_grid(slide.size_l0, slide.require_mpp(), patch_px=64, mpp=1.0, min_tissue=0)
    attributes = {
        **grid.attributes(),
        "slide_id": "s1",
        "patient_id": "p1",
        "slide_path": str(slide.path),
        "fingerprint": slide.fingerprint,
        "labels.class_names": ["n", "t"],
        "recipe": {"stage": "tile"},
    }
    labels = np.arange(len(grid)) % 3 - 1
    file = tmp_path / "grids" / "s1.h5"
    store.write(file, {"coords": grid.coords, "cell": grid.cell, "labels": labels}, attributes)
    return file


def test_class_is_the_folder_that_holds_the_images_and_the_pattern_finds_the_patient(
    tmp_path: Path,
) -> None:
    for name in ("p7/1/a.png", "p7/0/b.png", "p8/0/c.png"):
        write_image(tmp_path / "idc" / name)
    [patches] = open_patches(tmp_path / "idc", patient_pattern=r"^(p\d+)/")
    assert patches.name == "idc"
    assert patches.paths == ["p7/0/b.png", "p7/1/a.png", "p8/0/c.png"]
    assert patches.class_names == ("0", "1")
    assert patches.labels.tolist() == [0, 1, 0]
    assert patches.patient_ids == ["p7", "p7", "p8"]
    assert patches.slide_ids == ["", "", ""]
    assert (patches.patch_px, patches.mpp, patches.coords) == (8, None, None)


def test_images_without_class_folders_have_no_labels(tmp_path: Path) -> None:
    write_image(tmp_path / "flat" / "a.png")
    [patches] = open_patches(tmp_path / "flat")
    assert patches.labels.tolist() == [-1]
    assert patches.class_names == ()


def test_class_folders_may_be_links(tmp_path: Path) -> None:
    write_image(tmp_path / "elsewhere" / "a" / "x.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a").symlink_to(tmp_path / "elsewhere" / "a")
    [patches] = open_patches(tmp_path / "set")
    assert patches.paths == ["a/x.png"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_rows_are_relative_to_the_csv(tmp_path: Path, separator: str) -> None:
    for name in ("x/a.png", "x/b.png"):
        write_image(tmp_path / name)
    table = tmp_path / "mine.csv"
    text = "path,label,patient_id,split\nx/b.png,t,p1,test\nx/a.png,,p2,train\n"
    table.write_text(text.replace(",", separator))
    [patches] = open_patches(table)
    assert patches.name == "mine"
    assert patches.labels.tolist() == [0, -1]
    assert patches.patient_ids == ["p1", "p2"]
    assert patches.splits == ["test", "train"]
    assert patches.patch(0)[0, 0].tolist() == [200, 100, 50]


def test_corrupt_images_are_named_white_and_marked(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for i in range(5):
        write_image(folder / "a" / f"{i}.png", side=32)
    whole = (folder / "a" / "1.png").read_bytes()
    (folder / "a" / "1.png").write_bytes(whole[: len(whole) // 2])
    (folder / "a" / "3.png").write_bytes(b"")
    [patches] = open_patches(folder)
    batches = list(patches.batches(batch_size=2, threads=3))
    assert [b.rows.tolist() for b in batches] == [[0, 1], [2, 3], [4]]
    assert np.concatenate([b.readable for b in batches]).tolist() == [
        True, False, True, False, True,
    ]  # fmt: skip
    assert (batches[0].pixels[1] == 255).all()
    assert batches[0].pixels[0, 0, 0].tolist() == [200, 100, 50]
    assert len(patches.problems) == 2
    assert "1.png" in patches.problems[0]
    assert "3.png" in patches.problems[1]
    with pytest.raises(PatchesError, match=r"1\.png"):
        patches.patch(1)


def test_a_folder_of_corrupt_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(b"no image")
    [patches] = open_patches(tmp_path)
    with pytest.raises(PatchesError, match="none of 1 images"):
        list(patches.batches())


def test_several_sizes_need_one_to_bring_them_to(tmp_path: Path) -> None:
    for i in range(3):
        write_image(tmp_path / "a" / f"{i}.png", side=16)
    write_image(tmp_path / "a" / "z.png", side=32)
    [patches] = open_patches(tmp_path)
    with pytest.raises(PatchesError, match=r"z\.png: 32×32 px among images of 16×16 px"):
        list(patches.batches())
    [batch] = patches.batches(size_px=8)
    assert batch.pixels.shape == (4, 8, 8, 3)
    assert (batch.pixels == (200, 100, 50)).all()


def test_an_image_cut_at_the_edge_of_its_slide_is_padded_white(tmp_path: Path) -> None:
    for i in range(3):
        write_image(tmp_path / "a" / f"{i}.png", side=16)
    cv2.imwrite(str(tmp_path / "a" / "cut.png"), np.zeros((5, 16, 3), np.uint8))
    [patches] = open_patches(tmp_path)
    cut = next(iter(patches.batches())).pixels[3]
    assert (cut[:5] == 0).all()
    assert (cut[5:] == 255).all()


def test_rows_come_in_the_order_asked(tmp_path: Path) -> None:
    for i in range(6):
        write_image(tmp_path / "a" / f"{i}.png", colour=(i, 0, 0))
    [patches] = open_patches(tmp_path)
    batches = list(patches.batches(batch_size=4, rows=[5, 0, 3, 2, 1]))
    assert [b.rows.tolist() for b in batches] == [[5, 0, 3, 2], [1]]
    assert np.concatenate([b.pixels[:, 0, 0, 0] for b in batches]).tolist() == [5, 0, 3, 2, 1]


def test_fingerprint_tells_content_not_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_image(tmp_path / name / "a" / "x.png")
    one, two = (open_patches(tmp_path / n)[0].attributes["fingerprint"] for n in ("one", "two"))
    assert one == two
    write_image(tmp_path / "two" / "a" / "x.png", colour=(1, 2, 3))
    assert open_patches(tmp_path / "two")[0].attributes["fingerprint"] != one


def test_grid_reads_straight_from_the_slide(grid_file: Path) -> None:
    [patches] = open_patches(grid_file.parent)
    assert (patches.name, patches.patch_px, patches.mpp) == ("s1", 64, 1.0)
    assert len(patches) == 5 * 4
    assert set(patches.slide_ids) == {"s1"}
    assert set(patches.patient_ids) == {"p1"}
    assert patches.labels[:4].tolist() == [-1, 0, 1, -1]
    batches = list(patches.batches(batch_size=8))
    assert np.concatenate([b.rows for b in batches]).tolist() == list(range(20))
    np.testing.assert_array_equal(batches[0].pixels[3], patches.patch(3))
    assert next(iter(patches.batches(size_px=32))).pixels.shape == (20, 32, 32, 3)
    datasets, attributes = patches.carried()
    assert set(datasets) == {"coords", "cell", "labels"}
    assert attributes["labels.class_names"] == ["n", "t"]
    assert "recipe" not in attributes
    assert patches.describe()["recipe"] == {"stage": "tile"}


def test_a_pickled_grid_opens_again(grid_file: Path) -> None:
    [patches] = open_patches(grid_file)
    pixels = patches.patch(0)
    again = pickle.loads(pickle.dumps(patches))  # noqa: S301 - our own
    np.testing.assert_array_equal(again.patch(0), pixels)


def test_a_moved_slide_needs_its_new_path(grid_file: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "s1.tiff"
    moved.parent.mkdir()
    (tmp_path / "s1.tiff").rename(moved)
    [patches] = open_patches(grid_file)
    with pytest.raises(PatchesError, match=r"s1\.tiff is not there.*--slides"):
        patches.patch(0)
    [patches] = open_patches(grid_file, slides=moved.parent)
    assert patches.patch(0).shape == (64, 64, 3)


def test_features_of_images_lead_back_to_the_images(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a" / "x.png")
    [patches] = open_patches(tmp_path / "images")
    datasets, attributes = patches.carried()
    store.write(tmp_path / "images.h5", datasets, attributes)
    [again] = open_patches(tmp_path / "images.h5")
    assert again.paths == ["a/x.png"]
    assert again.class_names == ("a",)
    np.testing.assert_array_equal(again.patch(0), patches.patch(0))


def test_images_outside_of_a_csvs_folder_are_found_again_and_no_strangers_are(
    tmp_path: Path,
) -> None:
    write_image(tmp_path / "images" / "x.png")
    write_image(tmp_path / "private.png")
    table = tmp_path / "lists" / "mine.csv"
    table.parent.mkdir()
    table.write_text(f"path\n../images/x.png\n{tmp_path}/images/x.png\n")
    [patches] = open_patches(table)
    datasets, attributes = patches.carried()
    store.write(tmp_path / "mine.h5", datasets, attributes)
    [again] = open_patches(tmp_path / "mine.h5")
    for row in range(2):
        np.testing.assert_array_equal(again.patch(row), patches.patch(row))
    for way in ("../private.png", f"{tmp_path}/private.png"):
        named = datasets | {"paths": [way, "../images/x.png"]}
        store.write(tmp_path / "theirs.h5", named, attributes)
        [theirs] = open_patches(tmp_path / "theirs.h5")
        with pytest.raises(PatchesError, match=r"theirs\.h5 .*are others"):
            theirs.patch(0)


def test_images_take_their_scale_from_who_knows_it(grid_file: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "set" / "a" / "x.png")
    [known], [unknown] = open_patches(tmp_path / "set", mpp=0.5), open_patches(tmp_path / "set")
    assert (known.mpp, unknown.mpp) == (0.5, None)
    assert known.describe() == {**unknown.describe(), "mpp": 0.5}
    with pytest.raises(UsageError, match=r"--mpp 0\.5 is of image files, and .* holds grids"):
        open_patches(grid_file.parent, mpp=0.5)


def test_what_cannot_be_patches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PatchesError, match="no such file or folder"):
        open_patches(tmp_path / "nowhere")
    (tmp_path / "set" / "empty").mkdir(parents=True)
    write_image(tmp_path / "set" / "a" / "x.png")
    with pytest.raises(PatchesError, match="empty: no images"):
        open_patches(tmp_path / "set")
    (tmp_path / "set" / "empty").rmdir()
    write_image(tmp_path / "set" / "y.png")
    with pytest.raises(PatchesError, match="both in the folder itself and in folders below"):
        open_patches(tmp_path / "set")
    (tmp_path / "set" / "y.png").unlink()
    with pytest.raises(PatchesError, match=r"does not match a/x\.png"):
        open_patches(tmp_path / "set", patient_pattern=r"^(\d+)_")
    with pytest.raises(UsageError, match="patient_pattern"):
        open_patches(tmp_path / "set", patient_pattern="(")
    table = tmp_path / "t.csv"
    table.write_text("file,label\nx.png,a\n")
    with pytest.raises(PatchesError, match="no rows with a `path` column"):
        open_patches(table)
    table.write_text("path,label\nset/a/x.png,a\nset/a/gone.png,a\n")
    with pytest.raises(PatchesError, match=r"1 of 2 files do not exist, first 'set/a/gone\.png'"):
        open_patches(table)
    store.write(tmp_path / "s.h5", {"scores": np.zeros((2, 2))}, {"slide_id": "s"})
    with pytest.raises(PatchesError, match="neither coords nor paths"):
        len(open_patches(tmp_path / "s.h5")[0])


def test_a_zip_is_refused_before_any_slide_is_blamed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr("a/1.png", b"")
    with pytest.raises(StoreError, match=r"a zip archive.*Unzip it"):
        open_patches(tmp_path / "images.zip")


def test_patches_need_no_torch() -> None:
    code = "import sys, histocnn.patches.patches; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_another_slide_in_its_place_is_refused(grid_file: Path, tmp_path: Path) -> None:
    write_pyramid(tmp_path / "s1.tiff", position_image(640, 480))
    [patches] = open_patches(grid_file)
    with pytest.raises(PatchesError, match="fingerprint differs"):
        patches.patch(0)


def test_a_file_is_of_the_slide_that_it_names(tmp_path: Path, grid_file: Path) -> None:
    renamed = grid_file.with_name("s1_patches.h5")
    grid_file.rename(renamed)
    moved = tmp_path / "elsewhere" / "s1.tiff"
    moved.parent.mkdir()
    (tmp_path / "s1.tiff").rename(moved)
    [patches] = open_patches(renamed.parent, slides=moved.parent)
    assert patches.name == patches.slide_id == "s1"
    assert set(patches.slide_ids) == {"s1"}
    assert patches.patch(0).shape == (64, 64, 3)
    again = pickle.loads(pickle.dumps(patches))  # noqa: S301 - our own
    assert again.name == "s1"
    assert again.patch(0).shape == (64, 64, 3)


def test_a_file_that_cannot_be_opened_goes_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "s9.h5").write_bytes(b"no HDF5")
    [patches] = open_patches(tmp_path)
    assert patches.slide_id == "s9"


@pytest.mark.parametrize("named", ["", ".", "..", "a/b", "..\\b", "/etc/passwd", "a\0b"])
def test_a_name_that_leads_into_another_folder_is_not_believed(named: str) -> None:
    assert id_of({"slide_id": named}, Path("grids/s1.h5")) == "s1"


def test_what_was_begun_is_handed_out_once_and_only_as_it_was_begun(tmp_path: Path) -> None:
    patches = FilePatches(write_grid(tmp_path))
    expected = np.concatenate([batch.pixels for batch in patches.batches(8, 1)])
    for batch_size in (5, 7):
        patches.begin(5, 2)
        patches.begin(5, 2)  # it has been
        found = [batch.pixels for batch in patches.batches(batch_size, 2)]
        assert {len(pixels) for pixels in found[:-1]} == {batch_size}
        np.testing.assert_array_equal(np.concatenate(found), expected)
    patches.begin(5, 2)
    [some] = patches.batches(5, 2, rows=[3, 1])
    np.testing.assert_array_equal(some.pixels, expected[[3, 1]])
    patches.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("tiles")]


def test_who_asked_is_told_when_the_last_batch_is_handed_out(tmp_path: Path) -> None:
    patches, told = FilePatches(write_grid(tmp_path)), []
    patches.when_read(lambda: told.append("read"))
    assert list(patches.batches(8, 1, rows=[0, 1]))  # some are not all
    assert told == []
    left = len(patches)
    for batch in patches.batches(8, 1):
        left -= len(batch.rows)
        assert told == ["read"] * (left == 0)
    assert told == ["read"]


def test_a_name_is_read_alone(tmp_path: Path) -> None:
    file = write_grid(tmp_path, "case7").rename(tmp_path / "other.h5")
    with h5py.File(file, "r+") as stored:
        stored.attrs["histocnn_patch_px"] = "many"
    patches = FilePatches(file)
    assert patches.name == "case7"  # of a thousand files that is all that is asked at first
    with pytest.raises(StoreError, match="its patch_px is 'many'"):
        len(patches)
