"""Score the same model densely and patch by patch, and compare what is found (docs/dense.md).

    python benchmarks/dense_quality.py --demo DEMO          # what `histocnn demo` left
    python benchmarks/dense_quality.py --data DATA --weights FILE --out OUT

The second trains on the west strip of CRC01, validates on a piece of it, and judges on the middle
strip: nothing is chosen on what is judged. Distances are between the
boundary of what is called the class at an operating point and the annotation's, away from the
slide's own edges: the mean of the medians of both directions.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import shapely
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from histocnn.metrics import counts
from histocnn.phantom.pyramid import write_pyramid
from histocnn.phantom.stain import BLOCK_PX
from histocnn.regions.raster import rasterise
from histocnn.scores.scorefile import ScoreFile, open_scores
from histocnn.stages.evaluate import evaluate
from histocnn.stages.predict import predict
from histocnn.stages.tile import tile
from histocnn.stages.train import train

MPP = 1.3  # of CRC01
FINE_PX = 8  # level-0 px of a pixel of the masks whose boundaries are compared
# Of the west strip, y from and to: there is tissue of both classes in validation and around it.
PIECES = {
    "upper": (0, 4096, "train"),
    "inner": (4096, 6144, "val"),
    "lower": (6144, 11264, "train"),
}


def strips(data: Path, out: Path) -> Path:
    """OUT/slides.csv: the west strip as three slides, the middle strip as it is."""
    rows = [("slide_id", "slide_path", "split", "annotation_path", "background")]
    west = openslide.OpenSlide(str(data / "slides" / "CRC01-west.tiff"))
    width = west.dimensions[0]
    drawn = json.loads((data / "annotations" / "CRC01-west.geojson").read_text())
    for name, (top, bottom, split) in PIECES.items():

        def paint(x: int, y: int, top: int = top) -> NDArray[np.uint8]:
            block = west.read_region((x, top + y), 0, (BLOCK_PX, BLOCK_PX))
            white = np.asarray(block)[..., 3:] == 0
            return np.where(white, 255, np.asarray(block)[..., :3]).astype(np.uint8)

        slide, annotation = out / f"west-{name}.tiff", out / f"west-{name}.geojson"
        write_pyramid(slide, paint, (width, bottom - top), MPP)
        box, features = shapely.box(0, top, width, bottom), []
        for feature in drawn["features"]:
            part = shapely.make_valid(shapely.from_geojson(json.dumps(feature["geometry"])))
            part = shapely.transform(part.intersection(box), lambda xy, top=top: xy - (0, top))
            if part.area:
                features.append({**feature, "geometry": json.loads(shapely.to_geojson(part))})
        annotation.write_text(json.dumps({**drawn, "features": features}))
        rows.append((slide.stem, str(slide), split, str(annotation), "Normal"))
    middle = [str(data / f"{kind}/CRC01-middle.{end}") for kind, end in
              (("slides", "tiff"), ("annotations", "geojson"))]  # fmt: skip
    rows.append(("middle", middle[0], "test", middle[1], "Normal"))
    with (out / "slides.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows(rows)
    return out / "slides.csv"


def trained(data: Path, weights: Path, out: Path, epochs: int, patch_px: int) -> tuple[Path, Path]:
    """(slides.csv, grids) with OUT/model trained on the west strip."""
    out.mkdir(parents=True, exist_ok=True)
    slides = strips(data.resolve(), out.resolve())
    tile(slides, out / "grids", patch_px=patch_px, mpp=MPP)
    train(
        out=out / "model",
        data={"patches": out / "grids", "slides": slides,
              "augment": "light", "batch_size": 32, "workers": 1},
        model={"backbone": "squeezenet1_1", "weights": str(weights)},
        trainer={"max_epochs": epochs, "accelerator": "cpu", "enable_progress_bar": False},
    )  # fmt: skip
    return slides, out / "grids"


def boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask that touch others, but for those that touch the slide's edge."""
    return np.asarray(mask & ~binary_erosion(mask, border_value=1))


