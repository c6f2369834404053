"""Every reader of a file that somebody else may have made, given damaged ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from histocnn.cohort.sheet import read_cohort
from histocnn.cohort.splits import read_split
from histocnn.metrics.camelyon17 import read_stage_labels
from histocnn.metrics.detections import read_detections
from histocnn.patches.listing import list_csv
from histocnn.patches.patches import FilePatches
from histocnn.reference.features import load
from histocnn.regions.annotations import read_annotations
from histocnn.scores.scored import read_scored, summarise
from histocnn.scores.scorefile import open_score_file
from histocnn.storage import store
from tests.fuzz.fuzzing import Tally, damaged, replaced, run

ROWS = 6


def between_stages(folder: Path) -> bytes:
    """A small file that is a grid, features and scores."""
    coords = np.array([[x * 100, y * 100] for y in range(2) for x in range(3)])
    rng = np.random.default_rng(0)
    store.write(
        folder / "plain.h5",
        {
            "coords": coords,
            "cell": coords[:, ::-1] // 100,
            "tissue_fraction": np.ones(ROWS, np.float32),
            "labels": np.array([0, 1, -1, 0, 1, 0]),
            "patient_ids": ["p"] * ROWS,
            "colour": np.full((ROWS, 6), 9, np.float32),
            "features": rng.normal(size=(ROWS, 4)).astype(np.float32),
            "scores": rng.dirichlet(np.ones(2), ROWS).astype(np.float32),
        },
        {
            "slide_id": "s",
            "patient_id": "p",
            "slide_path": "/slides/s.svs",
            "fingerprint": "12-ab",
            "size_l0": (300, 200),
            "slide_mpp": (0.5, 0.5),
            "patch_px": 50,
            "mpp": 1.0,
            "stride_px": 50,
            "labels.class_names": ["a", "b"],
            "scores.class_names": ["a", "b"],
            "recipe": {"stage": "knn", "reference": ["ab"], "network": {"backbone": "x"}},
            "training": {"patches": {"train": 100}},
            "seen": "no",
        },
    )
    return (folder / "plain.h5").read_bytes()


def read_grid(path: Path) -> None:
    patches = FilePatches(path)
    _ = patches.datasets, patches.labels, patches.slide_ids, patches.patient_ids, patches.name
    patches.carried()
    patches.describe()
    if patches.coords is not None and "footprint_l0" in patches.attributes:
        _ = patches.pixels.footprint_l0  # type: ignore[union-attr]


def read_scores(path: Path) -> None:
    file = open_score_file(path)
    file.scores()
    file.labels()
    file.colour(), file.novelty(), file.seen(), file.slide_ids(), file.patient_ids()
    if file.is_slide:
        file.boxes_l0()
        slide = read_scored(path)
        if slide.grid.shape[0] * slide.grid.shape[1] < 1e6:
            summarise(slide, top_percent=1, threshold=0.5)


@pytest.mark.parametrize(
    ("reader", "read"),
    [("grid", read_grid), ("features", lambda path: load([path])), ("scores", read_scores)],
)
def test_hdf5(reader: str, read: Callable[[Path], Any], tmp_path: Path) -> None:
    content = between_stages(tmp_path)
    run(Tally(reader, read, tmp_path / "fuzz.h5"), partial(damaged, content, text=False))


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_hdf5_of_other_tools(libver: str, tmp_path: Path) -> None:
    """In chunks, zipped, and in both forms of HDF5's headers."""
    with h5py.File(tmp_path / "plain.h5", "w", libver=libver) as file:
        size = {"maxshape": (None, None), "chunks": (4, 2)}
        coords = file.create_dataset("coords", data=np.arange(2 * ROWS).reshape(ROWS, 2), **size)
        file.create_dataset("features", data=np.eye(ROWS, 4), compression=1, **size)
        paths = [f"{row}.png" for row in range(ROWS)]
        file.create_dataset("paths", data=paths, dtype=h5py.string_dtype(), chunks=(4,))
        theirs = {"patch_size": 256, "patch_size_level0": 512, "level0_magnification": 40}
        coords.attrs.update({**theirs, "target_magnification": 20, "overlap": 0, "name": "s"})

    def read_all(path: Path) -> None:
        store.attributes(path)
        store.read(path)
        load([path])

    content = (tmp_path / "plain.h5").read_bytes()
    tally = Tally(f"hdf5-{libver}", read_all, tmp_path / "fuzz.h5")
    run(tally, partial(damaged, content, text=False))


