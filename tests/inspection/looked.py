"""A small look inside a LeNet-5: the parts, and the whole."""

from __future__ import annotations

import json
from pathlib import Path

from histocnn.inspection.inspecting import Looking, Options, begin
from histocnn.inspection.opening import Subject, open_subject
from tests.grid_files import write_grid
from tests.models.dense_files import write_decided
from tests.models.small_networks import write_model

OPTIONS = Options(steps=2)
SLIDING = "tests.models.dense_files:Valid"


def subject_of(folder: Path, **spec: object) -> Subject:
    """A model for classes a and b, 28 px at 0.5 µm/px."""
    return open_subject(write_model(folder / "m.safetensors", **{"mpp": 0.5, **spec}), None, None)


def looking_at(subject: Subject, **options: object) -> Looking:
    """The beginning of a look."""
    return begin(subject, Options(**{"steps": 2, **options}), subject.input_mpp())  # type: ignore[arg-type]


def sliding_model(folder: Path) -> Subject:
    """A network without padding for normal and tumour, 64 px at 1 µm/px, whose head allows CAM."""
    path = folder / "sliding.safetensors"
    write_decided(path, SLIDING, 64, mpp=1.0, class_names=("normal", "tumour"))
    return open_subject(path, SLIDING, None)


def tiled(folder: Path) -> tuple[Path, Path]:
    """A slide's grid of 64 px, and a slides.csv with a tumour of 600 × 400 level-0 px on it."""
    grid = write_grid(folder, size=(1200, 900), patch_px=64)
    corners = [[300, 200], [900, 200], [900, 600], [300, 600], [300, 200]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [corners]},
        "properties": {"classification": {"name": "tumour"}},
    }
    drawn = folder / "s1.geojson"
    drawn.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    slides = folder / "slides.csv"
    slides.write_text(
        "slide_id,slide_path,patient_id,annotation_path\ns1,slides/s1.tiff,p1,s1.geojson\n"
    )
    return grid, slides
