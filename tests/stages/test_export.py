"""`histocnn export`: every format says where level 0 has it, and reads back as what it was."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import shapely
import tifffile
from shapely.affinity import translate
from shapely.geometry import shape

from histocnn.cli import main
from histocnn.metrics.detections import read_detections
from histocnn.patches.grid import PatchGrid
from histocnn.patches.labels import coverage, labels_of
from histocnn.regions.annotations import read_annotations
from histocnn.scores.scored import most_likely, read_scored
from histocnn.slides.slide import Slide
from histocnn.stages.export import export
from histocnn.storage import store
from tests.score_files import CLASSES, grid_of, random_scores, write_scores
from tests.slide_files import position_image, write_bounds_slide, write_pyramid

NOT_SCORED = 7  # the row without scores


class Case(NamedTuple):
    file: Path
    slide: Slide
    grid: PatchGrid
    scores: np.ndarray


# patch_px, mpp, overlap_px: integer and other ratios to level 0, overlap, a slide with bounds
GEOMETRY = {
    "integer": (64, 1.0, 0),
    "other": (61, 0.73, 0),
    "overlap": (64, 0.73, 21),
    "bounds": (64, 0.6, 0),
}


@pytest.fixture(scope="module", params=list(GEOMETRY))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "bounds":
        slide = Slide(write_bounds_slide(folder / "a.scn"))
        assert slide.bounds_l0 is not None
    else:
        mpp = 0.5 if request.param == "integer" else (0.5, 0.47)
        slide = Slide(write_pyramid(folder / "a.tiff", position_image(901, 700), mpp=mpp))
    grid = grid_of(slide, *GEOMETRY[request.param])
    scores = random_scores(len(grid))
    scores[NOT_SCORED] = np.nan
    file = write_scores(folder / "scores" / "a.h5", slide, grid, scores)
    return Case(file, slide, grid, scores)


def run(case: Case, out: Path, to: str, *options: str) -> Path:
    words = ["export", "--scores", str(case.file.parent), "--out", str(out), "--to", to, *options]
    assert main(words) == 0
    suffixes = {"ome-tiff": "ome.tiff", "asap": "xml", "camelyon16": "csv"}
    return out / f"a.{suffixes.get(to, to)}"


def expected_box(case: Case, row: int) -> list[float]:
    """minx, miny, maxx, maxy of a patch by the definition, cut at the slide's edge."""
    grid, (mpp_x, mpp_y) = case.grid, case.slide.require_mpp()
    down, right = case.grid.cell[row]
    stride = (grid.patch_px - grid.overlap_px) * grid.mpp
    size = grid.patch_px * grid.mpp
    left, top = right * stride / mpp_x, down * stride / mpp_y
    width, height = case.slide.size_l0
    return [left, top, min(left + size / mpp_x, width), min(top + size / mpp_y, height)]


def test_detections_lie_on_their_patches_with_their_scores(case: Case, tmp_path: Path) -> None:
    collection = json.loads(run(case, tmp_path, "geojson").read_text())
    rows = [row for row in range(len(case.grid)) if row != NOT_SCORED]
    assert len(collection["features"]) == len(rows)
    x, y = case.slide.bounds_l0[:2] if case.slide.bounds_l0 else (0, 0)
    assert collection["histocnn_frame"]["origin_l0"] == [x, y]
    for feature, row in zip(collection["features"], rows, strict=True):
        found = np.array(shape(feature["geometry"]).bounds) + np.array([x, y, x, y])
        assert np.abs(found - expected_box(case, row)).max() <= 0.01
        properties = feature["properties"]
        assert properties["objectType"] == "detection"
        assert properties["classification"]["name"] == CLASSES[case.scores[row].argmax()]
        for name, score in zip(CLASSES, case.scores[row], strict=True):
            assert properties["measurements"][f"prob_{name}"] == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("frame", ["bounds", "slide"])
