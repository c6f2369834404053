"""One truth, whatever a slide's frame, grid and history: held to counting pixels.

The matrix is frame × overlap × exclusion × on or off a grid × annotated before, after or edited
since tiling × coverage options; by default so many that every two choices meet.
"""

from __future__ import annotations

import csv
import json
from itertools import combinations, product
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest

from histocnn.cohort.seen import NOT_SEEN
from histocnn.patches.patches import FilePatches
from histocnn.regions import annotations
from histocnn.scores.scoring import Scoring, write_scores
from histocnn.stages.evaluate import evaluate
from histocnn.stages.export import export
from histocnn.stages.tile import tile
from histocnn.storage import store
from tests import truth_oracle as oracle
from tests.slide_files import write_bounds_slide
from tests.truth_oracle import Box, Drawn, Scene

SIZE, MPP, SIDE = (1024, 768), 2.0, 32
TISSUE: Box = (128, 64, 704, 704)
BOUNDS = {"a": (64, 32, 896, 704), "b": (32, 64, 640, 640)}
OFF_L0 = (8, 4)
RADIUS_UM, LEAST = 150.0, 0.3
CLASSES = ["normal", "tumour"]

TUMOUR = [((200, 120, 372, 300), (256, 176, 296, 216)), ((600, 400, 760, 640), None),
          ((500, 180, 540, 220), None)]  # fmt: skip
EXCLUSION = [(180, 270, 300, 400), (420, 490, 600, 690)]
OLD = Drawn([((160, 500, 400, 620), None)])


class Choice(NamedTuple):
    """One cell of the matrix."""

    frame: str
    overlap: int
    excluding: bool
    on_grid: bool
    annotated: str
    coverage: tuple[float, float]  # label_coverage, max_background_coverage


WAYS = (("bounds", "slide"), (0, 16), (False, True), (True, False), ("before", "after", "edited"),
        ((0.5, 0.0), (0.75, 0.0), (0.5, 0.25)))  # fmt: skip
ALL = [Choice(*each) for each in product(*WAYS)]


def pairs(choice: Choice) -> set[tuple[Any, ...]]:
    return set(combinations(enumerate(choice), 2))


def few() -> list[Choice]:
    """So many of the matrix that every two choices meet in one."""
    wanted, found = set().union(*map(pairs, ALL)), []
    while wanted:
        found.append(max(ALL, key=lambda choice: len(pairs(choice) & wanted)))
        wanted -= pairs(found[-1])
    return found


