"""How right are maps of a class? Phantoms know where the tumour is (docs/benchmarks.md).

    python benchmarks/explain.py --model demo/model/model.safetensors --out OUT

Crops of new phantom slides of the demo's first laboratory, four times as wide as the model's patch,
of which the tumour covers 5 to 40 %: pointing game and energy of each method, with intervals over
slides, beside chance and the centre pixel; the same of networks with random weights; and the sanity
check of each method, and of guided backpropagation, which it must flag.
"""

from __future__ import annotations

import argparse
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from captum.attr import GuidedBackprop
from numpy.typing import NDArray
from torch import Tensor, nn

from histocnn.inspection.class_maps import cams
from histocnn.inspection.localisation import Pointing, masks_of, pointing
from histocnn.inspection.sanity import Sanity, sanity_check
from histocnn.models.backbones import build
from histocnn.models.preparation import to_input
from histocnn.models.spec import ModelSpec, load
from histocnn.patches.labels import covered_area
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.slides.slide import Slide

TIMES = 4  # a crop's side by the patch's
SHARE = (0.05, 0.40)
SLIDE_PX, SLIDE_MPP, STEP_L0 = 3072, 0.5, 64
AT_ONCE = 8


def crops(
    out: Path, spec: ModelSpec, slides: int, each: int, seed: int = 0
) -> tuple[Tensor, NDArray[np.bool_], list[str]]:
    """Images [B, 3, H, W], the tumour's pixels bool [B, H, W], and the slide of each."""
    out.mkdir(parents=True, exist_ok=True)
    patch_px, mpp = spec.patch_px or 112, spec.mpp or 1.0
    side_px = TIMES * patch_px
    side_l0 = side_px * mpp / SLIDE_MPP
    starts = np.arange(0, SLIDE_PX - side_l0 + 1, STEP_L0)
    corners = np.stack(np.meshgrid(starts, starts), -1).reshape(-1, 2)
    boxes = np.hstack([corners, corners + side_l0])
    images, masks, names = [], [], []
    for number in range(slides):
        path = out / f"phantom_{seed + number:03d}.tif"
        size, lesions = (SLIDE_PX, SLIDE_PX), 1 + number % 3
        # Seeds that the demo's own cohort never takes.
        phantom = PhantomSpec(size, SLIDE_MPP, 900_000 + seed + number, "A", lesions)
        truth = make_phantom(path, phantom)
        share = covered_area(truth.tumour, boxes) / side_l0**2
        fitting = np.flatnonzero((share >= SHARE[0]) & (share <= SHARE[1]))
        rng = np.random.default_rng([seed, number])
        chosen = boxes[rng.choice(fitting, min(each, len(fitting)), replace=False)]
        slide = Slide(path)
        for x, y, *_ in chosen:
            images.append(slide.read((float(x), float(y)), side_px, mpp))
        masks.append(masks_of(truth.tumour, chosen, (side_px, side_px)))
        names += [path.stem] * len(chosen)
    batch = to_input(torch.from_numpy(np.stack(images)), spec, (side_px, side_px))
    return batch.contiguous(), np.concatenate(masks), names


def most_tumour(images: Tensor, truth: NDArray[np.bool_], side: int) -> Tensor:
    """Of each crop the patch [B, 3, side, side] with most tumour: elsewhere maps say nothing."""
    chosen = []
    for image, mask in zip(images, truth, strict=True):
        share = mask.reshape(TIMES, side, TIMES, side).mean((1, 3))
        row, col = (int(i) * side for i in np.unravel_index(share.argmax(), share.shape))
        chosen.append(image[:, row : row + side, col : col + side])
    return torch.stack(chosen)


def mapped(network: nn.Module, images: Tensor, index: int, method: str) -> NDArray[np.float32]:
    parts = [cams(network, some, index, method=method) for some in torch.split(images, AT_ONCE)]  # type: ignore[arg-type]
    return np.concatenate(parts)