def test_geojson_reads_back_as_the_same_patches(case: Case, tmp_path: Path, frame: str) -> None:
    path = run(case, tmp_path, "geojson", "--frame", frame)
    read = read_annotations(path, case.slide.size_l0, case.slide.bounds_l0, frame=frame)
    boxes = np.array([expected_box(case, row) for row in range(len(case.grid))])
    expected = most_likely(case.scores)
    for index, name in enumerate(CLASSES):
        squares = shapely.box(*boxes[expected == index].T)
        difference = read.classes[name].symmetric_difference(shapely.union_all(squares))
        assert difference.area <= 0.01 * shapely.length(squares).sum()  # a hundredth of a pixel
    if (
        case.grid.overlap_px
    ):  # such patches are no partition of the slide: two classes may cover one
        return
    excluded = np.zeros(len(boxes), bool)
    labels = labels_of(coverage(read, boxes, CLASSES), CLASSES, excluded=excluded, background=None)
    assert labels.tolist() == expected.tolist()
    assert labels[NOT_SCORED] == -1


def test_merged_regions_are_the_cells_above_the_threshold(case: Case, tmp_path: Path) -> None:
    path = run(case, tmp_path, "geojson", "--merge", "0.5", "--class_name", "tumour")
    features = json.loads(path.read_text())["features"]
    assert {f["properties"]["classification"]["name"] for f in features} == {"tumour"}
    assert {f["properties"]["objectType"] for f in features} == {"annotation"}
    read = read_annotations(path, case.slide.size_l0, case.slide.bounds_l0)
    raster = case.grid.raster(case.scores)[..., 1]
    down, across = (side for side in case.grid.stride_l0[::-1])
    slide = shapely.box(0, 0, *case.slide.size_l0)
    expected = shapely.union_all(
        [
            shapely.box(col * across, row * down, (col + 1) * across, (row + 1) * down) & slide
            for row, col in np.argwhere(raster >= 0.5)
        ]
    )
    assert read.classes["tumour"].symmetric_difference(expected).area < 0.01
    mpp_x, mpp_y = case.slide.require_mpp()
    total = sum(f["properties"]["measurements"]["area mm2"] for f in features)
    assert total == pytest.approx(expected.area * mpp_x * mpp_y / 1e6, abs=1e-6 * len(features))
    best = max(f["properties"]["measurements"]["highest probability"] for f in features)
    assert best == pytest.approx(np.nanmax(raster), abs=1e-4)


def test_merged_outlines_have_no_needless_corner(tmp_path: Path) -> None:
    """A bar of three cells, and a ring around a hole."""
    slide = Slide(write_pyramid(tmp_path / "a.tiff", position_image(640, 640)))
    grid = grid_of(slide, 64, 0.5)
    high = {(0, 0), (0, 1), (0, 2)} | {(r, c) for r in (4, 5, 6) for c in (4, 5, 6)} - {(5, 5)}
    tumour = np.array([0.9 if tuple(cell) in high else 0.1 for cell in grid.cell.tolist()])
    scores = np.stack([1 - tumour, tumour], axis=1).astype(np.float32)
    file = write_scores(tmp_path / "scores" / "a.h5", slide, grid, scores)
    case = Case(file, slide, grid, scores)
    options = ("--merge", "0.5", "--class_name", "tumour")
    features = json.loads(run(case, tmp_path, "geojson", *options).read_text())["features"]
    bar, ring = (shape(f["geometry"]) for f in features)
    assert bar.equals(shapely.box(0, 0, 192, 64))
    assert ring.equals(shapely.box(256, 256, 448, 448) - shapely.box(320, 320, 384, 384))
    assert shapely.get_num_coordinates([bar, ring]).tolist() == [5, 10]
    # ASAP has no holes: the pieces cover the same.
    xml = run(case, tmp_path, "asap", *options)
    read = read_annotations(xml, slide.size_l0).classes["tumour"]
    assert read.symmetric_difference(bar | ring).area == 0


def test_asap_reads_back_as_the_same_patches(case: Case, tmp_path: Path) -> None:
    read = read_annotations(run(case, tmp_path, "asap"), case.slide.size_l0, case.slide.bounds_l0)
    labels = most_likely(case.scores)
    for index, name in enumerate(CLASSES):
        boxes = [expected_box(case, row) for row in np.flatnonzero(labels == index)]
        expected = shapely.union_all(shapely.box(*np.array(boxes).T))
        assert read.classes[name].symmetric_difference(expected).area < 0.01 * expected.area


