"""`export --to camelyon16`, judged by the published evaluation, gives `evaluate`'s figure."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from histocnn.cli import main
from histocnn.patches.grid import PatchGrid, build_grid
from histocnn.storage import store
from tests.camelyon16_published import (
    LEVEL,
    MPP,
    Ring,
    Truth,
    annotation_mask,
    froc_of,
    inside,
    random_truth,
    read_csv,
)

pytestmark = pytest.mark.usefixtures("without_pictures")
PATCH_PX, PATCH_MPP = 112, 1.05  # 482.46 level-0 px: no whole number
OVERLAPS = {"apart": 0, "half": 56, "third": 75}  # px
FEW = [(seed, list(OVERLAPS)[seed % 3]) for seed in range(12)]
MANY = [(seed, name) for seed in range(200) for name in OVERLAPS if (seed, name) not in FEW]
COHORTS = [*FEW, *(pytest.param(*each, marks=pytest.mark.slow) for each in MANY)]


def write_annotation(path: Path, truth: Truth) -> None:
    regions = [(rings, "tumour") for rings in truth.tumour]
    regions += [([ring], "Exclusion") for ring in truth.exclusion]
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[*r, r[0]] for r in rings]},
            "properties": {"objectType": "annotation", "classification": {"name": name}},
        }
        for rings, name in regions
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def patch_scores(rng: np.random.Generator, grid: PatchGrid, truth: Truth) -> np.ndarray:
    """Higher in tumour, in steps of 1/50 so that many are equal; some are missing."""
    mask, centre = annotation_mask(truth), grid.boxes_l0().reshape(-1, 2, 2).mean(axis=1)
    column, row = (centre / 2**LEVEL).astype(int).T
    tumour = mask[np.minimum(row, mask.shape[0] - 1), np.minimum(column, mask.shape[1] - 1)]
    p = 1 / (1 + np.exp(-rng.normal(size=len(grid)) * 1.2 + 2 - 1.5 * tumour))
    p = np.round(p * 50) / 50
    scores = np.stack([1 - p, p], axis=1).astype(np.float32)
    scores[rng.random(len(grid)) < 0.03] = np.nan
    return scores


def write_cohort(folder: Path, seed: int, overlap_px: int) -> dict[str, Truth]:
    rng = np.random.default_rng(seed)
    cohort = {}
    (folder / "scores").mkdir(parents=True)
    rows = [["slide_id", "slide_path", "annotation_path", "background"]]
    for i in range(rng.integers(3, 7)):
        slide_id, truth = f"slide_{i}", random_truth(rng, tumour=i % 2 == 0)
        grid = build_grid(
            truth.size, (MPP, MPP), patch_px=PATCH_PX, mpp=PATCH_MPP, overlap_px=overlap_px
        )
        grid = grid.select(rng.random(len(grid)) < 0.9)  # the rest is no tissue
        store.write(
            folder / "scores" / f"{slide_id}.h5",
            {
                "coords": grid.coords,
                "cell": grid.cell,
                "labels": np.arange(len(grid)) % 2,
                "scores": patch_scores(rng, grid, truth),
            },
            {
                **grid.attributes(),
                "slide_id": slide_id,
                "labels.class_names": ["normal", "tumour"],
                "scores.class_names": ["normal", "tumour"],
                "seen": "no",
            },
        )
        (folder / f"{slide_id}.tif").write_bytes(b"not looked at")
        drawn = bool(truth.tumour or truth.exclusion)
        if drawn:
            write_annotation(folder / f"{slide_id}.geojson", truth)
        rows.append(
            [slide_id, f"{slide_id}.tif", f"{slide_id}.geojson" * drawn, "normal"],
        )
        cohort[slide_id] = truth
    with (folder / "slides.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return cohort


class Case(NamedTuple):
    """A cohort of scores, and how its detections are made."""

    folder: Path
    truth: dict[str, Truth]
    chosen: list[str]

    def export(self, name: str, *more: str) -> Path:
        words = ["--to", "camelyon16", "--class_name", "tumour", *self.chosen, *more]
        return self._run("export", name, *words)

    def evaluate(self, name: str, *more: str) -> dict[str, Any]:
        words = ["--slides", str(self.slides), "--replicates", "1", *more]
        out = self._run("evaluate", name, *words)
        froc: dict[str, Any] = json.loads((out / "metrics.json").read_text())["froc"]
        return froc

    @property
    def slides(self) -> Path:
        return self.folder / "slides.csv"

    def _run(self, command: str, name: str, *words: str) -> Path:
        out = self.folder / name
        scores = str(self.folder / "scores")
        assert main([command, "--scores", scores, "--out", str(out), *words]) == 0
        return out


def case_of(folder: Path, seed: int, overlap: str) -> Case:
    radius_um, min_prob = [75, 117.6, 200][seed % 3], [0.1, 0.3][seed % 2]
    chosen = ["--radius_um", str(radius_um), "--min_prob", str(min_prob)]
    return Case(folder, write_cohort(folder, seed, OVERLAPS[overlap]), chosen)


@pytest.mark.parametrize(("seed", "overlap"), COHORTS)
def test_the_published_evaluation_gives_evaluates_figure(
    tmp_path: Path, seed: int, overlap: str
) -> None:
    case = case_of(tmp_path, seed, overlap)
    exported = case.export("csv", "--slides", str(case.slides))
    own = case.evaluate("own", *case.chosen)
    assert own["n"] == len(case.truth)
    published = froc_of(exported, case.truth)
    assert own["figures"]["froc"]["value"] == pytest.approx(published, abs=1e-9)


@pytest.mark.parametrize("overlap", list(OVERLAPS))
def test_exported_detections_are_those_that_are_judged(tmp_path: Path, overlap: str) -> None:
    """Read back they give the same figure; none is excluded, and those that were are counted."""
    case = case_of(tmp_path, 0, overlap)
    exported = case.export("csv", "--slides", str(case.slides))
    own = case.evaluate("own", *case.chosen)
    again = case.evaluate("again", "--detections", str(exported))
    assert again["figures"] == own["figures"]
    assert again["excluded_detections"] == 0
    everything, left_out = case.export("whole"), 0
    for slide_id, truth in case.truth.items():
        lines = (everything / f"{slide_id}.csv").read_text().splitlines()
        x, y = (np.array(v, float) for v in read_csv(everything / f"{slide_id}.csv")[1:])
        excluded = in_any(truth.exclusion, x, y)
        kept = [line for line, out_of in zip(lines, ~excluded, strict=True) if out_of]
        assert (exported / f"{slide_id}.csv").read_text().splitlines() == kept
        left_out += int(excluded.sum())
    assert own["excluded_detections"] == left_out > 0


def in_any(rings: list[Ring], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.any([np.zeros(len(x), bool), *(inside(ring, x, y) for ring in rings)], axis=0)
