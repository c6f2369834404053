"""A viewer of one scored slide, and who asks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from histocnn.slides.slide import Slide
from histocnn.viewing.at_work import Viewing
from histocnn.viewing.shelf import shelve
from tests.score_files import grid_of, random_scores, write_scores
from tests.slide_files import position_image, write_pyramid
from tests.viewing.serving import Client, serving

SIZE = (1400, 1100)
NAMES = ("normal", "<img src=x onerror=alert(1)>")


def scored_slide(folder: Path) -> Path:
    """FOLDER/slides.csv, FOLDER/scores/a.h5: a position slide of two classes, with a drawing."""
    path = write_pyramid(folder / "a.tiff", position_image(*SIZE))
    slide = Slide(path)
    grid = grid_of(slide, 50, 1.0)
    (folder / "scores").mkdir()
    write_scores(
        folder / "scores" / "a.h5", slide, grid, random_scores(len(grid)), class_names=NAMES,
        labels=np.arange(len(grid)) % 3 - 1, novelty=np.linspace(0, 100, len(grid), dtype="f4"),
        attributes={"labels.class_names": list(NAMES)},
    )  # fmt: skip
    ring = [[100, 100], [700, 100], [700, 600], [100, 600], [100, 100]]
    feature = {
        "type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "annotation", "classification": {"name": NAMES[1]}},
    }  # fmt: skip
    drawing = {"type": "FeatureCollection", "features": [feature]}
    (folder / "a.geojson").write_text(json.dumps(drawing))
    table = folder / "slides.csv"
    table.write_text("slide_id,slide_path,annotation_path\na,a.tiff,a.geojson\n")
    return table


@pytest.fixture(scope="session")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `scored_slide`, which nobody changes."""
    folder = tmp_path_factory.mktemp("looked_at")
    scored_slide(folder)
    return folder


@pytest.fixture
def client(looked_at: Path) -> Iterator[Client]:
    with serving(Viewing(shelve(looked_at / "scores", looked_at / "slides.csv"))) as found:
        yield found
