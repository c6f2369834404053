"""Fields of what is laid out anew."""

from __future__ import annotations

import torch

from histocnn.inspection import rearranged
from histocnn.inspection.calls import Call
from histocnn.inspection.fields import of_image

IMAGE = torch.rand(1, 8, 4, 6)
FIELD = of_image(IMAGE.shape)


def call(name: str, *args: object, **kwargs: object) -> Call:
    return Call(name, (IMAGE, *args), kwargs, {IMAGE: FIELD})


def test_permuted_axes_are_found_again() -> None:
    result = IMAGE.permute(0, 2, 3, 1)
    field = rearranged.permuted(call("permute", 0, 2, 3, 1), FIELD, IMAGE, result)
    assert field is not None
    assert [a.dim for a in field] == [1, 2]
    field = rearranged.permuted(call("transpose", 1, -1), FIELD, IMAGE, IMAGE.transpose(1, -1))
    assert field is not None
    assert [a.dim for a in field] == [2, 1]


def test_chunks_of_channels_keep_the_field_and_of_rows_do_not() -> None:
    part = IMAGE.chunk(2, 1)[0]
    assert rearranged.parted(call("chunk", 2, dim=1), FIELD, IMAGE, part) == FIELD
    assert rearranged.parted(call("chunk", 2, dim=2), FIELD, IMAGE, IMAGE[:, :, :2]) is None
    field = rearranged.parted(call("unbind", 1), FIELD, IMAGE, IMAGE[:, 0])
    assert field is not None
    assert [a.dim for a in field] == [1, 2]


def test_one_unit_or_a_range_of_them() -> None:
    field = rearranged.indexed(call("getitem", (slice(None), 0)), FIELD, IMAGE, IMAGE[:, 0])
    assert field is not None
    assert [a.dim for a in field] == [1, 2]
    index = (slice(None), slice(None), slice(1, 3))
    field = rearranged.indexed(call("getitem", index), FIELD, IMAGE, IMAGE[:, :, 1:3])
    assert field is not None
    assert (field[0].cells, field[0].offset_px) == (2, None)
    steps = (slice(None), slice(None), slice(None, None, 2))
    assert rearranged.indexed(call("getitem", steps), FIELD, IMAGE, IMAGE[:, :, ::2]) is None
    assert rearranged.indexed(call("getitem", IMAGE > 0), FIELD, IMAGE, IMAGE) is None


def test_put_together_along_channels_keeps_places_and_along_an_axis_does_not() -> None:
    other = IMAGE.clone()
    both = Call("cat", ([IMAGE, other], 1), {}, {IMAGE: FIELD, other: FIELD})
    assert rearranged.concatenated(both, [IMAGE, other], torch.cat([IMAGE, other], 1)) == FIELD
    longer = rearranged.lengthened(call("cat", 2), FIELD, IMAGE, torch.cat([IMAGE, IMAGE], 2))
    assert longer is not None
    assert (longer[0].offset_px, longer[1].offset_px) == (None, 0)
    assert rearranged.shaped(call("flatten"), FIELD, IMAGE, IMAGE.flatten(1)) is not None
