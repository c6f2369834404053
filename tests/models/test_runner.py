from __future__ import annotations

import numpy as np
import pytest
import torch

from histocnn.errors import ModelError
from histocnn.models.runner import Runner, flips_and_turns
from histocnn.patches.patches import Patches, open_patches
from tests.models.patch_files import write_folder
from tests.models.small_networks import all_features, feature_runner

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Patches:
    return open_patches(write_folder(tmp_path_factory.mktemp("p") / "set", patients=3))[0]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return feature_runner(tmp_path_factory.mktemp("w"))


def test_bf16_is_close(patches: Patches, runner: Runner) -> None:
    half = Runner(runner.network, runner.spec, CPU, True, runner.finish)
    expected, found = all_features(patches, runner), all_features(patches, half)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


def test_views_are_the_eight_symmetries_and_are_averaged(patches: Patches, runner: Runner) -> None:
    image = torch.arange(9.0).view(1, 1, 3, 3)
    seen = {tuple(view(image).flatten().tolist()) for view in flips_and_turns()}
    assert len(seen) == 8
    many = Runner(runner.network, runner.spec, CPU, False, runner.finish, augment=flips_and_turns())
    expected = np.mean(
        [
            all_features(patches, Runner(runner.network, runner.spec, CPU, False, runner.finish,
                                         augment=(view,)))
            for view in flips_and_turns()
        ],
        axis=0,
    )  # fmt: skip
    np.testing.assert_allclose(all_features(patches, many), expected, atol=1e-5)


def test_a_batch_too_large_says_what_to_lower(runner: Runner) -> None:
    def exhausted(images: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("no memory")

    full = Runner(exhausted, runner.spec, CPU, False, runner.finish)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"batch of 2 patches.*Lower --batch_size"):
        full(np.zeros((2, 28, 28, 3), np.uint8))