FEW = few()
REST = [choice for choice in ALL if choice not in FEW]
MATRIX = [*FEW, *(pytest.param(each, marks=pytest.mark.slow) for each in REST)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, without_pictures: None) -> None:
    monkeypatch.setattr(
        "histocnn.pictures.grid_picture.tile_overview", lambda *args, **kwargs: None
    )


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slides a and b, of which only a part was scanned, and their tissue."""
    folder = tmp_path_factory.mktemp("slides")
    for slide_id, bounds in BOUNDS.items():
        write_bounds_slide(folder / f"{slide_id}.scn", size=SIZE, bounds=bounds, mpp=MPP)
    mask = np.zeros((SIZE[1] // 8, SIZE[0] // 8), np.uint8)
    x0, y0, x1, y1 = (edge // 8 for edge in TISSUE)
    mask[y0:y1, x0:x1] = 255
    cv2.imwrite(str(folder / "tissue.png"), mask)
    return folder


def ring(box: Box, origin: tuple[int, int]) -> list[list[int]]:
    x0, y0, x1, y1 = box
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
    return [[x - origin[0], y - origin[1]] for x, y in corners]


def write_annotation(path: Path, drawn: Drawn, frame: str) -> None:
    """As QuPath writes it for slide a: relative to its bounds, or not."""
    origin = BOUNDS["a"][:2] if frame == "bounds" else (0, 0)
    regions = [([outer, *([hole] if hole else [])], "tumour") for outer, hole in drawn.tumour]
    regions += [([box], "Exclusion") for box in drawn.exclusion]
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring(box, origin) for box in boxes]},
            "properties": {"objectType": "annotation", "classification": {"name": name}},
        }
        for boxes, name in regions
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def write_table(folder: Path, slides: Path, *, annotated: bool) -> Path:
    rows = [["slide_id", "slide_path", "patient_id", "annotation_path", "background",
             "tissue_path"]]  # fmt: skip
    for slide_id in BOUNDS:
        annotation = str(folder / "a.geojson") if annotated and slide_id == "a" else ""
        rows.append([slide_id, str(slides / f"{slide_id}.scn"), f"patient {slide_id}", annotation,
                     "normal", str(slides / "tissue.png")])  # fmt: skip
    with (folder / "slides.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "slides.csv"


def tiled(folder: Path, slides: Path, choice: Choice, today: Drawn) -> Path:
    """The cohort's grids, tiled with what was drawn then; the annotation is today's afterwards."""
    before = OLD if choice.annotated == "edited" else today
    write_annotation(folder / "a.geojson", before, choice.frame)
    table = write_table(folder, slides, annotated=choice.annotated != "after")
    result = tile(
        table, folder / "grids", patch_px=SIDE, mpp=MPP, overlap_px=choice.overlap,
        frame=choice.frame, label_coverage=choice.coverage[0],
        max_background_coverage=choice.coverage[1],
    )  # fmt: skip
    assert result.exit_code == 0
    write_annotation(folder / "a.geojson", today, choice.frame)
    write_table(folder, slides, annotated=True)
    return folder / "grids"


def score(grids: Path, scores: Path, choice: Choice, tumour: dict[str, np.ndarray]) -> None:
    """Write scores as predict does, some of them NaN; off a grid as other tools' files are."""
    for slide_id, p in tumour.items():
        datasets, attributes = FilePatches(grids / f"{slide_id}.h5").carried()
        if not choice.on_grid:
            datasets = {"coords": datasets["coords"] + np.array(OFF_L0)}
            attributes = {name: v for name, v in attributes.items() if "class_names" not in name}
        write_scores(
            scores / f"{slide_id}.h5", (datasets, attributes),
            {"scores": np.stack([1 - p, p], axis=1).astype(np.float32)},
            Scoring(CLASSES, {"stage": "predict"}, [NOT_SEEN]),
        )  # fmt: skip


def probabilities(share: np.ndarray, boxes: list[Box], rng: np.random.Generator) -> np.ndarray:
    """In steps of 1/2048, so that sums are exact; one tumour likely, the right one less than b's
    false positives, some missing."""
    p = rng.integers(0, 768, len(share)) / 1024 + np.where(share > 0.3, 0.25, 0)
    p[(share > 0) & (np.array(boxes)[:, 0] >= 576)] /= 2
    p[rng.random(len(share)) < 0.02] = np.nan
    return p


