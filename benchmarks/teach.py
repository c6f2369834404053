"""How many clicks teach a slide's map, and how many fewer where histocnn says where to click.

    histocnn tile --slides slides.csv --out grids --patch_px 112 --mpp 1.3 --overlap_px 68
    histocnn embed --patches grids --out features --backbone squeezenet1_1 --weights FILE
    python benchmarks/teach.py choose features/CRC01-west.h5 --patches 4000
    python benchmarks/teach.py measure features/CRC01-middle.h5
    python benchmarks/teach.py clock features/CRC01-middle.h5

slides.csv names both strips with their annotations and the background Normal. `choose` compares on
one slide (on patches drawn from it) how many of the first clicks shall be unlike what is labelled
before uncertainty weighs (`suggesting.FIRST`), and the other rules; `measure` takes the rule as it
stands to the other slide, once.

A session begins with one patch of each class, drawn by the seed; every later click answers with
what the patch shows most of. The figure is the AUROC of the map on all patches whose truth is
plain (not crossed by an outline), after each click; its mean over the clicks is the area under the
curve. Chance clicks on patches in random order, from the same two.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, t

from histocnn.patches import door
from histocnn.reference.features import load
from histocnn.reference.neighbours import Knn
from histocnn.reference.votes import vote
from histocnn.scores.scorefile import ScoreFile
from histocnn.storage import store
from histocnn.viewing.nearest import Nearest
from histocnn.viewing.neighbour_map import NeighbourMap, TaughtMap
from histocnn.viewing.suggesting import FIRST, Rule, Suggester
from histocnn.viewing.teaching import Teaching

CLICKS = 60  # of the area under the curve
MOST = 200  # until which SHARE is waited for
FIRSTS = (2, 10, 20, 30)  # 2: uncertainty weighs from the beginning
SHOWN = (2, 5, 10, 20, 40, 60)
SHARE = 0.95  # of the AUROC with all labels
Floats = NDArray[np.float64]


class Slide:
    """A slide's features with the truth of its patches, asked by clicks."""

    def __init__(self, file: Path, patches: int | None = None) -> None:
        self.features = load([file])
        if patches is not None:
            drawn = np.random.default_rng(1).permutation(len(self.features))[:patches]
            self.features = self.features.only(np.sort(drawn))
        placed = ScoreFile(file, door.attributes(file), store.shapes(file), ())
        self.boxes_l0 = placed.boxes_l0()
        self.names = self.features.class_names
        self.plain = self.features.labels >= 0
        rest = self.names.index("Normal")  # of a crossed patch less than half is tumour
        self.answers = np.where(self.plain, self.features.labels, rest)
        self.tumour = self.names.index("Tumor")
        self.map = NeighbourMap(self.features, len(self.boxes_l0))
        self.suggester = Suggester(self.map.points, self.features.row, self.boxes_l0)

    def auroc(self, taught: TaughtMap) -> float:
        """Of the map on the plain patches."""
        column = taught.class_names.index(self.names[self.tumour])
        return self.auroc_of(taught.scores[self.features.row, column])

    def auroc_of(self, scores: NDArray[np.float32]) -> float:
        """Of scores [n], by the rank sum."""
        positive = self.features.labels[self.plain] == self.tumour
        ranks, n = rankdata(scores[self.plain]), int(positive.sum())
        return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(ranks) - n)))

    def session(
        self, seed: int, rule: Rule | None, first: int = FIRST, clicks: int = CLICKS
    ) -> Floats:
        """AUROC after 2, 3, … clicks by a rule; None: by chance."""
        rng = np.random.default_rng(seed)
        labels = np.full(len(self.boxes_l0), -1)
        for number in range(len(self.names)):
            plain = np.flatnonzero(self.features.labels == number)
            labels[self.features.row[rng.choice(plain)]] = number
        chance = iter(self.features.row[rng.permutation(len(self.features))])
        answers = np.full(len(self.boxes_l0), -1)
        answers[self.features.row] = self.answers
        self.suggester.first = first
        curve = []
        while True:
            taught = self.map.map(labels, self.names)
            assert taught is not None
            curve.append(self.auroc(taught))
            if len(curve) == clicks - 1:
                return np.array(curve)
            if rule is None:
                row = next(row for row in chance if labels[row] < 0)
            else:
                nearest = self.map.nearest()
                [found] = self.suggester.suggest(rule, 1, taught, nearest, labels)
                row = found.row
            labels[row] = answers[row]

    def with_all_labels(self) -> float:
        """AUROC where every patch is judged by the 20 nearest of all others."""
        knn, points = Knn(), self.map.points
        near = Nearest(points, knn)
        near.add(points, np.arange(len(points)))
        others = near.ids[:, 1:], near.distances[:, 1:]  # itself is its nearest
        scores = vote(self.answers[others[0]], others[1], len(self.names), knn.weights)
        return self.auroc_of(scores[:, self.tumour])


