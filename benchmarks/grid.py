"""Time the grid's arithmetic for a million patches: boxes, tissue shares, raster."""

from __future__ import annotations

import statistics
import time

import numpy as np

from histocnn.patches.grid import build_grid
from histocnn.regions.tissue import TissueMask

SIZE_L0, SLIDE_MPP = (224_000, 224_000), (0.5, 0.5)


def once(tissue: TissueMask) -> tuple[int, float]:
    start = time.process_time()
    grid = build_grid(SIZE_L0, SLIDE_MPP, patch_px=224, mpp=0.5, tissue=tissue, min_tissue=0)
    grid.raster(grid.tissue_fraction)
    return len(grid), time.process_time() - start


def main() -> None:
    mask = np.random.default_rng(0).random((14_000, 14_000)) < 0.5
    runs = [once(TissueMask(mask, SIZE_L0, SLIDE_MPP)) for _ in range(5)]
    print(
        f"{runs[0][0]:,} patches: {statistics.median(s for _, s in runs):.2f} s of CPU, median of 5"
    )


if __name__ == "__main__":
    main()
