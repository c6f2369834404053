"""What is asked of a network: images, classes; and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from histocnn.errors import UsageError
from histocnn.inspection.inputs import batch_of, check_memory, class_index, judging

COLOUR, GREY = nn.Conv2d(3, 2, 1), nn.Conv2d(1, 2, 1)


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (1, 1, 5, 7)])
def test_a_grey_image_is_repeated_for_a_network_of_colours(shape: tuple[int, ...]) -> None:
    grey = torch.rand(shape)
    batch = batch_of(COLOUR, grey)
    assert batch.shape == (1, 3, 5, 7)
    assert all(torch.equal(batch[0, channel], grey.view(5, 7)) for channel in range(3))
    assert batch_of(GREY, grey).shape == (1, 1, 5, 7)


def test_images_that_are_no_square_pass_and_are_copied() -> None:
    images = torch.rand(2, 3, 5, 7)
    batch = batch_of(COLOUR, images)
    assert torch.equal(batch, images)
    batch.zero_()
    assert images.any()
    assert batch_of(GREY, images[0]).shape == (1, 3, 5, 7)  # it may average over colours itself


@pytest.mark.parametrize(
    "wrong",
    [torch.zeros(5, 7, 3, dtype=torch.uint8), torch.zeros(7), torch.zeros(1, 1, 1, 3, 3),
     torch.zeros(0, 3, 5, 7), torch.zeros(4, 5, 7), torch.zeros(5, 7, 3)],
)  # fmt: skip
def test_what_is_no_image_is_refused(wrong: torch.Tensor) -> None:
    with pytest.raises(UsageError, match=r"normalised|takes 3 channels"):
        batch_of(COLOUR, wrong)


def test_a_class_goes_by_its_number_or_its_name() -> None:
    names = ["normal", "tumour", "stroma"]
    assert class_index(2, 3) == class_index("stroma", 3, names) == 2
    with pytest.raises(UsageError, match=r"no class 'tumor'. It has tumour"):
        class_index("tumor", 3, names)
    with pytest.raises(UsageError, match=r"3 classes and no class 3\. Give a number from 0 to 2"):
        class_index(3, 3)
    with pytest.raises(UsageError, match="no class -1"):
        class_index(-1, 3)
    with pytest.raises(UsageError, match="nobody said what the network's 3 classes are called"):
        class_index("tumour", 3)


def test_a_network_is_as_it_was_after_it_was_judged() -> None:
    network = nn.Sequential(nn.Dropout(), nn.Dropout())
    network[1].eval()
    with judging(network):
        assert not any(module.training for module in network.modules())
    assert [module.training for module in network.modules()] == [True, True, False]


def test_too_little_memory_is_said_with_a_remedy() -> None:
    error = check_memory(torch.OutOfMemoryError(), torch.zeros(8, 3, 20, 30))
    assert str(error).startswith("8 images of 30 × 20 px and their gradients do not fit")
    assert "Give fewer" in str(error)
