"""Maps of each class over the images, which methods a network allows, and their check."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from histocnn.errors import UsageError
from histocnn.inspection.class_maps import cams
from histocnn.inspection.explaining import (
    allowed,
    checked_maps,
    class_maps,
    mapped,
    over_image_alone,
)
from histocnn.inspection.shown import from_cohort
from histocnn.patches.patches import open_patches
from tests.inspection.looked import looking_at, sliding_model, subject_of, tiled
from tests.models.patch_files import write_folder


def test_pieces_give_the_maps_of_all(tmp_path: Path) -> None:
    subject = sliding_model(tmp_path)
    images = torch.rand(11, 3, 64, 64)
    whole = cams(subject.network, images, 1, method="grad_cam")
    pieces = mapped(subject.network, images, index=1, method="grad_cam")
    assert np.allclose(whole, pieces, atol=1e-6)


def test_each_class_is_mapped_with_its_probability(tmp_path: Path) -> None:
    looking = looking_at(sliding_model(tmp_path))
    shown = from_cohort(looking.subject, open_patches(tiled(tmp_path)[0]), 2)
    methods, refused = allowed(looking)
    assert (methods, refused) == (("grad_cam", "cam", "occlusion"), {})
    facts = class_maps(looking, shown, methods, None)
    assert [(each.image, each.of_class) for each in facts] == [
        (one.name, name) for one in shown for name in ("normal", "tumour")
    ]
    with torch.no_grad():
        expected = looking.subject.network(shown[0].tensor).softmax(1)[0, 1]
    assert facts[1].probability == pytest.approx(float(expected), abs=1e-6)
    found = cams(looking.subject.network, shown[0].tensor, 1, method="grad_cam")
    largest = facts[1].largest["grad_cam"]
    assert largest == (pytest.approx(float(found.max()), rel=1e-4) if found.max() > 0 else None)
    assert looking.pictures[facts[0].picture].shape == (200, 4 * 200 + 3 * 6, 3)
    assert over_image_alone(shown[0]).shape == (200, 200, 3)
    with pytest.raises(UsageError, match=r"no class 'tumor'.*tumour"):
        class_maps(looking, shown, methods, "tumor")


def test_plain_cam_is_refused_where_the_head_does_not_allow_it(tmp_path: Path) -> None:
    methods, refused = allowed(looking_at(subject_of(tmp_path)))  # LeNet-5 flattens its map
    assert methods == ("grad_cam", "occlusion")
    assert "not one linear layer on the mean" in refused["cam"]


def test_the_check_is_of_the_cohorts_patches(tmp_path: Path) -> None:
    looking = looking_at(subject_of(tmp_path))
    cohort = open_patches(write_folder(tmp_path / "p", patients=2, per_patient=2), mpp=0.5)
    found = checked_maps(looking, cohort, 1)
    assert found is not None
    assert (found.images, found.seeds) == (8, 5)
    assert checked_maps(looking, [], 1) is None
