"""Arrays come back when nobody holds them, never before, and few are kept."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.slides.buffers import Buffers


def place(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def test_what_is_held_is_not_handed_out() -> None:
    buffers = Buffers()
    first = buffers.array((4, 5, 3))
    view, where = first[2, 1:], place(first)
    first[:] = 7
    del first
    other = buffers.array((4, 5, 3))
    assert place(other) != where
    other[:] = 9
    assert (view == 7).all()
    del view
    assert place(buffers.array((4, 5, 3))) == where
    assert buffers.array((4, 5, 2)).shape == (4, 5, 2)


def test_a_tensor_holds_its_array() -> None:
    torch = pytest.importorskip("torch")
    buffers = Buffers()
    tensor = torch.from_numpy(buffers.array((8,)))
    assert buffers.array((8,)).ctypes.data != tensor.data_ptr()


def test_no_more_is_kept_than_allowed_and_another_shape_takes_the_place() -> None:
    buffers = Buffers(kept_bytes=140)
    held = [buffers.array((40,)) for _ in range(4)]
    assert buffers._bytes() == 2 * (40 + 16)  # 16 to begin within
    del held
    assert buffers._bytes() == 2 * (40 + 16)
    buffers.array((90,))
    assert buffers._bytes() == 90 + 16
    buffers.array((200,))
    assert buffers._bytes() <= 140


def test_a_forgotten_array_is_its_holder_s_alone() -> None:
    buffers = Buffers()
    kept = buffers.array((6,))
    buffers.forget()
    assert buffers.array((6,)) is not kept


def test_libjpeg_turbo_writes_to_the_caches() -> None:
    """It writes past them what begins at a multiple of 32 bytes (AVX2) or of 16 (SSE2)."""
    buffers = Buffers()
    held = [buffers.array(shape) for shape in ((2, 3), (7,), (256, 256, 3), (64, 224, 224, 3))]
    assert [place(array) % 16 for array in held] == [8] * 4
