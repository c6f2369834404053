"""Files of other people: nothing of them lies elsewhere, nothing is larger than they can hold."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from histocnn.errors import HistocnnError, StoreError
from histocnn.reference.features import load
from histocnn.scores.scorefile import open_score_file
from histocnn.stages.evaluate import evaluate
from histocnn.stages.knn import knn
from histocnn.storage import contained, store
from histocnn.storage.hashing import sha256
from tests.feature_files import write_features

WORDS = "the machine's secret"


def plain(path: Path) -> Path:
    """A file that is a grid, features and scores at once."""
    store.write(
        path,
        {
            "coords": np.array([[0, 0], [10, 0]]),
            "features": np.eye(2, dtype=np.float32),
            "scores": np.eye(2, dtype=np.float32),
            "labels": np.array([0, 1]),
        },
        {"slide_id": "a", "labels.class_names": ["a", "b"], "scores.class_names": ["a", "b"]},
    )
    return path


def external_storage(file: h5py.File, secret: Path, other: Path) -> None:
    size = secret.stat().st_size
    file.create_dataset("secret", (1,), f"S{size}", external=[(str(secret), 0, size)])


def external_link(file: h5py.File, secret: Path, other: Path) -> None:
    file["secret"] = h5py.ExternalLink(str(other), "/coords")


def external_link_in_a_group(file: h5py.File, secret: Path, other: Path) -> None:
    file["deep/er/secret"] = h5py.ExternalLink(str(other), "/coords")


def soft_link_out_of_the_file(file: h5py.File, secret: Path, other: Path) -> None:
    file["there"] = h5py.ExternalLink(str(other), "/")
    file["secret"] = h5py.SoftLink("/there/coords")


def virtual_dataset(file: h5py.File, secret: Path, other: Path) -> None:
    layout = h5py.VirtualLayout(shape=(2, 2), dtype=np.int64)
    layout[:] = h5py.VirtualSource(str(other), "coords", shape=(2, 2))
    file.create_virtual_dataset("secret", layout)


def virtual_dataset_in_a_group(file: h5py.File, secret: Path, other: Path) -> None:
    virtual_dataset(file.create_group("group"), secret, other)


WAYS_OUT = [
    external_storage,
    external_link,
    external_link_in_a_group,
    soft_link_out_of_the_file,
    virtual_dataset,
    virtual_dataset_in_a_group,
]


@pytest.mark.parametrize("leads_out", WAYS_OUT)
@pytest.mark.parametrize(
    "reader",
    [store.read, store.attributes, lambda path: load([path]), open_score_file],
    ids=["arrays", "attributes", "features", "scores"],
)
def test_a_file_that_leads_out_of_itself_is_refused(
    tmp_path: Path,
    leads_out: Callable[[h5py.File, Path, Path], None],
    reader: Callable[[Path], Any],
) -> None:
    (tmp_path / "secret").write_text(WORDS)
    path, other = plain(tmp_path / "a.h5"), plain(tmp_path / "other.h5")
    reader(path)
    with h5py.File(path, "r+") as file:
        leads_out(file, tmp_path / "secret", other)
    with pytest.raises(StoreError, match=r"a\.h5: its .* lies? outside the file") as caught:
        reader(path)
    assert "\n" not in str(caught.value)
    assert store.differences(path, {}) is None


def test_links_within_the_file_are_read(tmp_path: Path) -> None:
    path = plain(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["group/coords"] = file["coords"]
        del file["coords"]
        file["coords"] = h5py.SoftLink("/group/coords")
        file["self"] = file["/"]
    assert store.read(path, "coords")["coords"].tolist() == [[0, 0], [10, 0]]


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.h5")
    for reader in (store.read, store.attributes, open_score_file, sha256):
        with pytest.raises(StoreError, match=r"a\.h5: .* it is no ordinary file"):
            reader(tmp_path / "a.h5")


@pytest.mark.parametrize("stored", ["chunks", "late", "zeros"])
def test_what_is_declared_and_not_there_takes_no_memory(tmp_path: Path, stored: str) -> None:
    path = plain(tmp_path / "a.h5")
    rows = 4 * 10**8
    with h5py.File(path, "r+") as file:
        del file["coords"]
        if stored == "chunks":
            file.create_dataset("coords", (rows, 2), np.int64, chunks=(1 << 16, 2))
        elif stored == "late":
            file.create_dataset("coords", (rows, 2), np.int64)
        else:  # 2 kB of a zipped chunk for each 2 MB
            coords = file.create_dataset(
                "coords", (5 << 20, 2), np.int64, chunks=(1 << 17, 2), compression=1
            )
            coords[:] = np.zeros((5 << 20, 2), np.int64)
    assert path.stat().st_size < 4e6
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(StoreError, match=r"a\.h5: its coords .*declare.* MB"):
        store.read(path, "coords")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_text_that_stands_for_many_rows_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["paths"] = np.array(["x" * 1_000_000, *["y"] * 9999], object)
    content = path.read_bytes()
    with h5py.File(path) as file:
        start, size = file["paths"].id.get_offset(), file["paths"].id.get_storage_size()
    first = content[start : start + 16]  # length and place of the long text
    path.write_bytes(content[:start] + first * (size // 16) + content[start + size :])
    with pytest.raises(StoreError, match=r"a\.h5: its paths hold more than .* MB"):
        store.read(path, "paths")


def test_many_unlike_texts_are_read(tmp_path: Path) -> None:
    texts = [f"{i} {'ü' * (i % 50)}" for i in range(30_000)]
    store.write(tmp_path / "a.h5", {"paths": texts}, {"slide_id": "a"})
    assert store.read(tmp_path / "a.h5")["paths"] == texts


def test_sparse_and_zipped_files_of_other_tools_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        labels = file.create_dataset("labels", (200_000,), np.int64, chunks=True, compression=9)
        labels[:] = -1
        file.create_dataset("features", (1000, 8), np.float32, chunks=True, fillvalue=np.nan)
    read = store.read(tmp_path / "a.h5")
    assert (read["labels"] == -1).all()
    assert np.isnan(read["features"]).all()


def test_more_links_than_any_tool_writes_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(contained.MOST_LINKS + 1):
            file[f"d{number}"] = h5py.SoftLink("/nothing")
    with pytest.raises(StoreError, match=r"more than 10,000"):
        store.read(tmp_path / "a.h5")


def test_no_reader_brings_passwd_into_scores_or_a_report(tmp_path: Path) -> None:
    """As it was found: /etc/passwd in the place of the image files' names."""
    passwd = Path("/etc/passwd").read_bytes()
    width = len(passwd) // 10
    for name in ("reference", "query"):
        (tmp_path / name).mkdir()
        write_features(tmp_path / name / f"{name}.h5", n=10, patients=("p1", "p2"))
    with h5py.File(tmp_path / "query" / "query.h5", "r+") as file:
        for dataset in ("paths", "patient_ids"):
            del file[dataset]
            place = [("/etc/passwd", 0, 10 * width)]
            file.create_dataset(dataset, (10,), f"S{width}", external=place)
    with pytest.raises(HistocnnError, match=r"query\.h5"):
        knn(tmp_path / "query", tmp_path / "query", tmp_path / "self")
    result = knn(tmp_path / "reference", tmp_path / "query", tmp_path / "scores", k=3)
    assert "outside the file" in result.failures["query"]
    assert result.exit_code == 1
    with pytest.raises(HistocnnError):
        evaluate(tmp_path / "scores", tmp_path / "report", show_ids=True)
    # a score file of the same making, straight into the report
    scores = tmp_path / "strange" / "query.h5"
    scores.parent.mkdir()
    shutil.copy(tmp_path / "query" / "query.h5", scores)
    with h5py.File(scores, "r+") as file:
        file["scores"] = np.tile(np.float32([0.5, 0.5]), (10, 1))
        file["scores"].attrs["class_names"] = ["a", "b"]
    with pytest.raises(StoreError, match="outside the file"):
        evaluate(scores.parent, tmp_path / "report", show_ids=True)
    secret = passwd[:20]
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert [str(p) for p in written if secret in p.read_bytes()] == []
