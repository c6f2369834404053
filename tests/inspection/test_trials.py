"""Every kind of picture is made, within its bounds, and without a gradient the others are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from histocnn.inspection.bench import bench_of
from histocnn.inspection.trials import ascended, everything, noises
from tests.inspection.fooled import FEW, Rounds, divided, on_pixels, patches_of, small_bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return small_bench(tmp_path_factory.mktemp("trials"))[0]


def test_everything_is_made_in_order_and_within_bounds(bench):
    made = list(everything(bench))
    names = [each.name for each in made]
    assert names[:4] == ["FGSM, ε = 1", "FGSM, ε = 8", "PGD, ε = 1", "PGD, ε = 8"]
    assert names[12:] == [
        "uniform noise",
        "Gaussian noise",
        "Gaussian noise in the tissue's colours",
        "faint noise in the tissue's colours",
        *names[-2:],
    ]
    assert [name.partition(" from ")[0] for name in names[-2:]] == ["ascent to a", "ascent to b"]
    for each in made:
        assert each.pixels.dtype == np.uint8
        assert each.pixels.shape[1:] == (28, 28, 3)
        assert each.derived is (each.kind in ("attack", "change"))
        assert len(each.pixels) == (12 if each.derived else 4)
        if each.epsilon:
            apart = np.abs(each.pixels.astype(int) - bench.patches)
            assert 0 < apart.max() <= each.epsilon


def test_attacks_lower_the_accuracy_and_ascent_ends_sure(bench):
    found = {each.name.partition(" from ")[0]: each for each in everything(bench)}
    right = {
        name: bench.shown(found[name].pixels, derived=True)[0].right.mean()
        for name in ("FGSM, ε = 8", "PGD, ε = 8")
    }
    clean = bench.shown(bench.patches, derived=True)[0].right.mean()
    assert max(right.values()) <= clean
    for number, name in enumerate("ab"):
        shown, response = bench.shown(found[f"ascent to {name}"].pixels, derived=False)
        assert (response.called == number).all()
        assert (shown.confidence >= 0.99).all()


def test_without_a_gradient_there_is_no_attack_and_it_is_said(tmp_path):
    network = on_pixels(Rounds(), 3)
    division = divided(patches_of(tmp_path), network.spec)
    bench = bench_of(network, division, FEW)
    kinds = {each.kind for each in everything(bench)}
    assert kinds == {"change", "noise"}
    assert "No attack and no ascent: no gradient of the network reaches" in bench.notes[-1]


def test_ascent_begins_where_the_network_is_least_sure_of_the_class(bench):
    begun = noises(bench)
    chance = {
        kind: softmax(bench.network.respond(pixels).logits, axis=1).mean(axis=0)
        for kind, pixels in begun.items()
    }
    for number, made in enumerate(ascended(bench)):
        least = min(chance, key=lambda kind: chance[kind][number])
        assert made.name == f"ascent to {'ab'[number]} from {least}"


def test_noise_that_is_called_surely_already_is_said(tmp_path):
    network = on_pixels(Rounds(), 3)
    network.network.head[1].bias.data[1] = 1000.0
    network.network.backbone.forward = lambda images: images.mean((2, 3))
    bench = bench_of(network, divided(patches_of(tmp_path), network.spec), FEW)
    list(everything(bench))
    assert any("4 are called b with 99 % and more as they are" in note for note in bench.notes)