def interval(differences: Floats) -> str:
    """Mean of paired differences with its 95 % interval by Student's t."""
    half = t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / len(differences) ** 0.5
    mean = differences.mean()
    return f"{mean:+.4f} [{mean - half:+.4f}, {mean + half:+.4f}]"


def row_of(curves: Floats) -> str:
    """Mean AUROC after some clicks."""
    return "  ".join(f"{curves[:, n - 2].mean():.3f}" for n in SHOWN)


def reached(curves: Floats, least: float) -> str:
    """Median clicks until an AUROC is reached, and in how many sessions it is."""
    ever = (curves >= least).any(axis=1)
    clicks = np.where(ever, (curves >= least).argmax(axis=1) + 2, np.inf)
    return f"median {np.median(clicks):.0f} (reached in {ever.sum()} of {len(curves)})"


def choose(slide: Slide, seeds: int) -> None:
    """Compare rules, and how many of the first clicks shall be unlike."""
    chance = np.array([slide.session(seed, None) for seed in range(seeds)])
    print(
        f"AUROC after {SHOWN} clicks\nchance       {chance.mean():.4f}  {row_of(chance)}",
        flush=True,
    )
    tried: list[tuple[Rule, int]] = [("combined", first) for first in FIRSTS]
    tried += [("unlike", 0), ("uncertain", 0), ("novel", 0)]
    for rule, first in tried:
        curves = np.array([slide.session(seed, rule, first) for seed in range(seeds)])
        gain = interval(curves.mean(axis=1) - chance.mean(axis=1))
        name = f"{rule} {first}" if first else rule
        print(f"{name:11s}  {curves.mean():.4f}  {row_of(curves)}  {gain}", flush=True)


def measure(slide: Slide, seeds: int) -> None:
    """Compare the rule as it stands with chance."""
    full = slide.with_all_labels()
    print(f"all labels, each patch by the 20 nearest others: AUROC {full:.4f}", flush=True)
    pairs = [
        (slide.session(seed, None, clicks=MOST), slide.session(seed, "combined", clicks=MOST))
        for seed in range(seeds)
    ]
    chance, combined = (np.array(curves) for curves in zip(*pairs, strict=True))
    print(f"AUROC after {SHOWN} clicks")
    for name, curves in (("chance", chance), ("combined", combined)):
        area = curves[:, : CLICKS - 1].mean()
        print(f"{name:9s} area {area:.4f}  {row_of(curves)}; {SHARE:.0%} of all labels': "
              f"{reached(curves, SHARE * full)}")  # fmt: skip
    differences = (combined - chance)[:, : CLICKS - 1].mean(axis=1)
    print(f"area to {CLICKS} clicks, combined - chance: {interval(differences)}")


def clock(file: Path) -> None:
    """Time from a click to the new map, in a session as the viewer has it."""
    teaching = Teaching(file, Path("taught"))
    rows = np.random.default_rng(0).permutation(len(teaching.boxes_l0))[:CLICKS]
    wall, cpu = [], []
    for number, row in enumerate(rows.tolist()):
        start, started = time.perf_counter(), time.process_time()
        teaching.label([row], "ab"[number % 2])
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - started)
    print(
        f"{len(rows):,} clicks on {len(teaching.boxes_l0):,} patches, each to the new map: "
        f"median {np.median(wall):.3f} s, longest {max(wall):.3f} s; "
        f"CPU {np.median(cpu):.3f} and {max(cpu):.3f} s"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["choose", "measure", "clock"])
    parser.add_argument("features", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--patches", type=int, help="draw so many of the slide's")
    options = parser.parse_args()
    if options.what == "clock":
        clock(options.features)
    else:
        {"choose": choose, "measure": measure}[options.what](
            Slide(options.features, options.patches), options.seeds
        )
