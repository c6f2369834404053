"""What is known of whole slides: their patches' labels, lesions and detections."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from histocnn.cohort.sheet import SlideEntry
from histocnn.errors import StoreError
from histocnn.evaluation import truth as module
from histocnn.evaluation.truth import DEFAULTS, SlideTruth, cells_of, lesions_of
from histocnn.patches.grid import build_grid
from histocnn.patches.truth import TruthRule, patch_truth
from histocnn.scores.detections import peaks
from histocnn.scores.scorefile import ScoreFile, open_score_file
from histocnn.storage import store
from histocnn.storage.hashing import sha256
from tests.slide_files import write_bounds_slide
from tests.stages.judged_cohort import write_geojson

GRID = build_grid((400, 300), (0.5, 0.5), patch_px=50, mpp=1.0)  # 3 rows of 4, 100 level-0 px


def written(folder, offset_l0=(0, 0), drop=()) -> ScoreFile:
    attributes = GRID.attributes() | {"slide_id": "s", "scores.class_names": ["normal", "tumour"]}
    store.write(
        folder / "s.h5",
        {"coords": GRID.coords + np.array(offset_l0), "scores": np.full((12, 2), 0.5, np.float32)},
        {name: value for name, value in attributes.items() if name not in drop},
    )
    return open_score_file(folder / "s.h5")


@pytest.fixture
def entry(tmp_path) -> SlideEntry:
    """A tumour from (150, 0) to (250, 100), all else normal."""
    write_geojson(tmp_path / "s.geojson", [(150.0, 0.0, 100.0)], "tumour")
    return SlideEntry(
        "s", tmp_path / "s.tif", annotation_path=tmp_path / "s.geojson", background="normal"
    )


def test_patches_are_labelled_where_they_lie(tmp_path, entry):
    truth = SlideTruth(written(tmp_path), entry)
    assert truth.patches.names == ["normal", "tumour"]
    assert truth.patches.coverage[:4, 1].tolist() == [0, 0.5, 0.5, 0]  # halves two patches
    assert truth.patches.index[4:].tolist() == [0] * 8
    assert truth.remark == DEFAULTS
    # half a patch further right, where no grid has them, one is tumour and none is cut
    patches = SlideTruth(written(tmp_path, (50, 0)), entry).patches
    assert patches.coverage[:4, 1].tolist() == [0, 1, 0, 0]
    assert patches.index[:4].tolist() == [0, 1, 0, 0]


def test_without_outlines_all_is_background(tmp_path):
    entry = SlideEntry("s", tmp_path / "s.tif", background="normal")
    patches = SlideTruth(written(tmp_path), entry).patches
    assert (patches.names, patches.index.tolist()) == (["normal"], [0] * 12)
    assert patches.coverage.shape == (12, 1)


def test_labels_need_the_scale(tmp_path, entry):
    with pytest.raises(StoreError, match="does not say its size_l0, mpp"):
        _ = SlideTruth(written(tmp_path, drop=("size_l0", "mpp")), entry).patches


def test_lesions_are_what_is_drawn_of_the_target(tmp_path, entry):
    file = written(tmp_path)
    drawn = SlideTruth(file, entry).drawn
    assert lesions_of(file, drawn, "tumour").itc.size == 2  # background and one lesion
    assert lesions_of(file, drawn, "stroma").itc.size == 1
    assert lesions_of(file, None, "tumour").itc.size == 1
    assert SlideTruth(file, SlideEntry("s", tmp_path / "s.tif")).drawn is None


def test_detections_are_the_maxima_at_the_centres_of_cells(tmp_path):
    scores = np.zeros(12, np.float32)
    scores[[0, 11]] = 0.9, 0.8
    grid = written(tmp_path).grid()
    raster, cell_um = cells_of(written(tmp_path), grid, scores)
    assert cell_um == (50.0, 50.0)
    found = peaks(grid, raster, radius_um=60, min_prob=0.5)
    assert np.asarray(found.prob).tolist() == pytest.approx([0.9, 0.8])
    assert np.asarray(found.xy_l0).tolist() == [[50, 50], [350, 250]]


def tiled(folder, entry, *, drop=(), recipe=None, rule=None, **attributes) -> ScoreFile:
    """Scores of a grid that was tiled with an entry of slides.csv."""
    path = entry.annotation_path
    rule = replace(
        rule or TruthRule(),
        annotation=sha256(path) if path else None,
        background=entry.background,
    )
    drawn = rule.read(path, GRID.size_l0, None) if path else None
    truth = patch_truth(GRID.boxes_l0(), drawn, rule)
    datasets = {
        "coords": GRID.coords,
        "cell": GRID.cell,
        "scores": np.full((12, 2), 0.5, np.float32),
        "labels": truth.index,
        "coverage": truth.coverage,
        "excluded": truth.excluded,
    }
    said = {
        **GRID.attributes(), "slide_id": "s", "scores.class_names": ["normal", "tumour"],
        "labels.class_names": truth.names, "truth": rule.stored(), "recipe": recipe, **attributes,
    }  # fmt: skip
    store.write(
        folder / "s.h5",
        {name: value for name, value in datasets.items() if name not in drop},
        {name: value for name, value in said.items() if name.split(".")[0] not in drop},
    )
    return open_score_file(folder / "s.h5")


def move(entry: SlideEntry) -> None:
    """The tumour is drawn anew: all of the first patch."""
    write_geojson(entry.annotation_path, [(0.0, 0.0, 100.0)], "tumour")


def test_what_the_grid_stored_is_read_while_nothing_changed(tmp_path, entry, monkeypatch):
    file = tiled(tmp_path, entry, rule=TruthRule(label_coverage=0.75))
    monkeypatch.setattr(TruthRule, "read", None)  # nobody parses anything
    truth = SlideTruth(file, entry)
    assert truth.patches.index.tolist() == [0, -1, -1, *[0] * 9]
    assert truth.remark == ""
    assert truth.border.tolist() == [0] * 12  # halved patches: normal comes first


def test_an_edited_annotation_is_read_again_by_the_recorded_options(tmp_path, entry):
    file = tiled(tmp_path, entry, rule=TruthRule(label_coverage=0.75), annotation_areas={})
    assert SlideTruth(file, entry).patches.index[:3].tolist() == [0, -1, -1]
    move(entry)
    truth = SlideTruth(file, entry)
    assert truth.patches.index[:3].tolist() == [1, 0, 0]
    assert truth.remark == module.EDITED
    assert truth.rule.label_coverage == 0.75
    assert truth.areas() == {"tumour": {"annotated_um2": 2500.0, "in_patches_um2": 2500.0}}


def test_a_grid_tiled_before_there_was_an_annotation(tmp_path, entry):
    file = tiled(tmp_path, replace(entry, annotation_path=None))
    assert SlideTruth(file).patches.index.tolist() == [0] * 12
    truth = SlideTruth(file, entry)
    assert truth.patches.index.tolist() == [0, 1, 1, *[0] * 9]
    assert truth.remark == module.TILED_BEFORE


@pytest.mark.parametrize(
    ("change", "remark", "labels"),
    [
        ({"annotation_path": None}, module.NO_ANNOTATION, [0] * 12),
        ({"background": None}, module.BACKGROUND, [-1] * 12),
        ({"annotation_path": None, "background": None}, "", [0, -1, -1, *[0] * 9]),
    ],
)
def test_slides_csv_decides_unless_it_says_nothing(tmp_path, entry, change, remark, labels):
    rule = TruthRule(label_coverage=0.75)
    truth = SlideTruth(tiled(tmp_path, entry, rule=rule), replace(entry, **change))
    assert (truth.patches.index.tolist(), truth.remark) == (labels, remark)


def test_scores_without_labels_are_labelled_by_the_recorded_options(tmp_path, entry):
    file = tiled(tmp_path, entry, drop=("labels", "coverage", "excluded"),
                 rule=TruthRule(label_coverage=0.75))  # fmt: skip
    truth = SlideTruth(file, entry)
    assert truth.patches.index[:3].tolist() == [0, -1, -1]
    assert truth.remark == module.NO_LABELS


def test_version_0_1_0_recorded_options_in_the_recipe_and_nothing_excluded(tmp_path, entry):
    """A tumour of which the exclusion touches the larger border patch only."""
    draw(entry.annotation_path, tumour=(170, 0, 230, 100), Exclusion=(250, 50, 260, 60))
    grid = {"stage": "tile", "annotation": sha256(entry.annotation_path), "background": "normal",
            "frame": "bounds", "label_coverage": 0.5, "max_background_coverage": 0.0}  # fmt: skip
    recipe = {"stage": "predict", "source": {"recipe": grid}}
    file = tiled(tmp_path, entry, drop=("truth", "excluded"), recipe=recipe)
    assert SlideTruth(file, entry).border[:4].tolist() == [0, 0, -1, 0]  # measured
    assert SlideTruth(file, entry).remark == ""
    alone = SlideTruth(file)  # 0.3 tumour and -1: at the border, for all that is known
    assert alone.border[:4].tolist() == [0, 0, 0, 0]
    assert alone.remark == module.INFERRED
    move(entry)
    assert SlideTruth(file, entry).remark == module.EDITED


def draw(path, **boxes):
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [
                [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
            ]},
            "properties": {"classification": {"name": name}},
        }
        for name, (x0, y0, x1, y1) in boxes.items()
    ]  # fmt: skip
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def test_labels_of_unknown_origin_stay_and_are_doubted_where_the_defaults_differ(tmp_path, entry):
    def unrecorded(**options):
        rule = TruthRule(**options)
        return SlideTruth(tiled(tmp_path, entry, drop=("truth",), rule=rule), entry)

    assert unrecorded().remark == ""
    doubted = unrecorded(label_coverage=0.75)
    assert doubted.patches.index[:3].tolist() == [0, -1, -1]
    assert doubted.remark == module.UNRECORDED


def test_areas_tell_that_labels_are_of_another_annotation(tmp_path, entry):
    """k-NN scores of version 0.1.0 record no options, but the areas of the grid's annotation."""
    areas = {"tumour": dict.fromkeys(module.AREAS, 2500.0)}
    file = tiled(tmp_path, entry, drop=("truth",), annotation_areas=areas)
    assert SlideTruth(file, entry).remark == ""
    assert SlideTruth(file, entry).areas() == areas
    draw(entry.annotation_path, tumour=(0, 0, 200, 100))
    truth = SlideTruth(file, entry)
    assert truth.remark == module.OTHER_OUTLINES
    assert truth.patches.index[:3].tolist() == [1, 1, 0]
    assert truth.areas()["tumour"]["annotated_um2"] == 5000.0


def test_foreign_files_learn_the_bounds_from_the_slide(tmp_path, entry):
    slide = write_bounds_slide(
        tmp_path / "s.scn", size=(400, 300), bounds=(100, 0, 256, 256), mpp=0.5
    )
    truth = SlideTruth(written(tmp_path), replace(entry, slide_path=slide))
    assert truth.drawn.classes["tumour"].bounds == (250, 0, 350, 100)
    gone = SlideTruth(written(tmp_path), entry)
    assert gone.drawn.classes["tumour"].bounds == (150, 0, 250, 100)


@pytest.mark.parametrize("areas", [{"tumour": 3}, {"tumour": {"annotated_um2": "x"}}])
def test_areas_that_are_none_are_not_believed(tmp_path, entry, areas):
    file = tiled(tmp_path, entry, annotation_areas=areas)
    assert SlideTruth(file).areas() == {}
    assert SlideTruth(file, entry).areas()["tumour"]["annotated_um2"] == 2500.0


def test_options_that_nobody_wrote_are_refused(tmp_path, entry):
    file = tiled(tmp_path, entry, truth={"label_coverage": 7})
    with pytest.raises(StoreError, match=r"s\.h5: what it says of its truth"):
        _ = SlideTruth(file, entry).patches
