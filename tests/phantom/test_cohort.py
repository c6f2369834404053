"""Phantoms: their pixels are where their truth says, and colour does not give the tumour away."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import openslide
import pytest
import shapely
import tifffile
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from histocnn.cohort.sheet import read_cohort
from histocnn.errors import UsageError
from histocnn.phantom import cohort as phantom
from histocnn.phantom.cohort import PhantomSpec, PhantomTruth, make_phantom
from histocnn.phantom.stain import GLASS_RGB, PEN_RGB
from histocnn.regions.annotations import read_annotations

PATCH_PX = 224


def pixels(path: Path, level: int = 0) -> NDArray[np.uint8]:
    with openslide.OpenSlide(path) as slide:
        size = slide.level_dimensions[level]
        return np.asarray(slide.read_region((0, 0), level, size).convert("RGB"))


def mask_of(region: BaseGeometry, shape: tuple[int, int]) -> NDArray[np.bool_]:
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    shapely.prepare(region)
    return shapely.contains_xy(region, x, y)


@pytest.fixture(scope="module")
def penned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PhantomTruth]:
    path = tmp_path_factory.mktemp("penned") / "penned.tif"
    return path, make_phantom(path, PhantomSpec((1501, 1201), seed=4, pen="green", lesions=2))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, PhantomTruth]]:
    """A cohort and the truth of each of its slides."""
    truths = {}

    def remember(path: Path, spec: PhantomSpec) -> PhantomTruth:
        truths[path.stem] = make_phantom(path, spec)
        return truths[path.stem]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantom, "make_phantom", remember)
        table = phantom.make_cohort(tmp_path_factory.mktemp("cohort"), size_px=(3000, 3000))
    return table, truths


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    spec = PhantomSpec((700, 500), seed=3, pen="red", blur=True)
    make_phantom(tmp_path / "a.tif", spec)
    make_phantom(tmp_path / "b.tif", spec)
    make_phantom(tmp_path / "c.tif", PhantomSpec((700, 500), seed=5, pen="red", blur=True))
    first, again, other = ((tmp_path / f"{name}.tif").read_bytes() for name in "abc")
    assert first == again
    assert first != other
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "b.tif", "c.tif"]


def test_levels_are_halved(penned: tuple[Path, PhantomTruth]) -> None:
    with openslide.OpenSlide(penned[0]) as slide:
        assert slide.level_dimensions == ((1501, 1201), (751, 601), (376, 301), (188, 151))
    fine, coarse = pixels(penned[0]).astype(float), pixels(penned[0], 2).astype(float)
    shrunk = cv2.resize(fine[:1200, :1500], (375, 300), interpolation=cv2.INTER_AREA)
    apart = {
        (dy, dx): np.abs(coarse[1 + dy : 299 + dy, 1 + dx : 374 + dx] - shrunk[1:299, 1:374]).mean()
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
    }  # 0 but for what two JPEGs lose
    assert min(apart, key=apart.__getitem__) == (0, 0)
    assert apart[0, 0] < 6


def test_classes_partition_the_tissue(penned: tuple[Path, PhantomTruth]) -> None:
    truth = penned[1]
    parts = truth.tumour, truth.normal, truth.fat
    assert min(part.area for part in parts) > 0
    assert sum(part.area for part in parts) == pytest.approx(truth.tissue.area)
    assert shapely.union_all(parts).symmetric_difference(truth.tissue).area < 1
    assert shapely.box(0, 0, 1501, 1201).covers(shapely.union_all([truth.tissue, truth.pen]))


def test_polygons_are_where_the_pixels_are(penned: tuple[Path, PhantomTruth]) -> None:
    path, truth = penned
    rgb = pixels(path).astype(float)
    pen = mask_of(truth.pen.buffer(-6), rgb.shape[:2])  # JPEG blurs chroma over 16 px blocks
    from_pen = np.abs(rgb[pen] - PEN_RGB["green"]).max(axis=1)
    assert np.quantile(from_pen, 0.99) < 45
    content = truth.tissue.union(truth.pen)
    glass = ~mask_of(content.buffer(18), rgb.shape[:2])
    assert glass.sum() > 50_000
    assert np.abs(rgb[glass] - GLASS_RGB).max() < 12
    inside = mask_of(truth.normal.difference(truth.pen.buffer(18)), rgb.shape[:2])
    assert (np.abs(rgb[inside] - GLASS_RGB).max(axis=1) > 25).mean() > 0.7


def test_an_outline_is_exact_to_a_pixel(tmp_path: Path) -> None:
    truth = make_phantom(tmp_path / "x.tif", PhantomSpec((900, 900), pen="black", lesions=0))
    dark = pixels(tmp_path / "x.tif").max(axis=2) < 140
    on_glass = ~mask_of(truth.tissue.buffer(20), (900, 900))
    wanted = mask_of(truth.pen, (900, 900))
    assert (dark & on_glass).sum() == pytest.approx((wanted & on_glass).sum(), rel=0.01)
    assert not (dark & on_glass & ~mask_of(truth.pen.buffer(1.5), (900, 900))).any()


def test_sparse_slide_is_huge_and_tiny(tmp_path: Path) -> None:
    spec = PhantomSpec((50_000, 50_000), tissue_px=(900, 900), sparse=True)
    truth = make_phantom(tmp_path / "s.tif", spec)
    assert (tmp_path / "s.tif").stat().st_size < 4_000_000
    with tifffile.TiffFile(tmp_path / "s.tif") as tiff:
        counts = np.array(tiff.pages[0].databytecounts)
    assert (counts == 0).mean() > 0.99
    with openslide.OpenSlide(tmp_path / "s.tif") as slide:
        assert slide.dimensions == (50_000, 50_000)
        x, y = (int(v) for v in truth.tissue.representative_point().coords[0])
        assert np.asarray(slide.read_region((x, y), 0, (64, 64)).convert("RGB")).std() > 5


def test_cohort_table_says_who_is_who(cohort: tuple[Path, dict[str, PhantomTruth]]) -> None:
    table, truths = cohort
    entries = read_cohort(table)
    assert [e.label for e in entries] == ["tumour", "normal"] * 4
    assert [e.split for e in entries] == ["train"] * 2 + ["val"] * 2 + ["test"] * 4
    assert [e.center for e in entries] == ["lab_A"] * 4 + ["lab_B"] * 4
    assert [e.patient_id for e in entries] == [f"patient_{i:02d}" for i in (1, 1, 2, 2, 3, 3, 4, 4)]
    assert {e.background for e in entries} == {"normal"}
    for entry in entries:
        truth = truths[entry.slide_id]
        if entry.label == "normal":
            assert entry.annotation_path is None
            assert truth.tumour.is_empty
        else:
            assert entry.annotation_path is not None
            read = read_annotations(entry.annotation_path, truth.spec.size_px)
            assert list(read.classes) == ["tumour"]
            assert read.classes["tumour"].symmetric_difference(truth.tumour).area < 1


def test_geojson_holds_both_classes(tmp_path: Path, penned: tuple[Path, PhantomTruth]) -> None:
    penned[1].to_geojson(tmp_path / "truth.geojson")
    read = read_annotations(tmp_path / "truth.geojson", (1501, 1201))
    assert set(read.classes) == {"tumour", "normal"}
    assert read.classes["normal"].area == pytest.approx(penned[1].normal.area, rel=1e-6)


def test_impossible_wishes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No lab 'Z'"):
        make_phantom(tmp_path / "x.tif", PhantomSpec(lab="Z"))
    with pytest.raises(UsageError, match="cannot be drawn"):
        make_phantom(tmp_path / "x.tif", PhantomSpec(mpp=0.0))
    with pytest.raises(UsageError, match="8 slides of 4 patients from 5 labs"):
        phantom.make_cohort(tmp_path, labs=5)
    for slides, patients in (((4, 8), 4), ((4, 8), (4,)), ((1, 8), (2, 4)), ((4, 8), (4, 0))):
        with pytest.raises(UsageError, match="cannot be made"):
            phantom.make_cohort(tmp_path, slides=slides, patients=patients)
    assert not list(tmp_path.iterdir())


def test_labs_have_as_many_slides_and_patients_as_is_said(tmp_path: Path) -> None:
    table = phantom.make_cohort(
        tmp_path, slides=(2, 5), patients=(2, 3), size_px=(300, 300), mpp=4.0
    )
    entries = read_cohort(table)
    assert [e.center for e in entries] == ["lab_A"] * 2 + ["lab_B"] * 5
    assert [e.split for e in entries] == ["train", "val"] + ["test"] * 5
    numbers = (1, 2, 3, 3, 4, 4, 5)
    assert [e.patient_id for e in entries] == [f"patient_{i:02d}" for i in numbers]
    labels = ["tumour", "tumour", "tumour", "normal", "tumour", "normal", "tumour"]
    assert [e.label for e in entries] == labels


# --- what tells the classes apart --------------------------------------------------------------


def colour_and_size(patch: NDArray[np.uint8]) -> tuple[list[float], float]:
    """RGB mean and deviation, and the share of nuclear pixels that survive a 7 µm opening."""
    mean, deviation = cv2.meanStdDev(patch)
    red = cv2.GaussianBlur(patch[..., 0], (0, 0), 1.0)
    nuclei = (red < np.quantile(red, 0.5) * 0.72).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))
    kept = cv2.morphologyEx(nuclei, cv2.MORPH_OPEN, disc).sum() / max(nuclei.sum(), 1)
    return [*mean.ravel(), *deviation.ravel()], float(kept)


@pytest.fixture(scope="module")
def patches(cohort: tuple[Path, dict[str, PhantomTruth]]) -> dict[str, tuple[NDArray, ...]]:
    """Per lab: colour [N, 6], nuclear size [N] and whether tumour [N], of unambiguous patches."""
    table, truths = cohort
    labs: dict[str, list[tuple[list[float], float, bool]]] = {}
    for row in csv.DictReader(table.read_text().splitlines()):
        truth, rgb = truths[row["slide_id"]], pixels(table.parent / row["slide_path"])
        spoiled = truth.pen.union(truth.blurred)
        for y in range(0, rgb.shape[0] - PATCH_PX, PATCH_PX):
            for x in range(0, rgb.shape[1] - PATCH_PX, PATCH_PX):
                box = shapely.box(x, y, x + PATCH_PX, y + PATCH_PX)
                ill = truth.tumour.intersection(box).area / box.area
                if truth.tissue.intersection(box).area < 0.5 * box.area or 0 < ill < 0.5:
                    continue
                if not spoiled.intersects(box):
                    patch = rgb[y : y + PATCH_PX, x : x + PATCH_PX]
                    labs.setdefault(row["center"], []).append((*colour_and_size(patch), ill > 0))
    return {lab: tuple(map(np.array, zip(*rows, strict=True))) for lab, rows in labs.items()}


def test_colour_alone_does_not_tell_tumour(patches: dict[str, tuple[NDArray, ...]]) -> None:
    for train, test in (("lab_A", "lab_B"), ("lab_B", "lab_A")):
        known = KNeighborsClassifier(20).fit(patches[train][0], patches[train][2])
        scores = known.predict_proba(patches[test][0])[:, 1]
        assert min(patches[test][2].sum(), (~patches[test][2]).sum()) > 40
        assert roc_auc_score(patches[test][2], scores) <= 0.75
    for colour, _, ill in patches.values():
        apart = np.abs(colour[ill].mean(0) - colour[~ill].mean(0)) / colour.std(0)
        assert apart.max() < 1  # less than patches of one class differ among themselves


def test_nuclear_size_does(patches: dict[str, tuple[NDArray, ...]]) -> None:
    for _, size, ill in patches.values():
        assert roc_auc_score(ill, size) >= 0.85
