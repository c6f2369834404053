"""Layers: what every cell's two bytes say, worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import StoreError
from histocnn.pages.viewer_values import NOT_SCORED, STEPS
from histocnn.patches.grid import build_grid
from histocnn.slides.slide import Slide
from histocnn.storage import store
from histocnn.viewing import layers
from histocnn.viewing.layers import label_raster, layers_of, values_of
from histocnn.viewing.opened import Opened, open_listed
from histocnn.viewing.shelf import shelve
from tests.score_files import grid_of, write_scores
from tests.viewing.test_shelf import a_slide

SCORES = np.array([[0.9, 0.1], [0.4, 0.6], [0, 1], [np.nan, np.nan]], np.float32)


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """A slide of 2 × 3 cells, the first four scored: normal, tumour, tumour, not at all."""
    slide = Slide(a_slide(tmp_path))  # 300 × 200 px at 0.5 µm/px
    grid = grid_of(slide, 50, 1.0).select(np.arange(4))
    (tmp_path / "scores").mkdir()
    write_scores(
        tmp_path / "scores" / "a.h5", slide, grid, SCORES,
        labels=np.array([0, 0, 1, 1]), novelty=np.array([0, 50, 100, np.nan], np.float32),
        sets=np.array([[1, 0], [1, 1], [0, 1], [0, 0]], bool),
        attributes={
            "labels.class_names": ["normal", "tumour"],
            "thresholds": {"tumour": {"youden": {"threshold": 0.25}}},
        },
    )  # fmt: skip
    [listed] = shelve(tmp_path / "scores").slides
    return open_listed(listed)


def test_layers_are_named_and_placed(opened: Opened) -> None:
    found = {each.key: each for each in layers_of(opened, 0, "scores")}
    assert list(found) == [
        "classes", "s0", "s1", "novelty", "uncertain", "errors", "labels", "grid",
    ]  # fmt: skip
    assert found["s1"].title == "probability of tumour"
    assert found["s1"].facts["points"] == [{"name": "Youden", "at": 0.25}]
    assert found["s1"].facts["shape"] == [2, 3]
    assert found["s1"].facts["stride"] == [100.0, 100.0]
    assert not found["s1"].facts["smooth"]
    assert found["classes"].facts["names"] == ("normal", "tumour")
    assert found["grid"].facts["footprint"] == [100.0, 100.0]


def test_cells_are_whole_numbers(opened: Opened) -> None:
    none = NOT_SCORED
    tumour = [[round(np.float32(s) * STEPS) for s in (0.1, 0.6, 1)], [none] * 3]
    assert values_of(opened, 0, "s1").tolist() == tumour
    half = round(0.5 * STEPS)
    assert values_of(opened, 0, "novelty").tolist() == [[0, half, STEPS], [none] * 3]
    classes = [[round(0.9 * 1023), 1024 + round(0.6 * 1023), 1024 + 1023], [none] * 3]
    assert values_of(opened, 0, "classes").tolist() == classes
    assert values_of(opened, 0, "uncertain").tolist() == [[none, 0, none], [none] * 3]
    assert values_of(opened, 0, "labels").tolist() == [[0, 0, 1], [1, none, none]]
    # Pairs count truth × classes + called: normal so, normal called tumour, tumour so.
    assert values_of(opened, 0, "errors").tolist() == [[0, 1, 3], [none] * 3]
    assert values_of(opened, 0, "grid").tolist() == [[1, 1, 1], [1, none, none]]
    [errors] = [each for each in layers_of(opened, 0, "scores") if each.key == "errors"]
    assert errors.facts["names"][1] == "normal, called tumour"
    assert errors.facts["names"][3] == "tumour, called so"


@pytest.mark.parametrize("key", ["s2", "quality", "x", "s-1"])
def test_there_is_no_other_layer(opened: Opened, key: str) -> None:
    with pytest.raises(StoreError, match="no layer"):
        values_of(opened, 0, key)


def test_too_many_cells_are_refused(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "MOST_CELLS", 5)
    with pytest.raises(StoreError, match="more than a browser takes"):
        values_of(opened, 0, "s0")


def test_a_grid_alone_has_its_labels(opened: Opened, tmp_path: Path) -> None:
    data = store.read(tmp_path / "scores" / "a.h5")
    attributes = store.attributes(tmp_path / "scores" / "a.h5")
    del attributes["scores.class_names"]
    kept = {name: data[name] for name in ("coords", "cell", "labels")}
    store.write(tmp_path / "grids" / "a.h5", kept, attributes)
    [listed] = shelve(tmp_path / "grids").slides
    alone = open_listed(listed)
    assert [each.key for each in layers_of(alone, 0, "coords")] == ["labels", "grid"]
    assert values_of(alone, 0, "labels").tolist() == [[0, 0, 1], [1, NOT_SCORED, NOT_SCORED]]


def test_overlapping_patches_give_most_of_their_labels() -> None:
    grid = build_grid((300, 100), (1.0, 1.0), patch_px=100, mpp=1.0, overlap_px=50)
    row = grid.cell[:, 0] == 0
    labels = np.where(row, (grid.cell[:, 1] >= 2).astype(int), -1)
    # Cell 2's centre (125) lies in patches 1 (50 to 150) and 2: one of each; ties by number.
    assert label_raster(grid, labels, 2)[0].tolist() == [0, 0, 0, 1, 1, 1]
