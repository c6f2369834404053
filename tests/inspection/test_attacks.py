"""Attacks against networks whose gradient is known by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from histocnn.errors import ModelError
from histocnn.inspection import attacks
from histocnn.inspection.attacks import NoGradientError
from tests.inspection.fooled import Linear, Rounds

SIGNS = torch.tensor([1.0, -2.0, 0.0]).view(3, 1, 1).expand(3, 2, 2) / 1000


def test_log_odds_are_those_of_the_softmax_and_do_not_end():
    logits = torch.tensor([[1.0, 2.0, 4.0], [0.0, 0.0, 200.0]], dtype=torch.float64)
    classes = torch.tensor([1, 2])
    p = logits.softmax(1)[0, 1]
    odds = attacks.log_odds(logits, classes)
    assert odds[0].item() == pytest.approx((p / (1 - p)).log().item())
    assert odds[1].item() == pytest.approx(200 - torch.tensor(2.0).log().item())


def test_the_gradient_is_that_of_the_cross_entropy_up_to_its_length():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.Tanh(), nn.Linear(7, 3))
    pixels = torch.rand(4, 3, 2, 2, requires_grad=True)
    classes = torch.tensor([0, 1, 2, 0])
    loss = F.cross_entropy(network(pixels), classes, reduction="sum")
    (expected,) = torch.autograd.grad(loss, pixels)
    found, _ = attacks.pixel_gradient(network, pixels, classes)
    apart = 1 - network(pixels).softmax(1).gather(1, classes[:, None])
    torch.testing.assert_close(-found * apart.view(-1, 1, 1, 1), expected)


def test_a_certain_network_is_attacked_too():
    """Float32's cross-entropy has no gradient left at log-odds of 400."""
    network = Linear(SIGNS * 1000)
    pixels = torch.full((1, 3, 2, 2), 100.0)
    pixels[:, 1] = 0
    assert network(pixels)[0, 1] == 400
    found = attacks.fgsm(network, pixels, torch.tensor([1]), 2)
    assert found[0, :, 0, 0].tolist() == [98, 2, 100]


def test_fgsm_takes_one_step_against_the_sign_and_stays_in_the_picture():
    pixels = torch.tensor([1.0, 254.0, 7.0]).view(1, 3, 1, 1).expand(2, 3, 2, 2)
    found = attacks.fgsm(Linear(SIGNS), pixels, torch.tensor([1, 0]), 4)
    assert found[0, :, 0, 0].tolist() == [0, 255, 7]  # away from the second class
    assert found[1, :, 0, 0].tolist() == [5, 250, 7]


def test_pgd_ends_in_the_corner_that_is_best_against_a_linear_network():
    pixels = torch.full((2, 3, 2, 2), 100.0)
    found = attacks.pgd(Linear(SIGNS), pixels, torch.tensor([1, 0]), 8, steps=10)
    assert found[0, :2, 1, 1].tolist() == [92, 108]
    assert found[1, :2, 1, 1].tolist() == [108, 92]
    assert (found - pixels).abs().max() <= 8


def test_pgd_beats_fgsm_where_the_gradient_turns_and_repeats_itself_by_seed():
    torch.manual_seed(1)
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 32), nn.Tanh(), nn.Linear(32, 2))
    pixels = torch.randint(0, 256, (16, 3, 4, 4)).float()
    classes = network(pixels).argmax(1)
    odds = {}
    for name, found in {
        "fgsm": attacks.fgsm(network, pixels, classes, 8),
        "pgd": attacks.pgd(network, pixels, classes, 8, generator=torch.Generator().manual_seed(0)),
        "same": attacks.pgd(
            network, pixels, classes, 8, generator=torch.Generator().manual_seed(0)
        ),
    }.items():
        assert (found - pixels).abs().max() <= 8
        assert 0 <= found.min() <= found.max() <= 255
        odds[name] = attacks.log_odds(network(found), classes).mean().item()
    assert odds["pgd"] < odds["fgsm"] < attacks.log_odds(network(pixels), classes).mean()
    assert odds["same"] == odds["pgd"]


def test_ascent_stops_as_soon_as_the_network_is_sure():
    """Every step adds 0.001 × 4 + 0.002 × 4 = 0.012 to the log-odds: ln 99 takes 383 of them."""
    network, pixels = Linear(SIGNS), torch.full((1, 3, 2, 2), 128.0)
    begun = attacks.log_odds(network(pixels), torch.tensor([1])).item()
    sure = torch.tensor([1])
    found = attacks.ascend(network, pixels, sure, confidence=0.6, most_steps=1000)
    wanted = torch.tensor(1.5).log().item()
    steps = (wanted - begun) / 0.012
    moved = found[0, 0, 0, 0].item() - 128
    assert steps <= moved < steps + 1
    assert network(found).softmax(1)[0, 1] >= 0.6
    assert torch.equal(attacks.ascend(network, found, sure, confidence=0.6), found)
    few = attacks.ascend(network, pixels, sure, confidence=0.9, most_steps=3)
    assert few[0, :, 0, 0].tolist() == [131, 125, 128]
    hot = attacks.ascend(network, pixels, sure, confidence=0.6, temperature=2.0, most_steps=1000)
    assert hot[0, 0, 0, 0] > found[0, 0, 0, 0]


def test_what_has_no_gradient_or_no_choice_is_refused():
    pixels, classes = torch.rand(2, 3, 2, 2), torch.tensor([0, 1])
    head = nn.Linear(3, 2).requires_grad_(False)
    with pytest.raises(NoGradientError, match="no gradient of the network reaches"):
        attacks.fgsm(nn.Sequential(Rounds(), head), pixels, classes, 1)

    class Steps(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return head(pixels.round().mean((2, 3)))

    with pytest.raises(NoGradientError, match="0 at every pixel"):
        attacks.check_gradient(Steps(), pixels, classes)
    with pytest.raises(ModelError, match="one class alone"):
        attacks.log_odds(torch.zeros(2, 1), classes * 0)
