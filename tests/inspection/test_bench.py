"""What trials are made with, and what is to be said of it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from histocnn.errors import PatchesError
from histocnn.inspection.bench import bench_of
from histocnn.inspection.detectors import confidence
from histocnn.inspection.drawing import candidates, divide
from histocnn.inspection.on_pixels import OnPixels
from histocnn.models.spec import ModelSpec, load
from histocnn.patches.patches import open_patches
from tests.inspection.fooled import FEW, PATTERN, divided, patches_of, small_bench
from tests.models.small_networks import write_model


def test_detectors_learn_from_the_reference_and_the_judged_are_shown(tmp_path):
    bench, division = small_bench(tmp_path)
    assert len(bench.pixels) == len(division.judged) == 12
    assert bench.detectors.learnt_from == 12
    assert (bench.truth == division.judged.labels).all()
    shown, response = bench.shown(bench.patches, derived=True)
    assert (shown.right == (response.called == bench.truth)).all()
    np.testing.assert_allclose(shown.confidence, confidence(response.logits, 0.02))
    assert shown.owner.max() == 2
    nothing, _ = bench.shown(bench.patches, derived=False)
    assert nothing.right is None
    assert set(nothing.owner.tolist()) == {-1}
    assert bench.notes == ["12 patches are judged: figures of so few say little."]


def test_patches_without_labels_are_judged_by_agreement(tmp_path):
    network, spec = load(write_model(tmp_path / "m.safetensors", class_names=("x", "y")))
    division = divided(patches_of(tmp_path / "patches"), spec)
    bench = bench_of(OnPixels(network, spec), division, FEW)
    shown, _ = bench.shown(bench.patches, derived=True)
    assert shown.right.all()
    said = " ".join(bench.notes)
    assert "accuracy is not known" in said
    assert "the network's own calls" in said


def test_one_class_alone_and_patches_of_the_same_patients_are_said(tmp_path):
    network, spec = load(write_model(tmp_path / "m.safetensors"))
    items = open_patches(patches_of(tmp_path / "patches"))
    found = candidates(items, spec)
    division = divide(found.take(found.labels == 0), spec)
    bench = bench_of(OnPixels(network, spec), division, FEW)
    said = " ".join(bench.notes)
    assert "of one class" in said
    assert "look better than they are" in said
    scores = bench.shown(bench.patches, derived=True)[0].scores
    assert all(np.isfinite(own).all() for own in scores.values())


def test_things_come_in_the_patches_size_and_what_is_lost_is_said(tmp_path):
    network, spec = load(write_model(tmp_path / "m.safetensors"))
    folder = patches_of(tmp_path / "patches", patients=16)
    (folder / "a" / "p01_0.png").write_bytes(b"broken")
    (tmp_path / "things").mkdir()
    cv2.imwrite(str(tmp_path / "things" / "grey.png"), np.full((9, 90), 9, np.uint8))
    division = divided(folder, spec)
    bench = bench_of(OnPixels(network, spec), division, FEW, things=tmp_path / "things")
    assert bench.things.shape == (1, 28, 28, 3)
    assert bench.notes == ["1 patches could not be read and are left out."]


def test_nothing_to_read_and_several_sizes_are_refused(tmp_path):
    network, spec = load(write_model(tmp_path / "m.safetensors", patch_px=None, input_px=28))
    on = OnPixels(network, spec)
    folder = patches_of(tmp_path / "patches")
    division = divided(folder, spec)
    for path in folder.rglob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(PatchesError, match="can be read"):
        bench_of(on, division, FEW)
    both = [*open_patches(patches_of(tmp_path / "b"), patient_pattern=PATTERN)]
    wide = tmp_path / "c"
    wide.mkdir()
    for i in range(4):
        cv2.imwrite(str(wide / f"p{50 + i}_0.png"), np.zeros((30, 30, 3), np.uint8))
    both += open_patches(wide, patient_pattern=PATTERN)
    found = candidates(both, ModelSpec("x", class_names=("y", "z")))
    with pytest.raises(PatchesError, match="several sizes"):
        bench_of(on, replace(divide(found, spec), judged=found), FEW)
