"""Pictures of nothing, and of things that are not tissue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import PatchesError, UsageError
from histocnn.patches.patches import open_patches

Pixels = NDArray[np.uint8]


def uniform(count: int, shape: tuple[int, int], seed: int = 0) -> Pixels:
    """Noise uint8 [count, H, W, 3] of which every grey level is as likely as any other."""
    return np.random.default_rng(seed).integers(0, 256, (count, *shape, 3), dtype=np.uint8)


def gaussian(
    count: int,
    shape: tuple[int, int],
    mean: NDArray[np.floating] | float = 127.5,
    std: NDArray[np.floating] | float = 64.0,
    seed: int = 0,
) -> Pixels:
    """Gaussian noise, each pixel and channel for itself, cut to 0 to 255.

    Args:
        count: How many pictures.
        shape: (H, W), px.
        mean: Of R, G and B, or one for all.
        std: Likewise.
        seed: Of NumPy's default generator.

    Returns:
        uint8 [count, H, W, 3].
    """
    drawn = np.random.default_rng(seed).normal(mean, std, (count, *shape, 3))
    return np.rint(np.clip(drawn, 0, 255)).astype(np.uint8)


def colour_of(pixels: Pixels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of R, G and B over pictures uint8 [N, H, W, 3]: float64 [3] each."""
    return pixels.mean(axis=(0, 1, 2)), pixels.std(axis=(0, 1, 2))


def read_things(
    folder: str | Path, side_px: int, most: int = 64, seed: int = 0, threads: int = 2
) -> tuple[Pixels, list[str]]:
    """Image files of a folder as pictures of one size, for a network to be asked about.

    Grey becomes three equal channels; a longer image is padded white to a square first, as at a
    slide's edge; then all are scaled.

    Args:
        folder: Image files in it, or in folders below it.
        side_px: Side of the pictures.
        most: Of more files so many are drawn.
        seed: Of the drawing.
        threads: Readers.

    Returns:
        uint8 [N, side_px, side_px, 3], and a line for each file that cannot be read, named
        within the folder.

    Raises:
        PatchesError: No image files, or none of them can be read.
        UsageError: Grids of slides, which show tissue.
    """
    (found, *more) = open_patches(Path(folder))
    if more or found.paths is None:
        raise UsageError(
            f"--things {folder}: holds grids of slides", "Give a folder of image files."
        )
    drawn = np.sort(np.random.default_rng(seed).permutation(len(found))[:most]).tolist()
    read = [
        batch.pixels[batch.readable]
        for batch in found.batches(64, threads, rows=drawn, size_px=side_px)
    ]
    pixels = np.concatenate(read)
    if not len(pixels):
        raise PatchesError(
            f"{folder}: none of {len(drawn)} images can be read", "Check that they are whole."
        )
    return pixels, [line.removeprefix(f"{folder}/") for line in found.problems]  # no path
