"""Calls of torch by their plain names."""

from __future__ import annotations

import torch

from histocnn.inspection.calls import Call, dims_of, plain_name, tensors_in
from histocnn.inspection.fields import of_image


def test_names_lose_what_says_that_they_work_in_place_or_come_from_an_operator() -> None:
    names = ("relu_", "__iadd__", "__radd__", "__getitem__", "add", "_softmax")
    assert [plain_name(n) for n in names] == ["relu", "add", "add", "getitem", "add", "softmax"]


def test_a_call_knows_what_of_it_depends_on_the_image() -> None:
    image, weight = torch.zeros(1, 3, 4, 4), torch.zeros(3)
    call = Call("cat", ([image, weight],), {"dim": 1}, {image: of_image(image.shape)})
    assert [t is image for t in call.tensors()] == [True]
    assert call.value(1, "dim", 0) == 1
    assert call.value(2, "more", 7) == 7
    assert len(list(tensors_in([image, [weight, (image,)]]))) == 3


def test_dimensions_are_counted_from_the_front() -> None:
    assert (dims_of(-1, 4), dims_of((1, -2), 4), dims_of(None, 2)) == ([3], [1, 2], [0, 1])
