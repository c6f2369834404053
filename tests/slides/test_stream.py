"""The stream: in order, the pixels of `read`, each tile once, bounded memory."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import ResolutionError
from histocnn.slides import stream as stream_module
from histocnn.slides.geometry import Pixels
from histocnn.slides.slide import Slide
from histocnn.slides.stream import stream
from tests.memory import PEAK_KIB
from tests.slide_files import damage_tile, position_image, write_pyramid, write_sparse_pyramid

W, H = 2000, 1500


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stream") / "slide.tif"
    return write_pyramid(path, position_image(W, H), downsamples=(1, 2.5))


def grid(step: float) -> np.ndarray:
    """Row by row over the whole slide, the edges included."""
    xs, ys = np.arange(0, W, step), np.arange(0, H, step)
    return np.rint(np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)).astype(np.int64)


def count_decodes(slide: Slide, monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[int, int, int]]:
    decodes: Counter[tuple[int, int, int]] = Counter()
    lock, tile = threading.Lock(), slide.reader.tile

    def counting(level: int, col: int, row: int, out: Pixels | None = None) -> Pixels:
        with lock:
            decodes[level, col, row] += 1
        return tile(level, col, row, out)

    monkeypatch.setattr(slide.reader, "tile", counting)
    return decodes


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize(
    ("patch_px", "mpp", "step"), [(100, 0.5, 100), (90, 0.75, 61), (64, 2, 256)]
)
def test_pixels_and_order_are_those_of_read(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    patch_px: int,
    mpp: float,
    step: int,
) -> None:
    monkeypatch.setattr(stream_module, "RUN_PX", 100_000)  # 5 to 10 patches: 17 are several runs
    slide, coords = Slide(path), grid(step)
    seen = []
    for batch in stream(slide, coords, patch_px, mpp, batch_size=17, threads=threads):
        assert batch.pixels.shape == (len(batch.rows), patch_px, patch_px, 3)
        assert batch.rows.dtype == np.int64
        assert batch.readable.all()
        seen += batch.rows.tolist()
        for row, pixels in zip(batch.rows[::5], batch.pixels[::5], strict=True):
            assert np.array_equal(pixels, slide.read(tuple(coords[row]), patch_px, mpp))
    assert seen == list(range(len(coords)))


def test_chosen_rows_come_in_their_order(path: Path) -> None:
    slide, coords = Slide(path), grid(100)
    rows = [*np.random.default_rng(0).permutation(len(coords))[:50].tolist(), 3, 3, 0]
    batches = list(stream(slide, coords, 100, 0.5, batch_size=20, rows=rows))
    assert [len(batch.rows) for batch in batches] == [20, 20, 13]
    assert [row for batch in batches for row in batch.rows.tolist()] == rows
    for batch in batches:
        for row, pixels in zip(batch.rows, batch.pixels, strict=True):
            assert np.array_equal(pixels, slide.read(tuple(coords[row]), 100, 0.5))


def test_nothing_to_read_yields_nothing(path: Path) -> None:
    assert list(stream(Slide(path), np.zeros((0, 2), np.int64), 100, 0.5)) == []
    assert list(stream(Slide(path), grid(100), 100, 0.5, rows=[])) == []


def test_wholly_outside_is_white(path: Path) -> None:
    coords = np.array([[-500, -500], [W + 10, 0], [0, H], [10**7, 10**7]])
    for mpp in (0.5, 0.75):  # as it lies on the level, and resampled
        (batch,) = stream(Slide(path), coords, 64, mpp)
        assert (batch.pixels == 255).all()
        assert batch.readable.all()


def test_resolution_is_refused_at_the_call(path: Path) -> None:
    with pytest.raises(ResolutionError):
        stream(Slide(path, mpp=352.8), grid(100), 100, 0.5)


@pytest.mark.parametrize(
    ("patch_px", "mpp", "step", "level"),
    [(100, 0.5, 100, 0), (100, 0.5, 50, 0), (60, 0.9, 108, 0), (64, 1.25, 160, 1)],
)
def test_each_native_tile_is_decoded_once(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    patch_px: int,
    mpp: float,
    step: int,
    level: int,
) -> None:
    slide = Slide(path)
    decodes = count_decodes(slide, monkeypatch)
    for _ in stream(slide, grid(step), patch_px, mpp, batch_size=16):
        pass
    w, h = slide.level_sizes[level]
    every = {(level, col, row) for row in range(-(-h // 256)) for col in range(-(-w // 256))}
    assert decodes == dict.fromkeys(every, 1)


def test_only_tiles_under_patches_are_decoded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slide = Slide(path)
    decodes = count_decodes(slide, monkeypatch)
    list(stream(slide, np.array([[300, 300], [500, 300]]), 100, 0.5))
    assert decodes == {(0, 1, 1): 1, (0, 2, 1): 1}


def test_beyond_the_window_a_tile_is_decoded_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window of ten patches in random order: more decoding, the same pixels."""
    slide, coords = Slide(path), grid(100)
    rows = np.random.default_rng(1).permutation(len(coords))
    expected = {row: slide.read(tuple(coords[row]), 100, 0.5) for row in range(0, len(coords), 9)}
    monkeypatch.setattr(stream_module, "WINDOW_BYTES", 10 * 100 * 100 * 3)
    decodes = count_decodes(slide, monkeypatch)
    for batch in stream(slide, coords, 100, 0.5, batch_size=8, rows=rows):
        for row, pixels in zip(batch.rows.tolist(), batch.pixels, strict=True):
            assert row not in expected or np.array_equal(pixels, expected[row])
    assert max(decodes.values()) > 1


