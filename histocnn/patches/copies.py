"""Pictures that show the same tissue though their bytes differ: recompressed, mirrored or scaled.

A perceptual hash proposes pairs and a correlation of the aligned pictures confirms them, because
hashes alone collide: different patients' patches of one stain differ in as few as 6 of 64 bits.
docs/benchmarks.md has the rates of both mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.errors import PatchesError, SlideError
from histocnn.slides.geometry import Pixels

HASHED_PX = 32  # side of the grey picture that is hashed; a smaller image holds too little to tell
COMPARED_PX = 16  # side of the grey picture that is correlated: JPEG and scaling change it little
HASH_SIDE = 8  # lowest frequencies per axis, one bit each
MAX_BITS = 8  # of 64 that may differ
MIN_CORRELATION = 0.97
MIN_CONTRAST = 4.0  # grey levels; of less, as on glass, only noise is left to compare
ORIENTATIONS = (
    "as it is",
    "mirrored",
    "turned by 90°",
    "turned by 90°, mirrored",
    "turned by 180°",
    "turned by 180°, mirrored",
    "turned by 270°",
    "turned by 270°, mirrored",
)
_BLOCK = 2048  # pictures compared at once: 16 MiB of distances
_PAIRS = 4096  # looked at in all orientations at once: 32 MiB
MOST = 10_000  # copies that are looked for; of a folder full of them no more need be known
_ROUNDING = 1e-4  # of float32 sums
_AHEAD = 512  # images decoded at once


@dataclass(frozen=True, eq=False)
class Prints:
    """What is kept of N pictures to compare them.

    Attributes:
        hashes: uint8 [N, 8, 8]: of the picture in each of the 8 orientations 64 bits.
        grey: uint8 [N, 16, 16].
        comparable: bool [N]: it could be read, is large enough, and is not nearly blank.
    """

    hashes: NDArray[np.uint8]
    grey: NDArray[np.uint8]
    comparable: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.comparable)


@dataclass(frozen=True)
class Copy:
    """Two pictures of the same: the second, brought into `orientation`, looks like the first."""

    first: int
    second: int
    orientation: str
    bits: int
    correlation: float


def take_prints(read: Callable[[int], Pixels], count: int, *, threads: int = 4) -> Prints:
    """Read each picture once, ahead by threads.

    Args:
        read: Gives the pixels [H, W, 3] of a picture by its number; PatchesError or SlideError
            where they cannot be had.
        count: How many pictures there are, N.
        threads: That read.
    """

    def one(index: int) -> Pixels:
        try:
            pixels = read(index)
        except (PatchesError, SlideError):
            return np.zeros((HASHED_PX, HASHED_PX), np.uint8)
        if min(pixels.shape[:2]) < HASHED_PX:
            return np.zeros((HASHED_PX, HASHED_PX), np.uint8)
        return _resize(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8), HASHED_PX)

    hashes = np.zeros((count, len(ORIENTATIONS), HASH_SIDE), np.uint8)
    compared = np.zeros((count, COMPARED_PX, COMPARED_PX), np.uint8)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for start in range(0, count, _AHEAD):
            chosen = slice(start, min(start + _AHEAD, count))
            grey = np.stack(list(pool.map(one, range(start, chosen.stop))))
            hashes[chosen] = perceptual_hashes(orientations(grey))
            compared[chosen] = [_resize(picture, COMPARED_PX) for picture in grey]
    return Prints(hashes, compared, compared.std(axis=(1, 2)) >= MIN_CONTRAST)


def _resize(grey: Pixels, side: int) -> Pixels:
    return np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def orientations(pictures: NDArray[Any]) -> NDArray[Any]:
    """The four turns of square pictures [..., n, n], each also mirrored: [..., 8, n, n]."""
    turned = [np.rot90(pictures, turns, axes=(-2, -1)) for turns in range(4)]
    both = [picture for turn in turned for picture in (turn, np.flip(turn, -1))]
    return np.stack(both, axis=-3)


def perceptual_hashes(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """Which of the 8 × 8 lowest cosine frequencies exceed their median: imagehash's `phash`.

    Bit for bit the hash of that library, but of many pictures at once, twenty times sooner.

    Args:
        grey: [..., 32, 32].

    Returns:
        uint8 [..., 8], 64 bits.
    """
    from scipy.fft import dctn

    low = dctn(grey.astype(np.float32), axes=(-2, -1))[..., :HASH_SIDE, :HASH_SIDE]
    low = low.reshape(*low.shape[:-2], -1)
    bits = low > np.median(low, axis=-1, keepdims=True)
    return np.packbits(bits, axis=-1)


def find_copies(prints: Prints, groups: NDArray[np.int64]) -> list[Copy]:
    """Pairs of pictures of two groups (splits, patients) that show the same.

    Args:
        prints: Of N pictures.
        groups: int64 [N]; pairs within a group are not looked for. `np.arange(N)`: all pairs.

    Returns:
        The copies, in the order of their pictures, `first` < `second`; of very many the MOST that
        were found first, or a few more.
    """
    rows = np.flatnonzero(prints.comparable)
    rows = rows[np.argsort(groups[rows], kind="stable")]
    upright = _standardised(prints.grey)
    found: list[Copy] = []
    for pairs in _candidates(_magnitudes(upright[rows]), rows, groups):
        for start in range(0, pairs.shape[1], _PAIRS):
            found += _confirmed(prints, upright, *np.sort(pairs[:, start : start + _PAIRS], axis=0))
            if len(found) >= MOST:
                return _in_order(found)
    return _in_order(found)


def _in_order(found: list[Copy]) -> list[Copy]:
    return sorted(found, key=lambda copy: (copy.first, copy.second))


def _confirmed(
    prints: Prints,
    upright: NDArray[np.float32],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> list[Copy]:
    """The pairs whose hashes and pictures agree in one orientation."""
    differ = prints.hashes[first, :1] ^ prints.hashes[second]
    bits = np.unpackbits(differ, axis=-1).sum(axis=-1)
    likeness = np.einsum("phw,pohw->po", upright[first], orientations(upright[second]))
    likeness[bits > MAX_BITS] = -1
    best = likeness.argmax(axis=1)
    return [
        Copy(int(first[i]), int(second[i]), ORIENTATIONS[turn], int(bits[i, turn]),
             float(likeness[i, turn]))
        for i, turn in enumerate(best)
        if likeness[i, turn] >= MIN_CORRELATION
    ]  # fmt: skip


def _candidates(
    magnitudes: NDArray[np.float32], rows: NDArray[np.int64], groups: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    """Pairs of rows int64 [2, P], of two groups, whose magnitudes are as near as copies' must be.

    Args:
        magnitudes: float32 [M, D], of `rows`.
        rows: int64 [M], sorted by group.
        groups: int64 [N].
    """
    half = (magnitudes**2).sum(axis=1, keepdims=True) / 2
    one = np.ones_like(half)
    left, right = np.hstack([magnitudes, half, one]), np.hstack([magnitudes, -one, -half])
    # left · right = a · b - |a|²/2 - |b|²/2 = -|a - b|²/2
    least = MIN_CORRELATION - 1 - _ROUNDING  # |a - b|² ≤ 2 - 2c
    for start in range(0, len(rows), _BLOCK):
        own = slice(start, start + _BLOCK)
        for other_start in range(start, len(rows), _BLOCK):
            other = slice(other_start, other_start + _BLOCK)
            if groups[rows[start]] == groups[rows[other][-1]]:
                continue  # sorted by group: all between the two are of the same
            first, second = np.nonzero(left[own] @ right[other].T >= least)
            first, second = first + start, second + other_start
            kept = (groups[rows[first]] != groups[rows[second]]) & (first < second)
            if kept.any():
                yield np.stack([rows[first[kept]], rows[second[kept]]])


def _magnitudes(upright: NDArray[np.float32]) -> NDArray[np.float32]:
    """What no turn and no mirror changes: sizes of the cosine frequencies, rows with columns.

    A mirror changes signs of frequencies and a quarter turn swaps rows and columns, too, while no
    step here lets two pictures of length 1 move apart. So copies, whose correlation c puts them at
    a squared distance of 2 - 2c, are at most as far from each other in these numbers: nothing is
    lost, and one comparison does for eight orientations.

    Args:
        upright: float32 [N, n, n], of length 1.

    Returns:
        float32 [N, 36].
    """
    from scipy.fft import dctn

    size = np.abs(dctn(upright, axes=(1, 2), norm="ortho"))[:, :HASH_SIDE, :HASH_SIDE]
    upper, right = np.triu_indices(HASH_SIDE, 1)
    both = (size[:, upper, right] + size[:, right, upper]) / np.sqrt(np.float32(2))
    return np.hstack([both, np.diagonal(size, axis1=1, axis2=2)])


def _standardised(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures of mean 0 and length 1, whose product is their correlation; flat ones are 0."""
    values = grey.astype(np.float32)
    values -= values.mean(axis=(1, 2), keepdims=True)
    length = np.sqrt((values**2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(values / np.where(length == 0, 1, length), np.float32)
