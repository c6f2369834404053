"""Patches are judged beside others of other patients, wherever that can be."""

from __future__ import annotations

import numpy as np
import pytest

from histocnn.errors import ModelError, PatchesError
from histocnn.inspection import drawing
from histocnn.inspection.drawing import Candidates
from histocnn.models.spec import ModelSpec
from histocnn.patches.patches import open_patches
from histocnn.slides.stain import REFERENCE, Normaliser
from tests.grid_files import write_grid
from tests.inspection.fooled import divided, patches_of
from tests.models.patch_files import PATTERN, write_grids

SPEC = ModelSpec("lenet5", class_names=("b", "a"))


def rows(owners: list[str], labels: list[int] | None = None) -> Candidates:
    n = len(owners)
    known = np.zeros(n, np.int64) if labels is None else np.array(labels)
    return Candidates((), np.zeros(n, np.int64), np.arange(n), known, [""] * n, owners)


def test_rows_have_the_models_classes_and_only_labelled_ones_stay(tmp_path):
    write_grid(tmp_path, "s1")  # labels -1, 0, 1, -1 …
    items = open_patches(tmp_path / "grids")
    found = drawing.candidates(items, SPEC)
    assert set(found.labels.tolist()) == {0, 1}
    assert found.labels[found.row == 1].tolist() == [1]  # "a", the model's second
    assert set(found.slide_ids) == {"s1"}
    other = drawing.candidates(items, ModelSpec("x", class_names=("c", "d")))
    assert (len(other), set(other.labels.tolist())) == (len(items[0]), {-1})
    with pytest.raises(ModelError, match=r"28 px at 1.0 µm/px, .* 56 px"):
        drawing.candidates(items, ModelSpec("x", patch_px=56))
    with pytest.raises(ModelError, match=r"at 1.0 µm/px, .* 0.5 µm/px"):
        drawing.candidates(items, ModelSpec("x", patch_px=28, mpp=0.5))


def test_half_of_the_patients_are_the_reference(tmp_path):
    division = divided(patches_of(tmp_path), SPEC)
    judged, others = set(division.judged.patient_ids), set(division.reference.patient_ids)
    assert (len(judged), len(others), judged & others) == (3, 3, set())
    assert division.said == "3 of 6 patients, drawn by seed 0"
    assert division.apart


def test_patients_of_training_are_the_reference_where_it_is_known_who_they_were(tmp_path):
    seen = {"train": {"patients": ["p00", "p01"]}, "val": {"patients": ["p02"]}}
    spec = ModelSpec("x", class_names=("a", "b"), seen=seen)
    division = divided(patches_of(tmp_path), spec)
    assert set(division.reference.patient_ids) == {"p00", "p01", "p02"}
    assert set(division.judged.patient_ids) == {"p03", "p04", "p05"}
    assert division.said == "the patients of training and validation"


def test_slides_stand_in_for_patients(tmp_path):
    found = drawing.candidates(open_patches(write_grids(tmp_path)), ModelSpec("x"))
    nameless = Candidates(found.sources, found.source, found.row, found.labels, found.slide_ids,
                          [""] * len(found))  # fmt: skip
    division = drawing.divide(nameless, ModelSpec("x"))
    assert "1 of 3 slides" in division.said
    assert not set(division.judged.slide_ids) & set(division.reference.slide_ids)


def test_patches_of_one_patient_or_of_nobody_are_halved_which_is_said(tmp_path):
    found = divided(patches_of(tmp_path), SPEC, pattern=None)
    assert (len(found.judged), len(found.reference), found.apart) == (12, 12, False)
    assert "same patients or slides" in found.said
    alone = drawing.divide(rows(["p1"] * 5), SPEC)
    assert (len(alone.judged), len(alone.reference), alone.apart) == (3, 2, False)
    with pytest.raises(PatchesError, match="one patch alone"):
        drawing.divide(rows(["p1"]), SPEC)


def test_a_reference_is_kept_from_judged_patients():
    division = drawing.against(rows(["p1", "p2"]), rows(["p2", "p3", "p2", "p4"]))
    assert list(division.reference.patient_ids) == ["p3", "p4"]
    assert "without the 2 patches of judged patients" in division.said
    assert division.apart
    unknown = drawing.against(rows(["p1", ""]), rows(["p3", ""]))
    assert (len(unknown.reference), unknown.apart) == (2, False)
    assert "whose some patches are is not known" in unknown.said
    with pytest.raises(PatchesError, match="are of patients or slides that are judged, too"):
        drawing.against(rows(["p1"]), rows(["p1"]))


def test_as_many_of_each_patient_are_drawn_as_can_be():
    drawn = drawing.draw(rows(["p1"] * 100 + ["p2"] * 3 + ["p3"] * 50), 23)
    assert [list(drawn.patient_ids).count(name) for name in ("p1", "p2", "p3")] == [10, 3, 10]
    assert (np.diff(drawn.row) > 0).all()
    assert len(drawing.draw(rows(["p1"] * 4), 23)) == 4


def test_what_cannot_be_read_is_left_out_and_rows_keep_their_pixels(tmp_path):
    folder = patches_of(tmp_path)
    (folder / "a" / "p00_0.png").write_bytes(b"broken")
    items = open_patches(folder, patient_pattern=PATTERN)
    found = drawing.candidates(items, SPEC).take(np.array([3, 0, 5]))
    ((kept, pixels),) = drawing.read(found)
    assert kept.tolist() == [0, 2]
    for row, own in zip((3, 5), pixels, strict=True):
        assert (own == items[0].patch(row)).all()


def test_patches_are_shown_in_the_models_stain(tmp_path):
    write_grid(tmp_path, "s1")
    items = open_patches(tmp_path / "grids")
    spec = ModelSpec("x", stain=Normaliser(REFERENCE, per_patch=True).to_dict())
    found = drawing.candidates(items, spec).take(np.arange(3))
    pixels = np.random.default_rng(0).integers(60, 200, (3, 28, 28, 3), dtype=np.uint8)
    change = Normaliser(REFERENCE, per_patch=True)
    expected = np.stack([change(each, None) for each in pixels])
    assert (drawing.shown(found, pixels, spec) == expected).all()
    assert (drawing.shown_alone(pixels, spec) == expected).all()
    assert drawing.shown(found, pixels, SPEC) is pixels
    assert drawing.shown_alone(pixels, SPEC) is pixels
