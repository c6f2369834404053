"""The files between stages: schema, recipes, streaming, full disks, and other tools' files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histocnn.errors import StoreError
from histocnn.storage import store
from tests.memory import PEAK_KIB

GRID: dict[str, Any] = {
    "slide_id": "s1",
    "patient_id": "p1",
    "slide_path": "/slides/s1.svs",
    "fingerprint": "12:ab",
    "size_l0": (1000, 2000),
    "bounds_l0": None,
    "slide_mpp": (0.2527, 0.2527),
    "patch_px": 224,
    "mpp": 0.5,
    "stride_px": 200,
    "recipe": {"patch_px": 224, "mpp": 0.5, "tissue": {"min": [0.5, None]}, "roi": "[a]"},
    "labels.class_names": ["normal", "tumour µ"],
}
BARE = {name: value for name, value in GRID.items() if name != "labels.class_names"}
COORDS = np.array([[0, 0], [443, 0], [0, 443]])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s1.h5"
    datasets = {
        "coords": COORDS,
        "labels": np.array([0, 1, -1]),
        "tissue_fraction": np.array([0.5, 1, 0.75], np.float32),
        "paths": ["a.png", "ü b.png", ""],
        "empty": np.zeros((0, 2), np.float16),
        "no_paths": [],
    }
    store.write(path, datasets, GRID)
    read = store.read(path)
    assert set(read) == set(datasets)
    for name, values in datasets.items():
        if isinstance(values, list):
            assert read[name] == values
        else:
            assert read[name].dtype == values.dtype
            np.testing.assert_array_equal(read[name], values)
    assert list(store.read(path, "labels")) == ["labels"]
    assert store.attributes(path) == {k: v for k, v in GRID.items() if v is not None}
    assert names(tmp_path) == ["s1.h5"]


def test_a_recipe_may_be_long_but_a_list_in_an_attribute_may_not(tmp_path: Path) -> None:
    recipe = {"seen": [f"patient {i}" for i in range(20_000)]}
    store.write(tmp_path / "a.h5", {}, {"recipe": recipe})
    assert store.differences(tmp_path / "a.h5", recipe) == []
    classes = [f"class {i}" for i in range(20_000)]
    with pytest.raises(StoreError, match=r"class_names is over 64 kB. Store it as a dataset"):
        store.write(tmp_path / "b.h5", {"labels": COORDS}, {"labels.class_names": classes})
    assert names(tmp_path) == ["a.h5"]


def test_differences_name_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "s1.h5"
    assert store.differences(path, {}) is None
    store.write(path, {}, {"recipe": {"mpp": 0.5, "size": (1, 2), "old": 1, "nan": float("nan")}})
    today = {"mpp": np.float64(0.5), "size": [1, 2], "old": 1, "nan": float("nan")}
    assert store.differences(path, today) == []
    today["mpp"] = 1.0
    today["new"] = None
    del today["old"]
    assert store.differences(path, today) == ["mpp", "new", "old"]
    path.write_bytes(path.read_bytes()[:500])
    assert store.differences(path, today) is None


def test_a_whole_file_without_a_recipe_is_not_done(tmp_path: Path) -> None:
    store.write(tmp_path / "a.h5", {}, {"slide_id": "a"})
    assert store.differences(tmp_path / "a.h5", {"mpp": 1}) == ["mpp"]


@pytest.mark.parametrize("content", [b"", b"no HDF5", None])
def test_a_broken_file_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.h5"
    store.write(path, {"coords": COORDS}, BARE)
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    said = r"a.h5: not an? (whole )?HDF5 file"
    with pytest.raises(StoreError, match=said) as caught:
        store.read(path)
    assert "\n" not in str(caught.value)
    assert "elete" not in str(caught.value)  # it may be somebody's only copy of something else


def test_missing_file_and_dataset_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such file"):
        store.attributes(tmp_path / "a.h5")
    store.write(tmp_path / "a.h5", {"coords": COORDS}, BARE)
    with pytest.raises(StoreError, match="has no features, scores, only coords"):
        store.read(tmp_path / "a.h5", "features", "coords", "scores")


@pytest.mark.parametrize("path", ["/proc/histocnn/a.h5", "file/a.h5"])
def test_a_read_only_folder_is_one_line(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(StoreError, match="cannot be written"):
        store.write(path, {"coords": COORDS}, BARE)
    with pytest.raises(StoreError, match="cannot be written"), _writer(Path(path), 3):
        pass
    assert names(tmp_path) == ["file"]


def _writer(path: Path, rows: int) -> store.Writer:
    datasets = {
        "scores": ((2,), np.float32, np.nan),
        "neighbours": ((2, 2), np.int32, -1),
        "novelty": ((), np.float16, np.nan),
    }
    return store.Writer(path, rows, datasets, GRID, copy={"labels": np.arange(rows)})


def test_rows_that_never_come_keep_their_filler(tmp_path: Path) -> None:
    with _writer(tmp_path / "a.h5", 4) as writer:
        block = np.ones((2, 2), np.float32)
        writer.put([3, 1], {"scores": block, "neighbours": np.arange(8).reshape(2, 2, 2)})
        block[:] = 7  # the caller's buffer is its own again
        writer.put([1], {"scores": [[2, 3]], "novelty": [0.5]})
        assert not (tmp_path / "a.h5").exists()
    read = store.read(tmp_path / "a.h5")
    nan = np.nan
    np.testing.assert_array_equal(read["scores"], [[nan, nan], [2, 3], [nan, nan], [1, 1]])
    np.testing.assert_array_equal(read["novelty"], np.array([nan, 0.5, nan, nan], np.float16))
    np.testing.assert_array_equal(
        read["neighbours"].reshape(4, 4), [[-1] * 4, [4, 5, 6, 7], [-1] * 4, [0, 1, 2, 3]]
    )
    np.testing.assert_array_equal(read["labels"], np.arange(4))
    assert store.attributes(tmp_path / "a.h5")["recipe"] == GRID["recipe"]
    assert 0 <= writer.seconds_waited < 60


@given(st.permutations(range(40)), st.integers(1, 17))
def test_any_order_and_block_size_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], block: int
) -> None:
    path = tmp_path_factory.mktemp("order") / "a.h5"
    values = np.arange(80, dtype=np.float32).reshape(40, 2)
    with store.Writer(path, 40, {"scores": ((2,), "f4", np.nan)}, BARE) as writer:
        for start in range(0, 40, block):
            rows = order[start : start + block]
            writer.put(rows, {"scores": values[rows]})
    np.testing.assert_array_equal(store.read(path)["scores"], values)


def test_a_file_without_rows_is_a_file(tmp_path: Path) -> None:
    with _writer(tmp_path / "a.h5", 0) as writer:
        writer.put([], {"scores": np.zeros((0, 2))})
    assert store.read(tmp_path / "a.h5")["scores"].shape == (0, 2)


def test_rows_and_shapes_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexError), _writer(tmp_path / "a.h5", 3) as writer:
        writer.put([3], {"scores": [[1, 2]]})
    with pytest.raises(ValueError, match="scores"), _writer(tmp_path / "a.h5", 3) as writer:
        writer.put([0, 1], {"scores": [[1, 2]]})  # HDF5 would have broadcast it
    assert names(tmp_path) == []


def test_an_exception_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), _writer(tmp_path / "a.h5", 10_000) as writer:  # noqa: PT012
        writer.put(np.arange(1000), {"scores": np.zeros((1000, 2))})
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_disk_too_small_is_said_before_the_work(tmp_path: Path) -> None:
    column = {"features": ((1000,), "f4", np.nan)}
    with (
        pytest.raises(StoreError, match=r"needs 4,000,000,000 MB and the disk has"),
        store.Writer(tmp_path / "a.h5", 10**12, column, BARE),
    ):
        pass
    assert names(tmp_path) == []


FULL_DISK = """
import os, resource, sys
import numpy as np
from histocnn.storage import store
from histocnn.errors import StoreError
limit, how = int(sys.argv[1]), sys.argv[2]
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    if how == "write":
        store.write("a.h5", {"x": np.zeros(500_000), "s": ["text"] * 1000}, {"recipe": {"a": 1}})
    else:
        with store.Writer("a.h5", 500_000, {"x": ((), "f8", np.nan)}, {"recipe": {"a": 1}}) as w:
            for i in range(0, 500_000, 1000):
                w.put(np.arange(i, i + 1000), {"x": np.zeros(1000)})