@pytest.mark.parametrize("compression", ["jpeg", "adobe_deflate"])
@pytest.mark.parametrize("mpp", [0.5, 0.8])
def test_an_unreadable_tile_costs_its_patches_only(
    tmp_path: Path, compression: str, mpp: float
) -> None:
    path = write_pyramid(
        tmp_path / "s.tif", position_image(1024, 768), compression=compression, downsamples=(1,)
    )
    damage_tile(path, 0, 1, 1)  # level-0 x and y from 256 to 512
    slide, step = Slide(path), round(64 * mpp / 0.5)
    coords = np.array([(x, y) for y in range(0, 768, step) for x in range(0, 1024, step)])
    for batch in stream(slide, coords, 64, mpp, batch_size=10):
        for row, pixels, readable in zip(*batch, strict=True):
            x, y = coords[row].tolist()
            hit = x < 512 and x + step > 256 and y < 512 and y + step > 256
            assert readable == (not hit), (x, y)
            if hit:
                assert (pixels == 255).all()
            else:
                assert np.array_equal(pixels, slide.read((x, y), 64, mpp))


def test_leaving_early_leaves_no_thread(path: Path) -> None:
    before = threading.active_count()
    batches = stream(Slide(path), grid(50), 100, 0.5, batch_size=4)
    next(batches)
    batches.close()
    assert threading.active_count() == before


MEASURE = f"""
import sys
import numpy as np
from histocnn.slides.slide import Slide
from histocnn.slides.stream import stream
slide = Slide(sys.argv[1])
rows = int(sys.argv[2])
step = int(sys.argv[3])
xs, ys = np.arange(0, 100_000, step), np.arange(0, 100_000, step)[:rows]
coords = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
patches = sum(len(batch.rows) for batch in stream(slide, coords, 224, 0.5))
assert patches == len(coords)
print({PEAK_KIB})
"""


def resident_kib(path: Path, rows: int, step: int) -> int:
    command = [sys.executable, "-c", MEASURE, str(path), str(rows), str(step)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_memory_is_bounded_on_a_slide_of_100000_px(tmp_path: Path) -> None:
    path = write_sparse_pyramid(tmp_path / "large.tif", downsamples=(1,))
    assert resident_kib(path, rows=6, step=224) < 1e6


@pytest.mark.slow
def test_memory_is_bounded_over_the_whole_slide(tmp_path: Path) -> None:
    path = write_sparse_pyramid(tmp_path / "large.tif", downsamples=(1,))
    assert resident_kib(path, rows=447, step=224) < 1e6
    assert resident_kib(path, rows=30, step=112) < 1e6  # overlapping by half


def test_batches_that_are_kept_stay_as_they_were(path: Path) -> None:
    """Memory is used again, but not what somebody holds, if only a view of it."""
    slide, coords = Slide(path), grid(100)
    expected = [slide.read(tuple(xy), 100, 0.5) for xy in coords]
    kept = [
        (batch.rows[turn], batch.pixels[turn])
        for turn in range(2)
        for batch in stream(slide, coords, 100, 0.5, batch_size=16)
    ]
    for row, pixels in kept:
        assert np.array_equal(pixels, expected[row])


def test_a_patch_that_is_a_tile_is_decoded_in_its_place(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """256 px from (0, 0) on; at the right and lower edge tiles reach over the slide."""
    slide, coords = Slide(path), grid(256)
    given: list[Pixels] = []
    tile = slide.reader.tile

    def counting(level: int, col: int, row: int, out: Pixels | None = None) -> Pixels:
        if out is not None:
            given.append(out)
        return tile(level, col, row, out)

    monkeypatch.setattr(slide.reader, "tile", counting)
    (batch,) = stream(slide, coords, 256, 0.5)
    in_place = [np.may_share_memory(out, batch.pixels) for out in given]
    assert sum(in_place) == (W // 256) * (H // 256)
    for row, pixels in zip(batch.rows, batch.pixels, strict=True):
        assert np.array_equal(pixels, slide.read(tuple(coords[row]), 256, 0.5))
