"""Quality of patches: blur found on slides that set no threshold, flaws of phantoms, speed.

    python benchmarks/quality.py --slides ../shared/data/slides --out OUT

The threshold is set on CRC01-west alone (noise of deviation 2 and JPEG quality 70 over sharp and
blurred alike), then every other slide is measured once.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from embed import DEVICE
from embed import grid as written_grid
from predict import runner
from shapely.geometry import Polygon
from sklearn.metrics import roc_auc_score

from histocnn.models.device import choose_bf16
from histocnn.models.infer import infer
from histocnn.patches.grid import build_grid
from histocnn.patches.labels import coverage
from histocnn.patches.quality import BLURRED_UM, Quality
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.phantom.stain import LABS, PEN_RGB
from histocnn.regions.annotations import Annotations
from histocnn.regions.tissue import detect_tissue
from histocnn.slides.sharpness import detail, equivalent_blur, sharpest_detail
from histocnn.slides.slide import Slide
from histocnn.slides.stream import stream

BATCHES = 4  # of 64 patches, for predict's share
SIGMAS_UM = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
OTHERS = (
    ("CRC01-middle.tiff", 1.3, None),
    ("CMU-1-Small-Region.svs", 0.5, None),
    ("TCGA-CR-7395-no-mpp-jp2k.svs", 0.5, 0.5),
)


def degraded(patch, sigma_px, rng):
    """Blurred, then with noise and JPEG over the blur."""
    soft = patch.astype(np.float32)
    if sigma_px:
        soft = cv2.GaussianBlur(soft, (0, 0), sigma_px)
    noisy = np.clip(np.rint(soft + rng.normal(0, 2, soft.shape)), 0, 255).astype(np.uint8)
    _, coded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 70])
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def read_blur(path: Path, mpp: float, own_mpp: float | None, count: int = 150):
    """What is read in µm of patches blurred by each of `SIGMAS_UM`, [S, N]."""
    slide, rng = Slide(path, mpp=own_mpp), np.random.default_rng(0)
    tissue = detect_tissue(slide)
    grid = build_grid(slide.size_l0, slide.require_mpp(), patch_px=224, mpp=mpp, tissue=tissue)
    rows = rng.permutation(len(grid))[:count]
    patches = [slide.read((float(x), float(y)), 224, mpp) for x, y in grid.coords[rows]]
    details = [
        detail(np.stack([degraded(patch, um / mpp, rng) for patch in patches]), mpp)
        for um in SIGMAS_UM
    ]
    sharpest = sharpest_detail(details[0])
    return np.stack([equivalent_blur(each, mpp, sharpest) for each in details])


def sharpness(slides: Path) -> None:
    blur = read_blur(slides / "CRC01-west.tiff", 1.3, None)
    tries = np.linspace(0.1, 2, 191)
    right = [(np.mean(blur[0] < t) + np.mean(blur[2] >= t)) / 2 for t in tries]
    best = tries[np.flatnonzero(np.array(right) == max(right))]
    threshold = float(best.mean())
    print(f"threshold set on CRC01-west: {threshold:.2f} µm ({best[0]:.2f} to {best[-1]:.2f} are "
          f"as good; BLURRED_UM is {BLURRED_UM})")  # fmt: skip
    for name, mpp, own in (("CRC01-west.tiff", 1.3, None), *OTHERS):
        blur = read_blur(slides / name, mpp, own)
        medians = " ".join(f"{np.nanmedian(each):.2f}" for each in blur)
        found = " ".join(f"{np.mean(each >= threshold):.3f}" for each in blur[2:])
        print(f"{name} {blur.shape[1]} patches at {mpp}: medians {medians}; specificity "
              f"{np.mean(blur[0] < threshold):.3f}; found from 1 µm on {found}")  # fmt: skip


def phantoms(out: Path, count: int) -> None:
    aurocs: dict[str, list[float]] = {}
    for number in range(count):
        lab = list(LABS)[number % len(LABS)]
        pen = list(PEN_RGB)[number // 2 % len(PEN_RGB)]
        spec = PhantomSpec((4096, 4096), seed=1000 + number, lab=lab, pen=pen, blur=True, fold=True)
        path = out / f"phantom{number}.tif"
        truth = make_phantom(path, spec)
        slide = Slide(path)
        grid = build_grid(slide.size_l0, slide.require_mpp(), patch_px=112, mpp=1.0,
                          tissue=detect_tissue(slide), min_tissue=0.2)  # fmt: skip
        quality = Quality(len(grid), 1.0)
        for batch in stream(slide, grid.coords, 112, 1.0):
            quality.see(batch)
        columns = quality.columns()
        regions = {"blur_um": truth.blurred, "pen_fraction": truth.pen,
                   "fold_fraction": truth.folded.difference(truth.pen)}  # fmt: skip
        drawn = Annotations(regions, Polygon())
        shares = coverage(drawn, grid.boxes_l0(), list(regions))
        for (name, _), share in zip(regions.items(), shares.T, strict=True):
            kept = ((share == 0) | (share >= 0.5)) & np.isfinite(columns[name])
            found = roc_auc_score(share[kept] > 0, columns[name][kept])
            aurocs.setdefault(name, []).append(found)
        print(number, lab, pen, {k: round(v[-1], 4) for k, v in aurocs.items()}, flush=True)
        path.unlink()
    for name, values in aurocs.items():
        print(f"{name}: AUROC {np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")


def speed(slides: Path) -> None:
    slide = Slide(slides / "CRC01-west.tiff")
    for mpp, patch_px in ((1.3, 224), (2.6, 112)):
        grid = build_grid(slide.size_l0, slide.require_mpp(), patch_px=patch_px, mpp=mpp,
                          tissue=detect_tissue(slide))  # fmt: skip
        batches = list(stream(slide, grid.coords, patch_px, mpp, rows=np.arange(640)))
        for stated in (mpp, 0.5, 0.25):
            quality = Quality(len(grid), stated)
            start = time.process_time()
            for batch in batches:
                quality.see(batch)
            used = time.process_time() - start
            print(f"{patch_px} px as at {stated} µm/px: {640 / used:,.0f} patches/s of one core")


def share_of_predicting(out: Path) -> None:
    """CPU seconds of predict's loop with quality over those without, alternated."""
    patches = written_grid(out)
    run = runner(bf16=choose_bf16("auto", DEVICE))
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(6):
        quality = Quality(len(patches), patches.mpp or 0) if turn % 2 else None
        start = time.process_time()
        for _ in islice(infer(patches, run, quality=quality), BATCHES):
            pass
        seconds[quality is not None].append(time.process_time() - start)
    without, with_it = (np.median(seconds[key]) for key in (False, True))
    print(f"predict, ResNet-18, {64 * BATCHES} patches: {with_it:.1f} s of CPU with quality, "
          f"{without:.1f} s without: {with_it / without - 1:+.1%}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--phantoms", type=int, default=8)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    speed(asked.slides)
    sharpness(asked.slides)
    phantoms(asked.out, asked.phantoms)
    share_of_predicting(asked.out)


if __name__ == "__main__":
    main()