except StoreError as error:
    print(error)
print(os.listdir("."))
"""


@pytest.mark.parametrize("how", ["write", "stream"])
@pytest.mark.parametrize("limit", [0, 3_000, 2_500_000])
def test_a_full_disk_is_one_line_and_no_crash(tmp_path: Path, limit: int, how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(limit), how],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    said = "a.h5: is larger than a file may be here (File too large). "
    said += "Raise the limit (ulimit -f), or set --out to another disk."
    assert (done.returncode, done.stderr) == (0, "")  # HDF5 alone dies of a segmentation fault
    assert done.stdout.splitlines() == [said, "[]"]


MEMORY = f"""
import sys
import numpy as np
from histocnn.storage import store
rows = int(sys.argv[1])
with store.Writer("a.h5", rows, {{"x": ((1024,), "f2", np.nan)}}, {{}}) as w:
    for i in range(0, rows, 64):
        w.put(np.arange(i, i + 64), {{"x": np.ones((64, 1024), "f2")}})
print({PEAK_KIB} / 1024)
"""


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    def peak_mib(rows: int) -> float:
        command = [sys.executable, "-c", MEMORY, str(rows)]
        return float(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout)

    assert peak_mib(128_000) - peak_mib(6_400) < 40  # MiB; the rows between are 237 MiB
