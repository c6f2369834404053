"""Rules of fields behind calls: what mixes, what does not, what nobody knows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from histocnn.inspection import receptive_fields
from histocnn.inspection.calls import Call
from histocnn.inspection.fields import Field, of_image
from histocnn.inspection.rules import field_after


def after(name: str, result: Tensor, *args: object, **kwargs: object) -> Field | None:
    """The field behind a call whose first argument is an image."""
    image = args[0]
    assert isinstance(image, Tensor)
    return field_after(Call(name, args, kwargs, {image: of_image(image.shape)}), result)


def test_what_works_point_by_point_changes_nothing() -> None:
    image = torch.rand(1, 2, 4, 6)
    for name in ("relu", "batch_norm", "dropout", "gelu"):
        assert after(name, image, image) == of_image(image.shape)


def test_a_mean_over_space_sees_everything_and_one_over_channels_nothing_more() -> None:
    image = torch.rand(1, 2, 4, 6)
    field = after("mean", image.mean((2, 3)), image, (2, 3))
    assert field is not None
    assert [(a.size_px, a.whole, a.dim) for a in field] == [(4, True, None), (6, True, None)]
    field = after("mean", image.mean(1), image, 1)
    assert field is not None
    assert [(a.size_px, a.dim) for a in field] == [(1, 1), (1, 2)]
    assert after("sum", image.sum(1, keepdim=True), image, 1, keepdim=True) == of_image(image.shape)


def test_normalising_over_space_sees_everything_and_over_channels_does_not() -> None:
    image = torch.rand(1, 2, 4, 6)
    for name, args in (("group_norm", (2,)), ("layer_norm", ((2, 4, 6),)), ("softmax", (3,))):
        field = after(name, image, image, *args)
        assert field is not None
        assert (field[1].whole, field[1].cells) == (True, 6)
    assert after("softmax", image, image, dim=1) == of_image(image.shape)


def test_attention_sees_every_token_whether_by_one_call_or_by_hand() -> None:
    class Attention(nn.Module):
        def __init__(self, by_hand: bool) -> None:
            super().__init__()
            self.by_hand, self.out = by_hand, nn.Linear(4, 4)

        def forward(self, images: Tensor) -> Tensor:
            tokens = images.flatten(2).transpose(1, 2)
            if self.by_hand:
                weights = (tokens @ tokens.transpose(1, 2)).softmax(-1)
                return self.out(weights @ tokens)
            return self.out(F.scaled_dot_product_attention(tokens, tokens, tokens))

    for by_hand in (True, False):
        network = nn.Sequential(nn.Conv2d(3, 4, 4, 4), Attention(by_hand))
        row = receptive_fields(network, 16).layers[-1]
        assert (row.whole, row.receptive_px) == (True, (16, 16)), by_hand


def test_a_call_that_is_not_named_is_unknown_and_stays_so() -> None:
    image = torch.rand(1, 2, 4, 6)
    assert after("roll", image, image) is None
    call = Call("relu", (image,), {}, {image: None})
    assert field_after(call, image) is None
    other = torch.rand(1, 2, 4, 6)
    both = {image: of_image(image.shape), other: of_image(image.shape)}
    assert field_after(Call("cross", (image, other), {}, both), image) is None


def test_a_sum_of_maps_on_different_grids_is_unknown() -> None:
    image, other = torch.rand(1, 2, 4, 4), torch.rand(1, 2, 4, 4)
    rows, columns = of_image((1, 2, 8, 8))
    coarse = tuple(a.windowed(2, 2, 0) for a in (rows, columns))
    half = tuple(type(a)(a.dim, 4, a.size_px, a.jump_px, a.first_px) for a in coarse)
    known = {image: of_image(image.shape), other: (half[0], half[1])}
    assert field_after(Call("add", (image, other), {}, known), image) is None
