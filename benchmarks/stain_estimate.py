"""Macenko: is a slide's patch brought to what its pixels are brought to by the stains of them all?

    python benchmarks/stain_estimate.py GRID.h5 [GRID.h5 ...]

Up to 100 patches of each grid, normalised by their own stains taken together (as images), by the
slide's as `tile` samples them, and by an overview's of 8 µm/px, as before: means in grey levels.
Also how many of them alone hold no two stains, and what the slide's cost.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from histocnn.patches.patches import open_files
from histocnn.slides import stain

PATCHES, OVERVIEW_UM = 100, 8.0


def main() -> None:
    for patches in open_files([Path(name) for name in sys.argv[1:]]):
        slide, share = patches.slide, patches.datasets["tissue_fraction"]
        start = time.process_time()
        sampled = stain.sample(patches.pixels.read, share).stains
        took = time.process_time() - start
        sides_um = np.multiply(slide.size_l0, slide.require_mpp())
        overview = stain.estimate(slide.thumbnail(max_px=round(sides_um.max() / OVERVIEW_UM)))
        rows = np.random.default_rng(1).permutation(np.flatnonzero(share > 0.5))[:PATCHES]
        pixels = np.stack([patches.pixels.read(int(row)) for row in rows])
        together, by_slide, by_overview = (
            np.mean([stain.normalise(patch, source).mean() for patch in pixels])
            for source in (stain.estimate(pixels), sampled, overview)
        )
        alone = sum(stain.estimate(patch) is None for patch in pixels)
        print(
            f"{patches.name}: {len(pixels)} patches, as images {together:.1f}; by the slide "
            f"{by_slide - together:+.1f} ({took:.2f} s of CPU), by an overview "
            f"{by_overview - together:+.1f}; {alone} alone hold no two stains"
        )


if __name__ == "__main__":
    main()
