"""What a network sees: asked through inspection, as `histocnn inspect` does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import ModelError, UsageError
from histocnn.inspection import watching
from histocnn.inspection.class_maps import cams
from histocnn.inspection.maps import enlarged, scaled
from histocnn.patches.patches import FilePatches
from histocnn.pictures.attribution import over_image
from histocnn.viewing.network import CHANNELS, SIDE_PX, Network
from tests.grid_files import write_grid
from tests.models.small_networks import write_model


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return Network(write_model(tmp_path_factory.mktemp("model") / "model.safetensors", mpp=0.5))


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory, network: Network) -> FilePatches:
    spec = network.subject.spec
    folder = tmp_path_factory.mktemp("grid")
    return FilePatches(write_grid(folder, patch_px=spec.patch_px or 28, mpp=spec.mpp or 1.0))


def test_it_has_classes(network: Network) -> None:
    assert network.facts()["classes"] == list(network.subject.spec.class_names)


def test_a_class_activation_map_is_that_of_inspection(
    network: Network, patches: FilePatches
) -> None:
    found = network.because(patches, 3, 1)
    pixels = patches.patch(3)
    images = network.subject.prepare(patches)(pixels[None])
    own = cams(network.subject.network, images, 1)
    assert found.shape == (SIDE_PX, SIDE_PX, 3)
    if own.max() > 0:
        laid = enlarged(scaled(own), (SIDE_PX, SIDE_PX))[0]
        assert np.array_equal(found, over_image(pixels, laid, SIDE_PX))
    with pytest.raises(UsageError, match="no class"):
        network.because(patches, 3, 99)
    with pytest.raises(UsageError, match="no patch"):
        network.because(patches, len(patches), 0)


def test_the_most_excited_channels_come_first(network: Network, patches: FilePatches) -> None:
    said = network.channels(patches, 3)
    values = [each["value"] for each in said["channels"]]
    assert values == sorted(values, reverse=True)
    assert 0 < len(values) <= CHANNELS
    first = said["channels"][0]["channel"]
    assert network.channel(patches, 3, first).shape == (SIDE_PX, SIDE_PX, 3)
    with pytest.raises(UsageError, match="no channel"):
        network.channel(patches, 3, 10_000)


def test_patches_of_another_scale_are_refused(network: Network, tmp_path: Path) -> None:
    own = network.subject.spec.mpp or 1.0
    other = FilePatches(write_grid(tmp_path, mpp=2.5 * own))
    with pytest.raises(ModelError):
        network.because(other, 0, 0)


def test_one_look_at_a_patch_gives_all_its_channels(
    network: Network, patches: FilePatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, real = [], watching.activations
    monkeypatch.setattr(watching, "activations", lambda *a: looks.append(1) or real(*a))
    found = network.channels(patches, 7)["channels"]
    for each in found:
        network.channel(patches, 7, each["channel"])
    assert len(looks) == 1
    network.channels(patches, 8)
    assert len(looks) == 2