@pytest.mark.parametrize("choice", MATRIX, ids=lambda choice: "-".join(map(str, choice)))
def test_one_truth(
    tmp_path: Path, slides: Path, choice: Choice, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = Drawn(TUMOUR, itc=[2], exclusion=EXCLUSION if choice.excluding else ())
    scenes = [Scene(SIZE, MPP, TISSUE, drawn) for drawn in (today, Drawn())]
    stride = SIDE - choice.overlap
    at = oracle.kept(scenes[0], SIDE, stride)
    moved = (0, 0) if choice.on_grid else OFF_L0
    boxes = [tuple(np.add(box, (*moved, *moved)).tolist()) for box in at]
    truths = [oracle.labelled(scene, boxes, *choice.coverage) for scene in scenes]

    grids = tiled(tmp_path, slides, choice, today)
    for slide_id, scene in zip(BOUNDS, scenes, strict=True):
        stored = store.read(grids / f"{slide_id}.h5")
        assert stored["coords"].tolist() == [list(box[:2]) for box in at]
        if choice.annotated == "before":
            check_grid(stored, oracle.labelled(scene, at, *choice.coverage))
    rng = np.random.default_rng(0)
    p = {s: probabilities(t.share, boxes, rng) for s, t in zip(BOUNDS, truths, strict=True)}
    score(grids, tmp_path / "scores", choice, p)
    parsed = []
    real = annotations.read_drawing
    monkeypatch.setattr(annotations, "read_drawing", lambda path: parsed.append(path) or real(path))
    report = evaluate(
        tmp_path / "scores", tmp_path / "report", slides=tmp_path / "slides.csv", replicates=1,
        radius_um=RADIUS_UM, min_prob=LEAST,
    ).report  # fmt: skip
    assert len(parsed) == 1  # labels, border, areas and lesions are of one reading

    together = np.concatenate(list(p.values()))
    scored = ~np.isnan(together)
    for section, name in ((report.patch, "label"), (report.with_border, "with_border")):
        label = np.concatenate([getattr(truth, name) for truth in truths])
        known = scored & (label >= 0)
        if section is None:  # nothing lies at the border
            assert np.array_equal(label, np.concatenate([truth.label for truth in truths]))
            continue
        assert section.n == known.sum()
        assert [list(row) for row in section.confusion] == oracle.confusion(
            together[known], label[known]
        )
        found = section.per_class["tumour"]["auroc"].value
        assert found == pytest.approx(oracle.auroc(together[known], label[known] == 1), abs=1e-9)

    as_stored = choice.annotated == "before" and choice.on_grid
    drawn, in_tissue, in_patches = oracle.areas_um2(scenes[0], boxes)
    area = report.areas["tumour"]
    assert area.annotated_um2 == pytest.approx(drawn, rel=1e-9)
    assert area.in_patches_um2 == pytest.approx(in_patches, rel=1e-9)
    assert area.in_tissue_um2 == (pytest.approx(in_tissue, rel=1e-9) if as_stored else None)
    check_said(report.notes, choice)
    if not choice.on_grid:
        assert report.froc is None
        assert report.slide is None
        return
    points = [
        oracle.detections(scene, oracle.heat(scene, boxes, p[s], stride), stride, RADIUS_UM, LEAST)
        for s, scene in zip(BOUNDS, scenes, strict=True)
    ]
    check_exported(tmp_path, points, choice, today)
    expected, left_out = oracle.froc(scenes, points)
    assert 0 < expected < 1
    assert report.froc.lesions == 2
    assert report.froc.excluded_detections == left_out
    assert (left_out > 0) == choice.excluding
    assert report.froc.figures["froc"].value == pytest.approx(expected, abs=1e-9)


def check_exported(
    folder: Path, points: list[list[tuple[float, int, int]]], choice: Choice, today: Drawn
) -> None:
    """Exported are the same detections; the grid says in which frame its exclusion is drawn."""
    result = export(
        folder / "scores", folder / "csv", "camelyon16", class_name="tumour",
        radius_um=RADIUS_UM, min_prob=LEAST, slides=folder / "slides.csv",
    )  # fmt: skip
    assert result.exit_code == 0
    for slide_id, found in zip(BOUNDS, points, strict=True):
        boxes = today.exclusion if slide_id == "a" else ()
        kept = [[x, y] for _, x, y in found if not any(
            x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in boxes
        )]  # fmt: skip
        lines = (folder / "csv" / f"{slide_id}.csv").read_text().split()
        assert [[int(number) for number in line.split(",")[1:]] for line in lines] == kept
        assert (len(kept) < len(found)) == (choice.excluding and slide_id == "a")


def check_grid(stored: dict[str, Any], truth: oracle.Labelled) -> None:
    """What tile stores of each patch."""
    assert stored["labels"].tolist() == truth.label.tolist()
    if truth.share.any():  # else tumour is no class of the slide
        assert stored["coverage"][:, 1] == pytest.approx(truth.share, abs=1e-9)
    assert stored["excluded"].tolist() == truth.excluded.tolist()
    states = np.select([truth.excluded, truth.label >= 0], [2, 0], 1)
    assert stored["state"].tolist() == states.tolist()


def check_said(notes: tuple[str, ...], choice: Choice) -> None:
    """The report says why labels are not as stored."""
    said = {
        "before": "" if choice.on_grid else "the score files hold no labels: a",
        "after": "they were tiled without this annotation: a",
        "edited": "the annotation was edited after tiling: a",
    }[choice.annotated]
    remarks = [note for note in notes if note.startswith("Labelled again")]
    assert any(said in note for note in remarks) == bool(said)
    assert bool(remarks) == bool(said)
    lacking = [note for note in notes if "which need a grid" in note]
    assert len(lacking) == (not choice.on_grid)
