"""Texts of no fixed length in HDF5 files, looked at before HDF5 reads them.

Such a text is stored as its length, the place of a heap and a number in it. HDF5 takes as much
memory as the length says, up to 4 GB, before it looks whether the text is there; and in a heap with
free space of no length it goes round for ever (2.0). Source: HDF5 File Format Specification 3.0,
III.E (global heaps).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from histocnn.storage.headers import Raw, attributes

STORED = np.dtype([("length", "<u4"), ("heap", "<u8"), ("number", "<u4")])  # a text
_HEAD = 16  # bytes before the first text of a heap, and before each text
_WIDTHS = (8, 8)  # bytes of a place and of a length; no tool of today sets others


def check_dataset(dataset: h5py.Dataset) -> None:
    """Refuse a dataset of texts that HDF5 could not read within the file's own size.

    Raises:
        ValueError: A text is longer than its heap, a heap is damaged, or the texts are packed by
            another filter than gzip.
    """
    with _bytes_of(dataset) as raw:
        heaps = _Heaps(raw)
        for rows in _stored(dataset, raw):
            heaps.check(rows[: len(rows) - len(rows) % STORED.itemsize])


def check_attributes(item: h5py.Group | h5py.Dataset, names: Sequence[str]) -> None:
    """Refuse attributes of texts that HDF5 could not read within the file's own size.

    Args:
        item: What they belong to.
        names: Those that are texts of no fixed length.

    Raises:
        ValueError: A text is longer than its heap, a heap or the object's header is damaged, or
            the text is not in that header.
    """
    with _bytes_of(item) as raw:
        heaps = _Heaps(raw)
        # Not h5o.get_info: it sizes the index of chunks, too, and dies of a damaged one (2.0).
        stored = attributes(raw, h5py.h5g.get_objinfo(item.id, b".").objno[0])
        for name in names:
            shape = h5py.h5a.open(item.id, name.encode()).shape
            length = math.prod(shape) * STORED.itemsize
            if name not in stored:  # over eight of them, in HDF5's newer form
                raise ValueError(f"the text {name} in a heap of attributes, which is not read")
            for value in stored[name]:
                heaps.check(value[: min(length, len(value) // STORED.itemsize * STORED.itemsize)])


def _stored(dataset: h5py.Dataset, raw: Raw) -> Iterator[bytes]:
    """The stored rows of a dataset, as they lie in the file or unpacked."""
    made = dataset.id.get_create_plist()
    layout = made.get_layout()
    if layout == h5py.h5d.CONTIGUOUS:
        if (place := dataset.id.get_offset()) is not None:
            yield raw.read(place - raw.base, dataset.id.get_storage_size())
    elif layout != h5py.h5d.CHUNKED:
        raise ValueError("texts in an object header")
    else:
        filters = [made.get_filter(i)[0] for i in range(made.get_nfilters())]
        length = math.prod(made.get_chunk()) * STORED.itemsize
        found: list[tuple[int, int, int]] = []
        dataset.id.chunk_iter(lambda it: found.append((it.byte_offset, it.size, it.filter_mask)))
        for place, size, skipped in found:
            packed = raw.read(place - raw.base, size)
            used = [code for i, code in enumerate(filters) if not skipped >> i & 1]
            yield unpacked(packed, used, length)


def unpacked(packed: bytes, filters: Sequence[int], length: int) -> bytes:
    """Undo a chunk's filters.

    Args:
        packed: The chunk as it is stored.
        filters: HDF5's numbers of the filters, in the order in which they were applied.
        length: Bytes of the chunk: never more are unpacked.

    Raises:
        ValueError: It is damaged, or packed by something else than gzip.
    """
    for code in filters:
        if code != h5py.h5z.FILTER_DEFLATE:  # HDF5 applies no shuffle and no sum to such texts
            raise ValueError(f"texts packed by filter {code}, not by gzip")
        try:
            packed = zlib.decompressobj().decompress(packed, length)
        except zlib.error as error:
            raise ValueError("texts of a damaged zip") from error
    if len(packed) < length:
        raise ValueError("texts that are cut")
    return packed[:length]


def _bytes_of(item: h5py.Group | h5py.Dataset) -> Raw:
    """The bytes of the file that an item lies in."""
    file = item.file
    if file.id.get_create_plist().get_sizes() != _WIDTHS:
        raise ValueError("places of another width than 8 bytes")
    return Raw(Path(file.filename), file.userblock_size)


class _Heaps:
    """The heaps of a file, each looked through once."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._bytes: dict[int, int] = {}

    def check(self, stored: bytes) -> None:
        texts = np.frombuffer(stored, STORED)
        texts = texts[texts["heap"] != 0]  # the others are empty
        places, of = np.unique(texts["heap"], return_inverse=True)
        longest = np.zeros(len(places), np.uint32)
        np.maximum.at(longest, of, texts["length"])
        for place, length in zip(places.tolist(), longest.tolist(), strict=True):
            if place not in self._bytes:
                self._bytes[place] = _heap_bytes(self._raw, place)
                if sum(self._bytes.values()) > self._raw.size:
                    raise ValueError("heaps of texts that overlap")
            if length > self._bytes[place]:
                raise ValueError(f"a text of {length:,} bytes in a heap of {self._bytes[place]:,}")


def _heap_bytes(raw: Raw, place: int) -> int:
    """The size of a heap in which HDF5 gets from each text to the next, and to the end."""
    sign, version, size = struct.unpack("<4sBxxxQ", raw.read(place, _HEAD))
    if sign != b"GCOL" or version != 1:
        raise ValueError("no heap where a text should be")
    heap = raw.read(place, size)
    at = _HEAD
    while at + _HEAD <= size:
        number, length = struct.unpack_from("<HxxxxxxQ", heap, at)
        step = length if number == 0 else _HEAD + (length + 7) // 8 * 8
        if not 0 < step <= size - at:
            raise ValueError("a damaged heap of texts")
        at += step
    return int(size)
