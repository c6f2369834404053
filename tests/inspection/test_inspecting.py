"""The parts of a look, each with its facts and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import UsageError
from histocnn.inspection import activations
from histocnn.inspection.inspecting import (
    as_maps,
    excited,
    fields,
    filters,
    shown_activations,
)
from histocnn.inspection.shown import from_cohort
from histocnn.patches.patches import open_patches
from tests.inspection.looked import looking_at, subject_of
from tests.models.patch_files import write_folder

LAYERS = ["backbone.layers.1", "backbone.layers.4"]


def test_the_first_filters_and_their_range(tmp_path: Path) -> None:
    looking = looking_at(subject_of(tmp_path))
    found = filters(looking)
    assert found is not None
    assert (found.filters, found.shape) == (6, (1, 5, 5))
    weight = looking.subject.network.get_submodule("backbone.layers.0").weight
    assert (found.low, found.high) == (weight.min().item(), weight.max().item())  # type: ignore[operator,union-attr]
    assert set(looking.pictures) == {"filters.png"}


def test_patterns_and_patches_of_nine_channels_with_slide_and_place(tmp_path: Path) -> None:
    looking = looking_at(subject_of(tmp_path))
    assert looking.layers == LAYERS
    cohort = open_patches(write_folder(tmp_path / "p", patients=2, per_patient=3), mpp=0.5)
    facts, sought = excited(looking, cohort)
    assert sought == 12
    assert [(each.layer, each.channels, len(each.shown)) for each in facts] == [
        ("backbone.layers.1", 6, 6),
        ("backbone.layers.4", 16, 9),
    ]
    best = facts[0].shown[0].patches
    assert len(best) == 9
    values = [patch["value"] for patch in best]
    assert values == sorted(values, reverse=True)
    images = looking.subject.prepare(cohort[0])(np.stack([cohort[0].patch(r) for r in range(12)]))
    maps = activations(looking.subject.network, images, ["layers.1"])["layers.1"]
    assert best[0]["row"] == maps[:, 0].max((1, 2)).argmax()
    assert best[0]["path"] == cohort[0].datasets["paths"][best[0]["row"]]
    assert "patterns_backbone.layers.1.png" in looking.pictures


def test_all_patterns_are_of_every_channel_of_every_layer(tmp_path: Path) -> None:
    looking = looking_at(subject_of(tmp_path), patterns="all")
    facts, sought = excited(looking, [])
    assert sought == 0
    assert [len(each.shown) for each in facts] == [6, 16]
    named = looking_at(subject_of(tmp_path), patterns="all", layers=("layers.7",))
    assert [len(each.shown) for each in excited(named, [])[0]] == [120]


def test_fields_and_activations_of_the_layers(tmp_path: Path) -> None:
    looking = looking_at(subject_of(tmp_path))
    cohort = open_patches(write_folder(tmp_path / "p", patients=2, per_patient=3), mpp=0.5)
    shown = from_cohort(looking.subject, cohort, 3)
    found = fields(looking, shown)
    assert [(each.images, each.receptive_px) for each in found] == [(3, (5, 5)), (3, (14, 14))]
    assert found[0].width_px is not None
    assert found[0].width_um == tuple(0.5 * width for width in found[0].width_px)
    active = shown_activations(looking, shown)
    assert len(active) == 2 * 3
    assert active[0].shape == (6, 28, 28)
    assert active[0].high == active[2].high  # one scale per layer
    assert active[0].picture in looking.pictures
    assert fields(looking, []) == ()
    assert shown_activations(looking, []) == ()


def test_an_unknown_layer_is_refused_with_the_nearest_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no layer 'layers\.99'.*nearest names are"):
        looking_at(subject_of(tmp_path), layers=("layers.99",))


def test_tokens_are_laid_out_as_the_image() -> None:
    tokens = np.arange(17 * 2, dtype=np.float32).reshape(17, 2)
    assert as_maps(tokens)[0].tolist()[0] == [2, 4, 6, 8]  # behind the class token
    assert as_maps(np.zeros((7, 2), np.float32)).shape == (2, 1, 7)