def test_csv_has_the_columns_of_wsinfer(case: Case, tmp_path: Path) -> None:
    with run(case, tmp_path, "csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["minx", "miny", "width", "height", "prob_normal", "prob_tumour"]
    assert len(rows) == len(case.grid)
    exact = case.grid.boxes_l0()
    for row, line in enumerate(rows):
        x, y, width, height = (int(line[k]) for k in ("minx", "miny", "width", "height"))
        assert np.abs(np.array([x, y, x + width, y + height]) - exact[row]).max() <= 1
        if row == NOT_SCORED:
            assert line["prob_tumour"] == ""
        else:
            assert float(line["prob_tumour"]) == pytest.approx(case.scores[row, 1], abs=1e-5)


def test_ome_tiff_pixels_lie_on_the_cells(case: Case, tmp_path: Path) -> None:
    with tifffile.TiffFile(run(case, tmp_path, "ome-tiff")) as tiff:
        image = tiff.asarray()
        metadata: dict[str, Any] = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
    rows, cols = case.grid.shape
    assert image.shape == (2, rows, cols)
    assert image.dtype == np.float32
    assert [channel["Name"] for channel in metadata["Channel"]] == list(CLASSES)
    assert metadata["PhysicalSizeXUnit"] == "µm"
    stride = case.grid.patch_px - case.grid.overlap_px
    for axis, name in enumerate("XY"):
        pixel_l0 = metadata[f"PhysicalSize{name}"] / case.slide.require_mpp()[axis]
        exact = case.grid.boxes_l0()[:, axis]
        assert np.abs(case.grid.cell[:, 1 - axis] * pixel_l0 - exact).max() <= 1
        assert metadata[f"PhysicalSize{name}"] == pytest.approx(stride * case.grid.mpp)
    expected = np.moveaxis(case.grid.raster(case.scores), 2, 0)
    assert np.array_equal(image, expected, equal_nan=True)


def test_ome_tiff_is_a_pyramid_of_means_of_what_was_scored(tmp_path: Path) -> None:
    slide = Slide(write_pyramid(tmp_path / "a.tiff", position_image(1301, 900)))
    grid = grid_of(slide, 2, 0.5)
    scores = random_scores(len(grid))
    scores[::3] = np.nan
    file = write_scores(
        tmp_path / "scores" / "a.h5",
        slide,
        grid,
        scores,
        novelty=np.linspace(0, 100, len(grid), dtype=np.float32),
    )
    path = run(Case(file, slide, grid, scores), tmp_path, "ome-tiff")
    with tifffile.TiffFile(path) as tiff:
        levels = [level.asarray() for level in tiff.series[0].levels]
    assert [level.shape for level in levels] == [(3, 450, 651), (3, 225, 326), (3, 113, 163)]
    block = levels[0][0, 10:12, 20:22]
    assert levels[1][0, 5, 10] == pytest.approx(np.nanmean(block), rel=1e-6)
    assert levels[1][0, 5, -1] == pytest.approx(np.nanmean(levels[0][0, 10:12, -1:]), rel=1e-6)
    assert levels[0][2, -1, -1] == 100


def test_camelyon16_detections_are_the_peaks(case: Case, tmp_path: Path) -> None:
    chosen = ("--min_prob", "0.6", "--radius_um", "75")
    path = run(case, tmp_path, "camelyon16", "--class_name", "tumour", *chosen)
    for line in path.read_text().splitlines():
        p, x, y = line.split(",")
        assert (float(p), int(x), int(y)) >= (0.6, 0, 0)  # as the published reader takes them
    found = read_detections(path)
    assert (np.diff(found.prob) <= 0).all()
    heat = case.grid.raster(case.scores[:, 1])
    assert found.prob[0] == np.nanmax(heat)
    row, column = np.argwhere(heat == np.nanmax(heat))[0]
    middle = (np.array([column, row]) + 0.5) * case.grid.stride_l0
    off = np.minimum(middle, np.array(case.slide.size_l0) - 1) - found.xy_l0[0]
    assert ((off >= -1e-6) & (off < 1)).all()  # the pixel that holds the middle of the cell
    assert (found.xy_l0 < case.slide.size_l0).all()
    # Middles beyond the edge were moved onto the slide after the peaks were chosen.
    inner = found.xy_l0[(found.xy_l0 < np.array(case.slide.size_l0) - 1).all(axis=1)]
    distance = np.hypot(*np.moveaxis((inner[:, None] - inner) * case.slide.require_mpp(), 2, 0))
    assert distance[~np.eye(len(distance), dtype=bool)].min() > 74  # 75, in whole pixels


def test_camelyon16_leaves_out_what_is_excluded_and_says_how_much(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--class_name", "tumour", "--radius_um", "0")
    before = run(case, tmp_path / "1", "camelyon16", *options).read_text().splitlines()
    frame = case.slide.bounds_l0[:2] if case.slide.bounds_l0 else (0, 0)  # QuPath's
    excluded = shapely.box(100.5, 100.5, 500.5, 400.5)
    feature = {
        "type": "Feature",
        "geometry": json.loads(shapely.to_geojson(translate(excluded, *(-x for x in frame)))),
        "properties": {"objectType": "annotation", "classification": {"name": "Exclusion"}},
    }
    (tmp_path / "a.geojson").write_text(json.dumps(feature))
    slides = tmp_path / "slides.csv"
    slides.write_text(f"slide_id,slide_path,annotation_path\na,{case.slide.path},a.geojson\n")
    path = run(case, tmp_path / "2", "camelyon16", *options, "--slides", str(slides))
    inside = [shapely.contains_xy(excluded, *map(int, line.split(",")[1:])) for line in before]
    assert 0 < sum(inside) < len(inside)
    assert path.read_text().splitlines() == [
        line for line, out in zip(before, inside, strict=True) if not out
    ]
    said = "".join(capsys.readouterr()) + (tmp_path / "2" / "run.json").read_text()
    assert f"{sum(inside)} detections inside Exclusion left out" in said

    slides.write_text(f"slide_id,slide_path\nb,{case.slide.path}\n")
    path = run(case, tmp_path / "3", "camelyon16", *options, "--slides", str(slides))
    assert path.read_text().splitlines() == before
    assert "slides.csv does not list it: nothing excluded" in "".join(capsys.readouterr())


def test_what_is_done_is_not_done_again(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run(case, tmp_path, "geojson")
    before = path.stat().st_mtime_ns
    run(case, tmp_path, "geojson")
    assert path.stat().st_mtime_ns == before
    run(case, tmp_path, "geojson", "--merge", "0.4")
    assert path.stat().st_mtime_ns != before
    assert "merge" in "".join(capsys.readouterr())


def test_an_empty_slide_gives_empty_files(tmp_path: Path) -> None:
    slide = Slide(write_pyramid(tmp_path / "a.tiff", position_image(300, 200)))
    grid = grid_of(slide, 64, 0.5).select(np.zeros(0, np.int64))
    scores = np.empty((0, 2), np.float32)
    case = Case(
        write_scores(tmp_path / "scores" / "a.h5", slide, grid, scores), slide, grid, scores
    )
    assert json.loads(run(case, tmp_path / "1", "geojson").read_text())["features"] == []
    merged = run(case, tmp_path / "2", "geojson", "--merge", "0.5")
    assert json.loads(merged.read_text())["features"] == []
    assert len(run(case, tmp_path / "3", "csv").read_text().splitlines()) == 1
    assert np.isnan(tifffile.imread(run(case, tmp_path / "4", "ome-tiff"))).all()
    assert "Coordinate " not in run(case, tmp_path / "5", "asap").read_text()
    options = ("--class_name", "tumour")
    assert run(case, tmp_path / "6", "camelyon16", *options).read_text() == ""


# What users get wrong


def refused(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    assert main(["export", *words]) == code
    said = " ".join("".join(capsys.readouterr()).split())
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--to", "geojson", "--merge", "1.5"), "--merge 1.5 is not a probability"),
        (("--to", "camelyon16", "--class_name", "tumour", "--min_prob", "-1"), "--min_prob -1"),
        (("--to", "csv", "--merge", "0.5"), "--merge has no meaning for csv"),
        (("--to", "camelyon16"), "Name it with --class_name"),
        (("--to", "csv", "--slides", "slides.csv"), "--slides has no meaning for csv"),
    ],
)
def test_options_that_cannot_be_meant(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    message: str,
) -> None:
    words = ("--scores", str(tmp_path), "--out", str(tmp_path / "out"), *options)
    assert message in refused(capsys, 2, *words)


def test_a_class_that_is_not_there_is_answered_with_those_that_are(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--scores", str(case.file), "--out", str(tmp_path), "--to", "csv")
    said = refused(capsys, 1, *words, "--class_name", "cancer")
    assert "no scores for class 'cancer'" in said
    assert "normal, tumour" in said


def test_files_without_scores_or_without_a_slide(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, grids, images = (tmp_path / name for name in ("empty", "grids", "images"))
    empty.mkdir()
    words = ("--out", str(tmp_path / "out"), "--to", "csv", "--scores")
    assert "no score files" in refused(capsys, 1, *words, str(empty))
    store.write(grids / "a.h5", {"coords": case.grid.coords}, case.grid.attributes())
    assert "holds no scores" in refused(capsys, 1, *words, str(grids))
    store.write(
        images / "b.h5",
        {"paths": ["1.png"], "scores": np.ones((1, 1), np.float32)},
        {"slide_id": "b", "scores.class_names": ["tumour"]},
    )
    assert "image files without a place" in refused(capsys, 1, *words, str(images))


def test_patches_of_another_grid_are_refused_rather_than_misplaced(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other tools start their grids at the tissue: such patches lie between our cells."""
    datasets = {"coords": case.grid.coords + 9, "scores": case.scores}
    attributes = {**case.grid.attributes(), "slide_id": "a", "scores.class_names": CLASSES}
    store.write(tmp_path / "scores" / "a.h5", datasets, attributes)
    words = ("--scores", str(tmp_path / "scores"), "--out", str(tmp_path / "out"), "--to", "csv")
    assert "up to 9 level-0 pixels off a grid" in refused(capsys, 1, *words)
    datasets = {"coords": case.grid.coords, "cell": case.grid.cell, "scores": case.scores[:, :1]}
    store.write(tmp_path / "scores" / "a.h5", datasets, attributes)
    assert "do not fit" in refused(capsys, 1, *words)


def test_one_broken_file_does_not_stop_the_others(case: Case, tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    folder.mkdir()
    (folder / "a.h5").write_bytes(case.file.read_bytes())
    (folder / "b.h5").write_bytes(case.file.read_bytes()[:2000])
    out = tmp_path / "out"
    assert main(["export", "--scores", str(folder), "--out", str(out), "--to", "csv"]) == 1
    assert (out / "a.csv").exists()
    assert not (out / "b.csv").exists()
    assert "b," in (out / "failures.csv").read_text()


def test_output_that_cannot_be_written(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    words = ("--scores", str(case.file), "--out", str(tmp_path / "file"), "--to", "csv")
    assert "--out" in refused(capsys, 1, *words)


def test_scores_read_back_without_a_bound_slide(case: Case) -> None:
    read = read_scored(case.file)
    assert read.bounds_l0 == case.slide.bounds_l0
    assert np.array_equal(read.scores, case.scores, equal_nan=True)
    assert (read.grid.coords == case.grid.coords).all()


def test_python_gives_text_and_gets_paths(case: Case, tmp_path: Path) -> None:
    result = export(str(case.file), str(tmp_path), to="csv")
    assert result.outputs == [tmp_path / "a.csv"]
    assert result.exit_code == 0
    assert result.to_dataframe().patches.tolist() == [len(case.grid)]