TABLES: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "slides": (
        "slide_id,slide_path,patient_id,label,split,mpp,annotation_path\n"
        "a,fuzz.csv,p,tumour,train,0.25,\nb,b.tif,q,normal,test,0.5,\n",
        read_cohort,
        "fuzz.csv",
    ),
    "split": (
        "group,split,rows\np1,train,3\np2,val,2\n",
        lambda path: read_split(path, ["p1"]),
        "fuzz.csv",
    ),
    "images": (
        'path,label,patient_id\nfuzz.csv,"a,b",p\nb.tif,b,q\n',
        lambda path: list_csv(path, "^(.)"),
        "fuzz.csv",
    ),
    "detections": ("p,x,y\n0.5,10,20\n0.25,30,40\n", read_detections, "fuzz.csv"),
    "stages": (
        "patient,stage\npatient_001.zip,pN0\npatient_001_node_0.tif,negative\n",
        read_stage_labels,
        "fuzz.csv",
    ),
}


@pytest.mark.parametrize("reader", TABLES)
def test_tables(reader: str, tmp_path: Path) -> None:
    text, read, name = TABLES[reader]
    (tmp_path / "b.tif").touch()
    tally = Tally(reader, read, tmp_path / name)
    run(tally, partial(damaged, text.encode(), text=True))


SQUARE = [[10, 10], [90, 10], [90, 90], [10, 90], [10, 10]]
HOLE = [[20, 20], [30, 20], [30, 30], [20, 20]]
GEOJSON = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [SQUARE, HOLE]},
            "properties": {"objectType": "annotation", "classification": {"name": "Tumor"}},
        },
        {
            "type": "Feature",
            "geometry": {
                "type": "GeometryCollection",
                "geometries": [{"type": "MultiPolygon", "coordinates": [[SQUARE]]}],
            },
            "properties": {"classification": {"names": ["a", "b"], "color": [1, 2, 3]}},
        },
    ],
}
ASAP = (
    '<?xml version="1.0"?><ASAP_Annotations><Annotations><Annotation Name="1" Type="Polygon" '
    'PartOfGroup="Tumor"><Coordinates>'
    + "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}"/>' for i, (x, y) in enumerate(SQUARE))
    + "</Coordinates></Annotation></Annotations></ASAP_Annotations>"
)
IMAGESCOPE = (
    '<Annotations><Annotation Id="1" Name="T"><Regions><Region Id="1" Type="2" NegativeROA="0">'
    '<Vertices><Vertex X="10" Y="10"/><Vertex X="90" Y="90"/></Vertices></Region></Regions>'
    "</Annotation></Annotations>"
)


def annotations(path: Path) -> None:
    read_annotations(path, (100, 100), (0, 0, 100, 100))


@pytest.mark.parametrize(
    ("reader", "text"),
    [("asap", ASAP), ("imagescope", IMAGESCOPE), ("geojson-bytes", json.dumps(GEOJSON))],
)
def test_annotations(reader: str, text: str, tmp_path: Path) -> None:
    tally = Tally(reader, annotations, tmp_path / "fuzz.xml")
    run(tally, partial(damaged, text.encode(), text=True))


def test_geojson_of_odd_types(tmp_path: Path) -> None:
    run(Tally("geojson", annotations, tmp_path / "fuzz.geojson"), partial(replaced, GEOJSON))
