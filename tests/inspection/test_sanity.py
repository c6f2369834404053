"""The sanity check flags what ignores the network's weights, and nothing else."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from captum.attr import GuidedBackprop
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

from histocnn.errors import UsageError
from histocnn.inspection.class_maps import cams
from histocnn.inspection.sanity import rank_correlation, sanity_check, weighted_median


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 24, 3, 1, 1),
        nn.BatchNorm2d(24), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 2),
    ).eval()  # fmt: skip


def shapes(count: int = 6, seed: int = 0) -> Tensor:
    """Images of a few bright squares on a dark ground."""
    rng = np.random.default_rng(seed)
    images = torch.full((count, 3, 32, 32), -1.0)
    for image in images:
        for row, col in rng.integers(0, 24, (3, 2)):
            image[:, row : row + 8, col : col + 8] = torch.from_numpy(rng.random((3, 1, 1)))
    return images


def edges(of: nn.Module, images: Tensor) -> NDArray[np.float32]:
    """What looks like an explanation and never asks the network."""
    return np.abs(np.diff(images.mean(1).numpy(), axis=1)).astype(np.float32)


def weights_alone(of: nn.Module, images: Tensor) -> NDArray[np.float32]:
    """Another random map for every network."""
    total = sum(float(parameter.detach().double().sum()) for parameter in of.parameters())
    rng = np.random.default_rng(round(abs(total) * 1e9))
    return rng.random((len(images), 8, 8)).astype(np.float32)


def guided(of: nn.Module, images: Tensor) -> NDArray[np.float32]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it sets hooks
        found: Tensor = GuidedBackprop(of).attribute(images, target=1)
    return found.abs().sum(1).detach().numpy()


def test_what_never_asks_the_network_is_flagged() -> None:
    found = sanity_check(network(), shapes(), edges, seeds=2, steps=3)
    assert found.flagged
    assert [step.layers for step in found.steps] == [1, 3, 5]
    assert [step.layer for step in found.steps] == ["8", "3", "0"]  # from the outputs down
    for step in found.steps:
        assert step.spearman == pytest.approx(1)
        assert step.ssim == pytest.approx(1, abs=1e-5)
        assert step.spearman_bounds == pytest.approx((1, 1))
        assert (step.pairs, step.undefined, step.note) == (12, 0, "few slides")


def test_what_depends_on_every_weight_is_not_flagged() -> None:
    found = sanity_check(network(), shapes(), weights_alone, seeds=2, steps=3)
    assert not found.flagged
    whole = found.whole
    assert (whole.pairs, whole.spearman < 0.3) == (36, True)
    assert whole.spearman_bounds is not None
    assert whole.spearman_bounds[0] <= whole.spearman <= whole.spearman_bounds[1]


def test_guided_backpropagation_is_flagged_and_grad_cam_is_not() -> None:
    torch.manual_seed(0)
    sides = zip([3, 32, 32, 32], (1, 2, 1, 2), strict=True)
    layers = [m for width, stride in sides for m in (nn.Conv2d(width, 32, 3, stride, 1), nn.ReLU())]
    deep = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 2)).eval()
    found = sanity_check(deep, shapes(), guided, seeds=3)
    assert found.flagged
    # Alike as long as the first layers stay: what is left at the cascade's end would not tell.
    assert found.steps[0].spearman > 0.7 > 0.5 > found.steps[-1].spearman
    assert not sanity_check(deep, shapes(), lambda n, i: cams(n, i, 1), seeds=3).flagged


def test_maps_that_say_nothing_are_counted_and_in_no_median() -> None:
    def empty(of: nn.Module, images: Tensor) -> NDArray[np.float32]:
        made = edges(of, images)
        made[::2] = 0
        return made

    found = sanity_check(network(), shapes(), empty, seeds=2, steps=1)
    assert (found.own_undefined, found.images, found.seeds) == (3, 6, 2)
    assert (found.steps[0].pairs, found.steps[0].undefined) == (6, 6)
    assert found.steps[0].note == "no interval: 3 slides, fewer than 5"
    assert found.steps[0].spearman_bounds is None
    nothing = sanity_check(network(), shapes(), lambda n, i: edges(n, i) * 0, seeds=1, steps=1)
    assert not nothing.flagged
    assert np.isnan(nothing.steps[0].spearman)


def test_maps_that_are_the_same_everywhere_have_no_order_and_are_in_no_figure() -> None:
    """A flat map is like any other flat one, whatever the weights: it is no evidence of either."""

    def flat(of: nn.Module, images: Tensor) -> NDArray[np.float32]:
        maps = weights_alone(of, images)
        maps[:2] = 3
        return maps

    found = sanity_check(network(), shapes(), flat, seeds=2, steps=2)
    assert (found.steps[0].pairs, found.steps[0].undefined) == (8, 4)
    alone = sanity_check(network(), shapes(2), flat, seeds=2, steps=2)
    assert (alone.whole.pairs, alone.flagged) == (0, False)
    assert np.isnan([alone.whole.spearman, alone.whole.ssim]).all()


def test_the_same_seeds_give_the_same_figures_and_the_network_stays_as_it_is() -> None:
    own, images = network(), shapes()
    before = {name: value.clone() for name, value in own.state_dict().items()}
    state = torch.get_rng_state()
    found = [sanity_check(own, images, lambda n, i: cams(n, i, 1), seeds=2) for _ in range(2)]
    assert found[0] == found[1]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())


def test_intervals_resample_slides() -> None:
    slides = ["a", "b", "c", "d", "d", "d"]
    found = sanity_check(network(), shapes(), edges, seeds=1, steps=1, groups=slides)
    assert found.steps[0].note == "no interval: 4 slides, fewer than 5"
    with pytest.raises(UsageError, match="6 images and 2 slides"):
        sanity_check(network(), shapes(), edges, groups=["a", "b"])


def test_nothing_to_check_is_refused() -> None:
    with pytest.raises(UsageError, match="6 images, 0 seeds"):
        sanity_check(network(), shapes(), edges, seeds=0)
    with pytest.raises(UsageError, match="no weights that could be made random"):
        sanity_check(nn.Sequential(nn.Conv2d(3, 1, 1), nn.ReLU())[1:], shapes(), edges)


def test_ranks_are_scipys_and_medians_those_of_repeated_values() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, (2, 4, 3, 3)).astype(np.float32)
    expected = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(rank_correlation(a, b), expected, atol=1e-12)
    values = np.array([3, np.nan, 1, 7, 5.0])
    weights = np.array([[1, 9, 1, 1, 1], [2, 0, 1, 0, 0], [0, 3, 0, 0, 0], [0, 0, 1, 0, 1.0]])
    assert weighted_median(values, weights).tolist() == pytest.approx(
        [4, 3, np.nan, 3], nan_ok=True
    )
