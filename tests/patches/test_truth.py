"""The truth of patches, worked out by hand, and the options that a file records of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from histocnn.errors import StoreError
from histocnn.patches.truth import (
    BORDER,
    EXCLUDED,
    LABELLED,
    UNKNOWN,
    PatchTruth,
    TruthRule,
    patch_truth,
    recorded_rule,
)
from histocnn.regions.annotations import Annotations

FILE = Path("s.h5")
# Five patches of 10 px side by side; tumour covers all of the first, 0.7, 0.3 and 0.3 of the next
# ones and nothing of the last; the fourth touches an exclusion.
BOXES = np.array([[10 * i, 0, 10 * i + 10, 10] for i in range(5)], float)
TUMOUR = shapely.union_all([shapely.box(0, 0, 17, 10), shapely.box(27, 0, 33, 10)])
DRAWN = Annotations({"tumour": TUMOUR}, shapely.box(39, 0, 40, 1))


def truth(**options: Any) -> PatchTruth:
    return patch_truth(BOXES, DRAWN, TruthRule(**options))


def test_four_states() -> None:
    found = truth(background="normal")
    assert found.names == ["normal", "tumour"]
    assert found.coverage[:, 1] == pytest.approx([1, 0.7, 0.3, 0.3, 0])
    assert found.excluded.tolist() == [False] * 3 + [True, False]
    assert found.index.tolist() == [1, 1, -1, -1, 0]
    assert found.state.tolist() == [LABELLED, LABELLED, BORDER, EXCLUDED, LABELLED]
    unknown = truth()
    assert unknown.index.tolist() == [0, 0, -1, -1, -1]
    assert unknown.state.tolist() == [LABELLED, LABELLED, BORDER, EXCLUDED, UNKNOWN]


@pytest.mark.parametrize(
    ("options", "labels", "with_border"),
    [
        ({"background": "normal"}, [1, 1, -1, -1, 0], [1, 1, 0, -1, 0]),
        # 0.7 is a border patch at 0.75, and still mostly tumour
        ({"background": "normal", "label_coverage": 0.75}, [1, -1, -1, -1, 0], [1, 1, 0, -1, 0]),
        # 0.3 is background then, and no border patch any more
        (
            {"background": "normal", "max_background_coverage": 0.35},
            [1, 1, 0, -1, 0],
            [1, 1, 0, -1, 0],
        ),
        # nobody knows what the larger part of the third is
        ({"label_coverage": 0.75}, [0, -1, -1, -1, -1], [0, 0, -1, -1, -1]),
    ],
)
def test_border_patches_have_the_class_of_their_largest_part(
    options: dict[str, Any], labels: list[int], with_border: list[int]
) -> None:
    found = truth(**options)
    assert found.index.tolist() == labels
    assert found.with_border(options.get("background")).tolist() == with_border


def test_a_border_patch_needs_no_bare_patch_beside_it() -> None:
    found = patch_truth(BOXES[2:3], DRAWN, TruthRule(background="normal"))
    assert found.index.tolist() == [-1]
    assert found.with_border("normal").tolist() == [0]


def test_equal_parts_by_class_name() -> None:
    share = np.array([[0.25, 0.375, 0.0], [0.25, 0.375, 0.375]], np.float32)
    found = PatchTruth(["b", "c", "a"], np.array([-1, -1]), share, np.zeros(2, bool))
    assert found.with_border("a").tolist() == [2, 2]
    assert found.with_border(None).tolist() == [-1, 2]


def test_without_annotation_all_is_background_or_unknown() -> None:
    found = patch_truth(BOXES, None, TruthRule(background="normal"))
    assert found.state.tolist() == [LABELLED] * 5
    nothing = patch_truth(BOXES, None, TruthRule())
    assert (nothing.names, nothing.state.tolist()) == ([], [UNKNOWN] * 5)
    assert nothing.with_border(None).tolist() == [-1] * 5


def test_no_patches() -> None:
    found = patch_truth(np.zeros((0, 4)), DRAWN, TruthRule(background="normal"))
    assert found.state.shape == found.with_border("normal").shape == (0,)


def test_the_options_of_a_file_are_read_as_they_were_stored() -> None:
    rule = TruthRule(
        annotation="ab", background="normal", frame="slide", label_coverage=0.75,
        max_background_coverage=0.1, exclusion="Ignore", mapping={"x": None},
        paint_order=("a", "b"),
    )  # fmt: skip
    stored = json.loads(json.dumps(rule.stored()))
    assert recorded_rule({"truth": stored}, FILE) == rule
    assert recorded_rule({"truth": TruthRule().stored()}, FILE) == TruthRule()


def test_an_exclusion_of_another_name(tmp_path: Path) -> None:
    ring = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"classification": {"name": "Ignore"}},
    }
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert list(TruthRule().read(path, (50, 50), None).classes) == ["Ignore"]
    drawn = TruthRule(exclusion="Ignore").read(path, (50, 50), None)
    assert (list(drawn.classes), drawn.exclusion.area) == ([], 100)
    moved = TruthRule(exclusion="Ignore").read(path, (50, 50), (20, 0, 30, 30))
    assert moved.exclusion.bounds == (20, 0, 30, 10)


def test_version_0_1_0_said_them_in_the_recipe() -> None:
    options = {
        "annotation": "ab", "background": None, "frame": "bounds", "label_coverage": 0.75,
        "max_background_coverage": 0.0,
    }  # fmt: skip
    grid = {"stage": "tile", "mpp": 0.5, **options}
    expected = TruthRule(annotation="ab", label_coverage=0.75)
    scores = {"stage": "predict", "source": {"recipe": grid}}
    assert recorded_rule({"recipe": grid}, FILE) == expected
    assert recorded_rule({"recipe": scores}, FILE) == expected
    for recipe in (None, {"stage": "knn", "query": "ab"}, {"stage": "tile"}, {"source": 3}):
        assert recorded_rule({"recipe": recipe}, FILE) is None


@pytest.mark.parametrize(
    "stored",
    [
        "bounds",
        {"label_coverage": 2.0},
        {"label_coverage": "0.5"},
        {"frame": "other"},
        {"background": 1},
        {"mapping": []},
        {"paint_order": [1]},
        {"exclusion": None},
        {"somebody": "else"},
    ],
)
def test_options_that_tile_does_not_write_are_refused(stored: Any) -> None:
    with pytest.raises(StoreError, match=r"s\.h5: what it says of its truth"):
        recorded_rule({"truth": stored}, FILE)
