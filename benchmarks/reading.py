"""How fast patches are read, against OpenSlide and against the JPEG decoder alone.

A JPEG pyramid of at least 20,000² px (256 px tiles) is written to a temporary folder; 224 px
patches at its level 0 are read row by row. Process CPU time, the methods interleaved, median of
five. Ratios are what counts; run it on an idle machine:

    python benchmarks/reading.py

By format: a JPEG pyramid of 8,192² px and the slides named, one thread, CPU and wall time. With
JSIMD_FORCESSE2=1 (JSIMD_FORCEAVX2=1) both decoders are those of a processor of that kind.

    python benchmarks/reading.py --formats SLIDE…

Where the time goes, of the pyramid of 8,192² px: the stream with parts of it left out, CPU time.

    python benchmarks/reading.py --parts
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import imagecodecs
import numpy as np
import openslide
import tifffile
from numpy.typing import NDArray

from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.slides import stream as stream_module
from histocnn.slides.buffers import BUFFERS
from histocnn.slides.slide import Slide
from histocnn.slides.stream import stream

T = TypeVar("T", float, NDArray[np.float64])
Tiles = list[Callable[..., NDArray[np.uint8]]]
SIZE_PX, PATCH_PX, TILE_PX, MPP = 20_480, 224, 256, 0.5
PATCH_ROWS, PATCH_COLUMNS = 24, 91  # 24 × 224 px are exactly 21 rows of tiles
REPEATS = 5
FORMAT_PX = 8_192


def main() -> None:
    if sys.argv[1:2] == ["--formats"]:
        compare_formats([Path(name) for name in sys.argv[2:]])
        return
    if sys.argv[1:] == ["--parts"]:
        compare_parts()
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pyramid.tif"
        make_phantom(path, PhantomSpec(size_px=(SIZE_PX, SIZE_PX), mpp=MPP))
        print(f"{cpu_name()}, {os.cpu_count()} cores; {SIZE_PX}² px, {path.stat().st_size:,} bytes")
        print(f"{PATCH_ROWS * PATCH_COLUMNS} patches of {PATCH_PX} px, median of {REPEATS}")
        row, col = np.divmod(np.arange(PATCH_ROWS * PATCH_COLUMNS), PATCH_COLUMNS)
        in_rows = np.stack([col, row], axis=1) * PATCH_PX
        shuffled = np.random.default_rng(0).permutation(in_rows)
        slide = Slide(path)
        under = PATCH_ROWS * PATCH_PX // TILE_PX * -(-SIZE_PX // TILE_PX)
        compare("row by row", slide, in_rows, all_tiles(path)[:under])
        compare("random order", slide, shuffled, None)
        compare_threads(slide, in_rows)
        report_interpolation(slide)


def compare(title: str, slide: Slide, coords: np.ndarray, tiles: Tiles | None) -> None:
    """Print the CPU time per patch of each method, and the ratios to `stream`."""
    methods: dict[str, Callable[[], None]] = {
        "stream, 1 thread": lambda: read_stream(slide, coords, 1),
        "OpenSlide read_region": lambda: read_openslide(slide.path, coords),
        "Slide.read": lambda: read_singly(slide, coords),
    }
    if tiles:
        methods = {"JPEG decoder alone": lambda: decode_all(tiles)} | methods
    seconds = interleaved(methods, time.process_time)
    ours = seconds["stream, 1 thread"]
    print(f"\n{title}, process CPU time")
    for name, values in seconds.items():
        each = statistics.median(values) / len(coords) * 1e6
        print(f"  {name:24}{each:8.0f} µs per patch {ratio(values, ours):7.2f} × stream")
    print(f"  stream is {ratio(seconds['OpenSlide read_region'], ours):.2f} × read_region")
    if tiles:
        share = ratio(seconds["JPEG decoder alone"], ours)
        print(f"  stream runs at {share:.2f} of the decoder alone")


def compare_formats(slides: list[Path]) -> None:
    """Print how `stream` reads each kind of file, 224 px patches and patches that are tiles."""
    forced = [name for name in os.environ if name.startswith(("JSIMD_", "GLIBC_TUN"))]
    print(
        f"{cpu_name()}, {', '.join(forced) or 'no instruction set forced'}; idle {idle_cores():.1f}"
    )
    with tempfile.TemporaryDirectory() as folder:
        pyramid = Path(folder) / "pyramid.tif"
        make_phantom(pyramid, PhantomSpec(size_px=(FORMAT_PX, FORMAT_PX), mpp=MPP))
        for path in [pyramid, *slides]:
            slide = Slide(path, mpp=MPP)
            tiles, tile_px = all_tiles(path), slide.reader.tile_sizes[0][0]
            print(f"\n{path.name}: {slide.size_l0} px, tiles of {tile_px} px, {slide.reader.name}")
            for patch_px in (PATCH_PX, tile_px):
                compare_format(slide, tiles, patch_px)


def compare_format(slide: Slide, tiles: Tiles, patch_px: int) -> None:
    """All of level 0 row by row, beyond its right and bottom edge where patches do not fit."""
    coords = all_patches(slide, patch_px)
    methods: dict[str, Callable[[], None]] = {
        "decoder alone": lambda: decode_all(tiles),
        "stream, 1 thread": lambda: read_stream(slide, coords, 1, patch_px),
        "OpenSlide": lambda: read_openslide(slide.path, coords, patch_px),
    }
    seconds = interleaved(methods, lambda: np.array([time.process_time(), time.perf_counter()]))
    for i, clock in enumerate(("CPU", "wall")):
        bare, ours, theirs = ([float(pair[i]) for pair in pairs] for pairs in seconds.values())
        each = [statistics.median(s) / len(coords) * 1e6 for s in (bare, ours, theirs)]
        print(
            f"  {patch_px} px, {clock:4}: decoder {each[0]:.0f}, stream {each[1]:.0f}, OpenSlide "
            f"{each[2]:.0f} µs a patch; share {ratio(bare, ours):.2f}, {ratio(theirs, ours):.2f} ×"
        )


def compare_parts() -> None:
    """Print what a patch of 224 px and one of a tile cost beside decoding, and where."""
    print(f"{cpu_name()}, {os.cpu_count()} cores; idle {idle_cores():.1f}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pyramid.tif"
        make_phantom(path, PhantomSpec(size_px=(FORMAT_PX, FORMAT_PX), mpp=MPP))
        slide, tiles = Slide(path), all_tiles(path)
        for patch_px in (PATCH_PX, TILE_PX):
            coords = all_patches(slide, patch_px)
            reading = partial(read_stream, slide, coords, 1, patch_px)
            parts = {
                "decoder alone": partial(decode_all, tiles),
                "decoder from the file": partial(decode_level_0, slide),
                "planned alone": partial(undecoded, slide, reading, copied=False),
                "planned and copied": partial(undecoded, slide, reading, copied=True),
                "stream": reading,
            }
            seconds = interleaved(parts, time.process_time)
            # The least of the rounds: load adds to some parts and not to others.
            bare, filed, planned, copied, whole = (
                min(s) / len(coords) * 1e6 for s in seconds.values()
            )
            print(
                f"{patch_px} px, µs a patch: decoding {bare:.0f}, file {filed - bare:.1f}, "
                f"planning {planned:.1f}, copying {copied - planned:.1f}, hand-over and cold "
                f"caches {whole - filed - copied:.1f}; stream {whole:.0f}"
            )


def undecoded(slide: Slide, run: Callable[[], None], copied: bool) -> None:
    """Run something that streams a slide, of which nothing is read or decoded, or copied either."""
    paste = stream_module.paste if copied else lambda *boxes: None
    with (
        patch.object(slide.reader, "tile", lambda *place: place[-1]),
        patch.object(stream_module, "paste", paste),
    ):
        run()


def all_tiles(path: Path) -> Tiles:
    """What decodes each tile of level 0 from memory, to `out`."""
    with tifffile.TiffFile(path) as tiff, path.open("rb") as file:
        page = tiff.pages[0]
        is_jpeg = page.compression == tifffile.COMPRESSION.JPEG
        space = "RGB" if page.photometric == tifffile.PHOTOMETRIC.RGB else "YCBCR"
        options = {"tables": page.jpegtables, "colorspace": space, "outcolorspace": "RGB"}
        decoder = imagecodecs.jpeg8_decode if is_jpeg else imagecodecs.jpeg2k_decode
        call = partial(decoder, **options) if is_jpeg else decoder
        tiles = []
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            file.seek(offset)
            tiles.append(partial(call, file.read(count)))
    return tiles


def compare_threads(slide: Slide, coords: np.ndarray) -> None:
    """Print the wall time of one and two threads where two cores are idle."""
    print("\ntwo threads against one, wall time")
    if (idle := idle_cores()) < 1.8:
        print(f"  not measured: {idle:.1f} of {os.cpu_count()} cores idle")
        return
    methods = {str(n): (lambda n=n: read_stream(slide, coords, n)) for n in (1, 2)}
    seconds = interleaved(methods, time.perf_counter)
    faster = ratio(seconds["1"], seconds["2"])
    if (idle := idle_cores()) < 1.8:
        print(
            f"  not measured: after it {idle:.1f} of {os.cpu_count()} cores idle ({faster:.2f} ×)"
        )
    else:
        print(f"  {faster:.2f} ×, {len(coords) / statistics.median(seconds['2']):.0f} patches/s")


def report_interpolation(slide: Slide) -> None:
    """Print how OpenSlide's pixels differ from the level's own between two of them."""
    xy_l0, size = (SIZE_PX // 2 + 1, SIZE_PX // 2 + 1), 512
    with openslide.OpenSlide(slide.path) as other:
        theirs = np.asarray(other.read_region(xy_l0, 1, (size, size)))[..., :3].astype(int)
    ours = slide.reader.read(1, xy_l0[0] // 2, xy_l0[1] // 2, size, size)
    difference = np.abs(theirs - ours)
    print("\nlevel 1 from an odd level-0 position, where OpenSlide interpolates and we do not")
    print(f"  {difference.mean():.1f} grey levels mean difference, {difference.max()} at most")


def interleaved(
    methods: dict[str, Callable[[], None]], clock: Callable[[], T]
) -> dict[str, list[T]]:
    """Seconds of each method in `REPEATS` rounds of all, after one round that does not count."""
    seconds: dict[str, list[T]] = {name: [] for name in methods}
    for repeat in range(REPEATS + 1):
        for name, method in methods.items():
            start = clock()
            method()
            if repeat:
                seconds[name].append(clock() - start)
    return seconds


def ratio(values: list[float], to: list[float]) -> float:
    """Median over the rounds of the ratio within a round: what slows the machine slows both."""
    return statistics.median(a / b for a, b in zip(values, to, strict=True))


def all_patches(slide: Slide, patch_px: int) -> NDArray[np.int64]:
    columns, rows = (-(-side // patch_px) for side in slide.size_l0)
    row, col = np.divmod(np.arange(rows * columns), columns)
    return np.stack([col, row], axis=1) * patch_px


def read_stream(slide: Slide, coords: np.ndarray, threads: int, patch_px: int = PATCH_PX) -> None:
    batches = stream(slide, coords, patch_px, MPP, threads=threads)
    patches = sum(len(batch.rows) for batch in batches)
    assert patches == len(coords)


def read_singly(slide: Slide, coords: np.ndarray) -> None:
    for x, y in coords.tolist():
        slide.read((x, y), PATCH_PX, MPP)


def read_openslide(path: Path, coords: np.ndarray, patch_px: int = PATCH_PX) -> None:
    with openslide.OpenSlide(path) as slide:
        for xy in coords.tolist():
            slide.read_region(xy, 0, (patch_px, patch_px))


def decode_all(tiles: Tiles) -> None:
    """To one place, used again, where the decoder is at its best: see `Buffers`."""
    room = BUFFERS.array(tiles[0]().shape)
    for tile in tiles:
        tile(out=room)


def decode_level_0(slide: Slide) -> None:
    room = BUFFERS.array((TILE_PX, TILE_PX, 3))
    for row, col in np.ndindex(FORMAT_PX // TILE_PX, FORMAT_PX // TILE_PX):
        slide.reader.tile(0, col, row, room)


def idle_cores(seconds: float = 1.0) -> float:
    """How many cores did nothing while we did nothing."""
    before, start = _idle_seconds(), time.monotonic()
    time.sleep(seconds)
    return (_idle_seconds() - before) / (time.monotonic() - start)


def _idle_seconds() -> float:
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return int(fields[4]) / os.sysconf("SC_CLK_TCK")


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))


if __name__ == "__main__":
    main()