def guided(network: nn.Module, images: Tensor, index: int) -> NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it sets hooks
        found: Tensor = GuidedBackprop(network).attribute(images, target=index)
    return found.abs().sum(1).detach().numpy()


def random_gains(
    spec: ModelSpec, images: Tensor, truth: NDArray[np.bool_], names: list[str], seeds: int
) -> list[float]:
    """Hit - coverage of Grad-CAM of networks that learned nothing."""
    gains = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        network = build(spec.backbone, len(spec.class_names), arguments=spec.arguments).eval()
        maps = mapped(network, images, spec.class_names.index("tumour"), "grad_cam")
        row = pointing({"grad_cam": maps}, truth, names)[0]
        print(f"  seed {seed}: {row.gain:+.3f} ({row.undefined} undefined)", flush=True)
        gains.append(row.gain)
    return [gain for gain in gains if not np.isnan(gain)]


def mean_and_interval(values: list[float], replicates: int = 10_000) -> tuple[float, float, float]:
    """The mean and its percentile interval of 95 %, values resampled."""
    drawn = np.random.default_rng(0).choice(values, (replicates, len(values))).mean(1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(np.mean(values)), float(low), float(high)


def line(row: Pointing) -> str:
    def figure(name: str, value: float | None) -> str:
        if value is None:
            return f"{'':22}"
        low, high = row.bounds.get(name, (float("nan"),) * 2)
        return f"{value:6.3f} ({low:.3f}, {high:.3f})"

    return "  ".join([
        f"{row.method:18}", figure("hit", row.hit), figure("energy", row.energy),
        f"{row.coverage:.3f}", figure("gain", row.gain), f"{row.undefined:3d} {row.note}",
    ])  # fmt: skip


def told(name: str, found: Sanity) -> str:
    whole = found.whole
    steps = " ".join(f"{step.spearman:.2f}/{step.ssim:.2f}" for step in found.steps)
    return (
        f"{name:18} Spearman {whole.spearman:.2f} {whole.spearman_bounds} SSIM {whole.ssim:.2f} "
        f"{whole.ssim_bounds} {'FLAGGED' if found.flagged else 'passes'}, "
        f"{whole.undefined} of {whole.undefined + whole.pairs} undefined; by step {steps}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--slides", type=int, default=10)
    parser.add_argument("--each", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--occlusion", action="store_true")
    parser.add_argument("--sanity_seeds", type=int, default=5)
    args = parser.parse_args()
    network, spec = load(args.model)
    index = spec.class_names.index("tumour")
    images, truth, names = crops(args.out, spec, args.slides, args.each)
    print(f"{len(images)} crops of {args.slides} slides, {tuple(images.shape[2:])} px")
    methods = ["grad_cam", "cam"] + ["occlusion"] * args.occlusion
    maps = {}
    for method in methods:
        start = time.process_time()
        maps[method] = mapped(network, images, index, method)
        print(f"{method}: {(time.process_time() - start) / len(images):.2f} CPU s per crop")
    print("method, hit, energy, coverage, hit - coverage, undefined")
    for row in pointing(maps, truth, names):
        print(line(row))
    if args.seeds:
        print("random weights, hit - coverage")
        mean, low, high = mean_and_interval(random_gains(spec, images, truth, names, args.seeds))
        print(f"  mean {mean:+.3f} ({low:+.3f}, {high:+.3f})")
    patches = most_tumour(images, truth, spec.patch_px or 112)[:50]  # the check is of patches
    checked = {m: partial(mapped, index=index, method=m) for m in ("grad_cam", "cam")}
    checked["guided backprop"] = partial(guided, index=index)  # type: ignore[assignment]
    for name, maps_of in checked.items():
        found = sanity_check(
            network, patches, maps_of, seeds=args.sanity_seeds, groups=names[: len(patches)]
        )
        print(told(name, found), flush=True)


if __name__ == "__main__":
    main()
