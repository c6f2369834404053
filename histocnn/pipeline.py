"""`histocnn demo` (and `run`): stages called in order; the only importer of several."""

from __future__ import annotations

import time
from pathlib import Path

from histocnn.stages.doctor import doctor
from histocnn.stages.tile import tile


def demo(out: Path = Path("demo"), seed: int = 0, workers: int = 2) -> int:
    """Make a small cohort of synthetic slides and run histocnn over it.

    Writes OUT/cohort (slides, annotations, slides.csv) and OUT/grids (a grid and a picture per
    slide). The same seed gives the same slides.

    Args:
        out: Folder for everything the demo makes.
        seed: Of the synthetic slides.
        workers: Slides in parallel processes.

    Returns:
        0, or 1 if a stage failed.
    """
    from histocnn.slides.phantom import make_cohort

    start = time.perf_counter()
    print("Making 8 synthetic H&E slides of 4 patients in 2 labs ...", flush=True)
    slides = make_cohort(out / "cohort", seed=seed)
    print("\nCan these slides be trusted?  histocnn doctor", flush=True)
    failed = doctor(slides)
    print("\nCutting them into patches.  histocnn tile", flush=True)
    failed |= tile(slides, out / "grids", workers=workers)
    pictures = sorted((out / "grids").glob("*.png"))
    print(f"\nLook at {pictures[0]}" if pictures else "\nNo pictures were made")
    print(f"Everything is in {out}; it took {time.perf_counter() - start:.0f} s.")
    return failed
