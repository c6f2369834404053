"""What an HDF5 file stores of an object's attributes, byte for byte: its object header.

HDF5 gives the bytes of datasets, but no attribute as it is stored, and a text must be looked at
before HDF5 follows it. Source: HDF5 File Format Specification 3.0, IV.A.1 (object headers),
IV.A.2.m (attributes), IV.A.2.q (continuations).
"""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

ATTRIBUTE, CONTINUED = 0x0C, 0x10


class Raw:
    """The bytes of a file.

    Args:
        path: The file.
        base: Where HDF5 begins in it: from there its places count.

    Attributes:
        size: How many there are.
    """

    def __init__(self, path: Path, base: int = 0) -> None:
        self._file = path.open("rb", buffering=0)
        self.base = base
        self.size = os.fstat(self._file.fileno()).st_size - base

    def __enter__(self) -> Raw:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._file.close()

    def read(self, start: int, length: int) -> bytes:
        """So many bytes from there.

        Raises:
            ValueError: They do not lie in the file.
        """
        if not 0 <= start <= start + length <= self.size:
            raise ValueError("a place outside the file")
        content = os.pread(self._file.fileno(), length, self.base + start)
        if len(content) < length:
            raise ValueError("cut while it was read")
        return content


def attributes(raw: Raw, address: int) -> Mapping[str, list[bytes]]:
    """The stored values of the attributes in an object's header, by name.

    A value is all that follows its description, padding too. Not there: attributes in a heap of
    their own, where a file in HDF5's newer form keeps more than eight, and shared ones.

    Args:
        raw: The file.
        address: Where the object's header begins.

    Raises:
        ValueError: The header is none, or leads out of the file.
    """
    found: defaultdict[str, list[bytes]] = defaultdict(list)
    try:
        for kind, message in _messages(raw, address):
            if kind == ATTRIBUTE:
                name, value = _attribute(message)
                found[name].append(value)
    except struct.error as error:
        raise ValueError("an object header that ends too early") from error
    return found


def _messages(raw: Raw, address: int) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each message of a header, in all of its blocks."""
    newer = raw.read(address, 4) == b"OHDR"
    blocks = [_first_of_newer(raw, address) if newer else _first_of_older(raw, address)]
    read = 0
    while blocks:
        start, length, ordered = blocks.pop()
        read += length
        if read > raw.size:  # blocks that lead to each other
            raise ValueError("an object header longer than the file")
        for kind, message in _of_block(raw.read(start, length), newer, ordered):
            if kind == CONTINUED:
                start, length = struct.unpack_from("<QQ", message)
                # a newer block lies between the word OCHK and a checksum
                blocks.append((start + 4, max(0, length - 8), ordered) if newer
                              else (start, length, ordered))  # fmt: skip
            yield kind, message


def _first_of_older(raw: Raw, address: int) -> tuple[int, int, bool]:
    (length,) = struct.unpack("<I", raw.read(address + 8, 4))
    return address + 16, length, False


def _first_of_newer(raw: Raw, address: int) -> tuple[int, int, bool]:
    flags = raw.read(address + 5, 1)[0]
    place = address + 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
    width = 1 << (flags & 3)
    return place + width, int.from_bytes(raw.read(place, width), "little"), bool(flags & 4)


def _of_block(block: bytes, newer: bool, ordered: bool) -> Iterator[tuple[int, bytes]]:
    head = (6 if ordered else 4) if newer else 8
    place = 0
    while place + head <= len(block):
        kind, length = struct.unpack_from("<BH" if newer else "<HH", block, place)
        yield kind, block[place + head : place + head + length]
        place += head + length


def _attribute(message: bytes) -> tuple[str, bytes]:
    """Name and stored value of an attribute; texts before version 2 fill eights."""
    version, _, name, kind, space = struct.unpack_from("<BBHHH", message)
    start = 9 if version >= 3 else 8
    fill = 8 if version == 1 else 1
    value = start + sum(-(-length // fill) * fill for length in (name, kind, space))
    return message[start : start + name].split(b"\0")[0].decode("utf-8", "replace"), message[value:]
