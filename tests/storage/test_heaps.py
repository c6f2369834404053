"""A damaged text costs neither memory nor time: what HDF5 would do with it is not asked for."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from histocnn.errors import StoreError
from histocnn.storage import store
from histocnn.storage.heaps import check_attributes, check_dataset, unpacked
from tests.memory import grown_mb

GIGABYTES = 3 << 30
TEXTS = ["first", "second", "ü"]
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "chunks": {"chunks": (2,)},
}


def file_of(path: Path, libver: str = "earliest", userblock: int = 0, **form: Any) -> Path:
    """Texts in a dataset, in attributes of the root and of a dataset: one, and in rows."""
    with h5py.File(path, "w", libver=libver, userblock_size=userblock) as file:
        file.create_dataset("paths", data=TEXTS, dtype=h5py.string_dtype(), **form)
        file.attrs["histocnn_slide_id"] = "case"
        file["paths"].attrs["class_names"] = ["normal", "tumour"]
    return path


ZIPS: dict[str, dict[str, Any]] = {
    "gzip": {"chunks": (2,), "compression": "gzip"},
    "shuffled": {"chunks": (2,), "compression": "gzip", "shuffle": True},
}


def damage(path: Path, text: bytes, change: Callable[[int, int, int], tuple[int, int, int]]) -> int:
    """Change length, heap and number wherever they stand for this text; returns how often."""
    content = path.read_bytes()
    with h5py.File(path) as file:
        base = file.userblock_size
    heap = content.index(b"GCOL")
    place, found = heap + 16, {}
    while (entry := struct.unpack_from("<HxxxxxxQ", content, place))[0]:
        number, length = entry
        found[content[place + 16 : place + 16 + length]] = number
        place += 16 + (length + 7) // 8 * 8
    stored = (len(text), heap - base, found[text])
    before, after = (struct.pack("<IQI", *it) for it in (stored, change(*stored)))
    path.write_bytes(content.replace(before, after))
    return content.count(before)


@pytest.mark.parametrize("userblock", [0, 512])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("form", [*FORMS, *ZIPS])
def test_sound_texts_are_read(tmp_path: Path, form: str, libver: str, userblock: int) -> None:
    path = file_of(tmp_path / "a.h5", libver, userblock, **(FORMS | ZIPS)[form])
    with h5py.File(path) as file:
        check_dataset(file["paths"])
        check_attributes(file["paths"], ["class_names"])
    assert store.read(path)["paths"] == TEXTS
    said = store.attributes(path)
    assert said == {"slide_id": "case", "paths.class_names": ["normal", "tumour"]}


@pytest.mark.parametrize("text", [b"second", b"case", b"tumour"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "change",
    [
        lambda length, heap, number: (GIGABYTES, heap, number),
        lambda length, heap, number: (GIGABYTES, heap + 8, number),
        lambda length, heap, number: (GIGABYTES, 2**63, number),
    ],
    ids=["length", "and no heap there", "and outside"],
)
def test_a_length_that_is_not_there_takes_no_memory(
    tmp_path: Path, text: bytes, form: str, change: Callable[[int, int, int], tuple[int, int, int]]
) -> None:
    path = file_of(tmp_path / "a.h5", **FORMS[form])
    assert damage(path, text, change) == 1

    def read() -> None:
        for reader in (store.read, store.attributes):
            try:
                reader(path)
            except StoreError as error:
                refused.append(str(error))

    refused: list[str] = []
    assert grown_mb(read) < 50
    assert len(refused) == 1
    assert "a.h5: not a whole HDF5 file (" in refused[0]
    assert "\n" not in refused[0]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_heap_that_would_be_read_for_ever_is_refused(tmp_path: Path, libver: str) -> None:
    path = file_of(tmp_path / "a.h5", libver)
    content = path.read_bytes()
    heap = content.index(b"GCOL")
    path.write_bytes(content[: heap + 16] + bytes(16) + content[heap + 32 :])
    start = time.process_time()
    for reader in (store.read, store.attributes):
        with pytest.raises(StoreError, match=r"a\.h5: .*damaged heap"):
            reader(path)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("form", ZIPS)
def test_zipped_texts_are_looked_at_too(tmp_path: Path, form: str) -> None:
    """A length made up before it is packed: the chunk written as HDF5 would write it."""
    path = file_of(tmp_path / "a.h5", **ZIPS[form])
    with h5py.File(path, "r+") as file:
        texts = file["paths"].id
        _, packed = texts.read_direct_chunk((0,))
        rows = bytearray(unpacked(packed, [h5py.h5z.FILTER_DEFLATE], 32))
        assert struct.unpack_from("<I", rows, 16)[0] == len("second")
        struct.pack_into("<I", rows, 16, GIGABYTES)
        texts.write_direct_chunk((0,), bytes(rows), filter_mask=3)  # unpacked

    def read() -> None:
        with pytest.raises(StoreError, match="a text of 3,221,225,472 bytes in a heap of 4,096"):
            store.read(path)

    assert grown_mb(read) < 50


@pytest.mark.parametrize(
    ("packed", "filters", "said"),
    [
        (b"no zip", [h5py.h5z.FILTER_DEFLATE], "damaged zip"),
        (zlib.compress(bytes(8)), [h5py.h5z.FILTER_DEFLATE], "cut"),
        (bytes(32), [h5py.h5z.FILTER_LZF], "packed by filter 32000"),
    ],
)
def test_what_does_not_unpack_is_said(packed: bytes, filters: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        unpacked(packed, filters, 32)


def test_no_more_than_a_chunk_is_unpacked() -> None:
    bomb = zlib.compress(bytes(1 << 28))
    assert grown_mb(lambda: unpacked(bomb, [h5py.h5z.FILTER_DEFLATE], 32)) < 50


def test_a_text_among_attributes_that_cannot_be_looked_at_is_not_read(tmp_path: Path) -> None:
    """Over eight attributes of one object in HDF5's newer form lie in a heap of their own."""
    path = file_of(tmp_path / "a.h5", "latest")
    with h5py.File(path, "r+", libver="latest") as file:
        for i in range(8):
            file.attrs[f"histocnn_number_{i}"] = i
    with pytest.raises(StoreError, match="the text histocnn_slide_id in a heap of attributes"):
        store.attributes(path)


def test_heaps_that_overlap_are_refused(tmp_path: Path) -> None:
    """Each of many texts in a heap of its own, all of them the same bytes."""
    path = file_of(tmp_path / "a.h5")
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    (size,) = struct.unpack_from("<Q", content, heap + 8)
    for number in range(3):  # a head each 16 bytes, whose first text reaches to the end
        start = heap + 32 * number
        rest = size - 32 * number
        struct.pack_into("<4sBxxxQHxxxxxxQ", content, start, b"GCOL", 1, rest, 1, rest - 32)
    with h5py.File(path) as file:
        place = file["paths"].id.get_offset()
    for number in range(3):
        struct.pack_into("<IQI", content, place + 16 * number, 1, heap + 32 * number, 1)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="overlap"):
        store.read(path)


def test_what_others_say_of_coords_is_looked_at_too(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["coords"] = [[0, 0]]
        file["coords"].attrs["name"] = "case"
    assert store.attributes(path)["slide_id"] == "case"
    assert damage(path, b"case", lambda length, heap, number: (GIGABYTES, heap, number)) == 1
    with pytest.raises(StoreError, match="a text of 3,221,225,472 bytes in a heap of 4,096"):
        store.attributes(path)