def distance_um(file: ScoreFile, outlines: Any, class_name: str, threshold: float) -> float:
    """Between the boundary of what is called the class and the annotation's: see the module."""
    grid = file.grid()
    column = file.class_names.index(class_name)
    width, height = file.size_l0
    shape = (height // FINE_PX, width // FINE_PX)
    drawn = rasterise(outlines, shape, (FINE_PX, FINE_PX))
    cells = np.nan_to_num(grid.raster(file.scores()[:, column]), nan=-1) >= threshold
    stride_x, stride_y = grid.stride_l0
    row = np.minimum((np.arange(shape[0]) + 0.5) * FINE_PX // stride_y, cells.shape[0] - 1)
    col = np.minimum((np.arange(shape[1]) + 0.5) * FINE_PX // stride_x, cells.shape[1] - 1)
    called = cells[row.astype(int)[:, None], col.astype(int)[None]]
    edges = [boundary(mask) for mask in (called, drawn)]
    if not all(edge.any() for edge in edges):
        return float("nan")
    to = [distance_transform_edt(~edge) for edge in edges]
    medians = [np.median(to[1][edges[0]]), np.median(to[0][edges[1]])]
    return float(np.mean(medians)) * FINE_PX * file.attributes["slide_mpp"][0]


def at_places(dense: ScoreFile, single: ScoreFile, class_name: str) -> tuple[float, float, int]:
    """AUROC of both on the labelled patches that begin where a window begins, and how many."""
    found = []
    for file in (dense, single):
        places = [tuple(xy) for xy in file.read("coords")["coords"].tolist()]
        column = file.class_names.index(class_name)
        found.append(dict(zip(places, file.scores()[:, column], strict=True)))
    assert single.label_names is not None
    names = np.array([*single.label_names, ""])[single.labels()]
    shared = [
        (found[0][place], score, name == class_name)
        for (place, score), name in zip(found[1].items(), names, strict=True)
        if name and place in found[0] and not np.isnan([score, found[0][place]]).any()
    ]
    if not shared:  # windows are wider than patches, and begin elsewhere
        return float("nan"), float("nan"), 0
    first, second, positive = (np.array(each) for each in zip(*shared, strict=True))
    both = [float(counts.auroc(*counts.cumulative(s, positive)[1:])) for s in (first, second)]
    return both[0], both[1], len(shared)


def compare(slides: Path, grids: Path, model: Path, out: Path, class_name: str) -> None:
    """Score both ways what is for testing, and print a table."""
    from histocnn.regions.annotations import read_annotations

    reports, files = {}, {}
    with slides.open() as lines:
        rows = {row["slide_id"]: row for row in csv.DictReader(lines) if row["split"] == "test"}
    for kind in ("patches", "dense"):
        for slide in rows:
            predict(grids / f"{slide}.h5", model, out / kind, dense=kind == "dense", slides=slides)
        reports[kind] = evaluate(
            out / kind, out / f"report_{kind}", slides=slides, split="test",
        ).report  # fmt: skip
        files[kind] = {file.slide_id: file for file in open_scores(out / kind)}
    print("| | patch by patch | dense |\n|---|---|---|")

    def line(name: str, values: dict[str, Any]) -> None:
        print(f"| {name} | {values['patches']:.4g} | {values['dense']:.4g} |", flush=True)

    line("AUROC", {k: r.patch.figures["macro_auroc"].value for k, r in reports.items()})
    for slide in rows:
        dense, single, count = at_places(files["dense"][slide], files["patches"][slide], class_name)
        line(f"AUROC at {count} places of {slide}", {"patches": single, "dense": dense})
    for point in ("youden", "sensitivity_95", "specificity_95"):
        for rate in ("sensitivity", "specificity"):
            shares = {k: rate_of(r, class_name, point, rate) for k, r in reports.items()}
            line(f"{point}: {rate}", shares)
    if all(report.froc for report in reports.values()):
        line("FROC score", {k: r.froc.figures["froc"].value for k, r in reports.items()})
    for slide, row in rows.items():
        if not row["annotation_path"]:
            continue
        path = slides.parent / row["annotation_path"]
        outlines = read_annotations(path, files["dense"][slide].size_l0).region(class_name)
        for point in ("youden", "sensitivity_95", "specificity_95"):
            line(f"µm from {slide}'s outline, {point}", {
                kind: distance_um(own[slide], outlines, class_name,
                                  own[slide].attributes["thresholds"][class_name][point]["threshold"])
                for kind, own in files.items()
            })  # fmt: skip


def rate_of(report: Any, class_name: str, point: str, rate: str) -> float:
    """Sensitivity or specificity of a class at a stored operating point."""
    [found] = [each for each in report.transfer.points
               if (each.class_name, each.point) == (class_name, point)]  # fmt: skip
    share = getattr(found, rate)
    return float(share.hits / share.of)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--patch_px", type=int, default=224)
    args = parser.parse_args()
    if args.demo:
        model, out = args.demo / "model" / "model.safetensors", args.demo / "dense_quality"
        compare(args.demo / "cohort" / "slides.csv", args.demo / "grids", model, out, "tumour")
    if args.data:
        slides, grids = trained(args.data, args.weights, args.out, args.epochs, args.patch_px)
        compare(slides, grids, args.out / "model" / "model.safetensors", args.out, "Tumor")


if __name__ == "__main__":
    main()
