"""Damage to a JPEG tile that its decoder passes over in silence, because JPEG has no checksum.

The bits of a scan say where the next code begins: once some are wrong, blocks are lost or won, and
the decoder runs out of bytes before its picture is whole (and paints the rest mid-grey), or ends
its picture before its bytes end. Both are seen by decoding twice more, with other bytes at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from histocnn.slides.geometry import Pixels

END = b"\xff\xd9"
MORE = b"\x55" * 8
LAST = 2  # bytes, of which the last may hold a single bit of the picture
ZEROS = 32  # in a row; 6 is the longest run in the sound scans that were measured
MID_GREY = 128  # what libjpeg paints where it has no more bytes
BLOCK_PX = 8
_HUFFMAN, _SCAN, _LUMINANCE = 0xC4, 0xDA, 0x10  # the last names its AC table


def ends_grey(pixels: Pixels) -> bool:
    """Whether the last block of a tile, but not all of it, is what libjpeg paints without bytes.

    Args:
        pixels: uint8 [H, W, 3], as far as they lie on the slide.

    >>> tile = np.full((64, 64, 3), 240, np.uint8)
    >>> tile[48:, 32:] = 128
    >>> ends_grey(tile), ends_grey(tile[:48]), ends_grey(np.full_like(tile, 128))
    (True, False, False)
    """
    last = pixels[-BLOCK_PX:, -BLOCK_PX:]
    return bool((last == MID_GREY).all() and (pixels != MID_GREY).any())


def is_damaged(
    data: bytes, tables: bytes | None, pixels: Pixels, decode: Callable[[bytes], Pixels]
) -> bool:
    """Whether a tile's bytes are not those that its encoder wrote.

    Args:
        data: The tile.
        tables: Its tables, where they lie apart.
        pixels: As decoded from `data`.
        decode: Decodes other bytes in its place; may raise anything.
    """
    if (pixels == pixels[-1, -1]).all():  # tables of one flat tile may take any bits for nothing
        return False
    end = data.rfind(END)
    body = data[: end if end >= 0 else len(data)]
    if bytes(ZEROS) in body[_scan_begins(data) :] and not _zeros_end_blocks(tables, data):
        return True
    if not _gives(decode, body + MORE + END, pixels):
        return True
    flipped = bytes(byte ^ 0xFF for byte in body[-LAST:]).replace(b"\xff", b"\x55")
    others = (flipped, b"\x55" * LAST, b"\xaa" * LAST, bytes(LAST))
    return all(_gives(decode, body[:-LAST] + other + MORE + END, pixels) for other in others)


def _gives(decode: Callable[[bytes], Pixels], data: bytes, pixels: Pixels) -> bool:
    try:
        return np.array_equal(decode(data), pixels)
    except Exception:  # what follows the picture does not matter to a decoder that has ended
        return False


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Marker, content and end of each segment before the scan's bytes."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at + 1], data[at + 4 : end], end
        if data[at + 1] == _SCAN:
            return
        at = end


def _scan_begins(data: bytes) -> int:
    return max((end for marker, _, end in _segments(data) if marker == _SCAN), default=len(data))


def _zeros_end_blocks(tables: bytes | None, data: bytes) -> bool:
    """Whether zeros say "block ends": blank glass is a row of zeros then, else zeros are noise."""
    first = 0
    for part in (tables or b"", data):
        for marker, content, _ in _segments(part):
            while marker == _HUFFMAN and len(content) > 17:
                symbols = content[17 : 17 + sum(content[1:17])]
                if content[0] == _LUMINANCE:
                    first = symbols[0]
                content = content[17 + len(symbols) :]
    return first == 0
