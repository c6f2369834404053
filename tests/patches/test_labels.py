"""Coverage and labels of patches, against geometry done one box at a time."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from histocnn.patches.labels import area_report, coverage, covered_area, labels_of, touches
from histocnn.regions.annotations import Annotations, read_annotations
from histocnn.regions.tissue import TissueMask


def grid(size: tuple[int, int], patch: float, stride: float) -> NDArray[np.float64]:
    y, x = np.mgrid[0 : size[1] : stride, 0 : size[0] : stride]
    corner = np.stack([x.ravel(), y.ravel()], axis=1)
    return np.concatenate([corner, corner + patch], axis=1)


def drawn(**classes: shapely.Geometry) -> Annotations:
    return Annotations(classes, shapely.Polygon())


def labels(
    rows: list[list[float]],
    names: list[str],
    *,
    excluded: list[bool] | None = None,
    background: str | None = None,
    label_coverage: float = 0.5,
    max_background_coverage: float = 0.0,
) -> list[int]:
    table = np.array(rows, np.float32).reshape(len(rows), len(names))
    mask = np.array(excluded or [False] * len(rows))
    return labels_of(
        table,
        names,
        excluded=mask,
        background=background,
        label_coverage=label_coverage,
        max_background_coverage=max_background_coverage,
    ).tolist()


def test_coverage_by_hand() -> None:
    ring = shapely.box(0, 0, 20, 20).difference(shapely.box(5, 5, 15, 15))
    boxes = np.array([[0, 0, 10, 10], [5, 5, 15, 15], [-10, -10, 10, 10], [30, 30, 40, 40]])
    # 100 - 25 of 100; the hole; 75 of 400, for what lies outside counts; nothing.
    result = coverage(drawn(ring=ring), boxes, ["absent", "ring"])
    assert result.dtype == np.float32
    assert result.tolist() == [[0, 0.75], [0, 0], [0, 0.1875], [0, 0]]


def test_no_boxes_and_no_regions() -> None:
    assert coverage(drawn(), np.zeros((0, 4)), ["a"]).shape == (0, 1)
    assert coverage(drawn(a=shapely.box(0, 0, 1, 1)), np.zeros((0, 4)), ["a"]).shape == (0, 1)
    assert not touches(shapely.Polygon(), grid((10, 10), 5, 5)).any()


points = st.tuples(st.integers(0, 40), st.integers(0, 40))


@settings(max_examples=60, deadline=None)
@given(
    rings=st.lists(st.lists(points, min_size=3, max_size=90), min_size=1, max_size=3),
    patch=st.floats(1.5, 30),
    stride=st.floats(3, 20),
)
def test_coverage_equals_one_intersection_per_box(
    rings: list[list[tuple[int, int]]], patch: float, stride: float
) -> None:
    parts = [shapely.make_valid(shapely.Polygon(ring)) for ring in rings]
    region = shapely.union_all([shapely.buffer(part, 0) for part in parts])
    boxes = grid((40, 40), patch, stride)
    expected = [region.intersection(shapely.box(*box)).area for box in boxes]
    assert covered_area(region, boxes) == pytest.approx(expected, abs=1e-6)


def test_touching_means_sharing_area() -> None:
    boxes = grid((30, 10), 10, 10)
    assert touches(shapely.box(10, 0, 20, 10), boxes).tolist() == [False, True, False]
    assert touches(shapely.box(9.99, 0, 20, 10), boxes).tolist() == [True, True, False]


def test_label_is_the_largest_class_of_enough_coverage() -> None:
    names = ["tumour", "normal"]
    rows = [[0.6, 0.4], [0.2, 0.7], [0.4, 0.45], [0.5, 0.0], [0.0, 0.0]]
    assert labels(rows, names) == [0, 1, -1, 0, -1]
    assert labels(rows, names, label_coverage=0.4) == [0, 1, 1, 0, -1]
    assert labels(rows, names, label_coverage=0.0) == [0, 1, 1, 0, -1]


def test_ties_go_by_class_name() -> None:
    assert labels([[0.5, 0.5]], ["tumour", "normal"]) == [1]
    assert labels([[0.5, 0.5]], ["normal", "tumour"]) == [0]


def test_background_needs_a_bare_patch_and_a_name() -> None:
    names = ["normal", "tumour"]
    rows = [[0, 0], [0, 0.01], [0, 0.2], [0, 0.8]]
    assert labels(rows, names) == [-1, -1, -1, 1]
    assert labels(rows, names, background="normal") == [0, -1, -1, 1]
    assert labels(rows, names, background="normal", max_background_coverage=0.1) == [0, 0, -1, 1]
    assert labels([[]], [], background=None) == [-1]


def test_excluded_patches_are_unknown() -> None:
    names = ["normal", "tumour"]
    rows = [[0, 0], [0, 1], [0, 1]]
    marks = [True, True, False]
    assert labels(rows, names, background="normal", excluded=marks) == [-1, -1, 1]


def test_areas_in_tissue_and_in_overlapping_patches() -> None:
    mask = np.zeros((10, 10), bool)
    mask[:, :5] = True  # the left half of 100 × 100 px, of 0.5 × 2 µm each
    tissue = TissueMask(mask, (100, 100), (0.5, 2.0))
    annotations = drawn(tumour=shapely.box(40, 0, 80, 10))
    boxes = np.array([[30.0, 0, 60, 30], [45.0, 0, 75, 30], [45.0, 15, 75, 45]])
    assert area_report(annotations, tissue, boxes, (0.5, 2.0)) == {
        "tumour": {"annotated_um2": 400, "in_tissue_um2": 100, "in_patches_um2": 350}
    }
    empty = area_report(annotations, tissue, np.zeros((0, 4)), (0.5, 2.0))
    assert empty["tumour"]["in_patches_um2"] == 0


@settings(max_examples=40, deadline=None)
@given(patch=st.floats(2, 30), stride=st.floats(2, 30), seed=st.integers(0, 99))
def test_patches_count_once(patch: float, stride: float, seed: int) -> None:
    boxes = grid((60, 50), patch, stride)
    boxes = boxes[np.random.default_rng(seed).random(len(boxes)) < 0.6]
    region = shapely.box(5, 5, 55, 45)
    whole = TissueMask(np.ones((5, 6), bool), (60, 50), (1.0, 1.0))
    report = area_report(drawn(a=region), whole, boxes, (1.0, 1.0))["a"]
    union = shapely.union_all(shapely.box(*boxes.T)) if len(boxes) else shapely.Polygon()
    assert report["in_patches_um2"] == pytest.approx(union.intersection(region).area, abs=1e-6)


def test_crc01_labels_agree_between_geojson_and_xml_except_in_holes(shared: Path) -> None:
    stem, size = shared / "data" / "annotations" / "CRC01-west", (5888, 14340)
    boxes = grid(size, 224, 224)
    by_file, regions = [], []
    for suffix in (".geojson", ".xml"):
        read = read_annotations(stem.with_suffix(suffix), size)
        share = coverage(read, boxes, ["Tumor"])
        by_file.append(
            labels_of(share, ["Tumor"], excluded=np.zeros(len(boxes), bool), background=None)
        )
        regions.append(read.classes["Tumor"])
    assert (by_file[0] == 0).sum() > 100
    holes = regions[1].difference(regions[0])
    assert touches(holes, boxes)[by_file[0] != by_file[1]].all()


def test_a_hundred_thousand_boxes_on_real_polygons(shared: Path) -> None:
    path, size = shared / "data" / "annotations" / "CRC01-west.geojson", (5888, 14340)
    read = read_annotations(path, size)
    boxes = grid(size, 29, 29)
    assert len(boxes) > 100_000
    start = time.process_time()
    share = coverage(read, boxes, ["Tumor"])
    assert time.process_time() - start < 10  # measured: 0.6 s
    assert share.sum() * 29**2 == pytest.approx(read.classes["Tumor"].area, rel=1e-5)
