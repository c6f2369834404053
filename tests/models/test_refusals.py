"""What is refused before a library is loaded is what the library's user would refuse."""

from __future__ import annotations

import pytest

from histocnn.errors import UsageError
from histocnn.models.augment import PRESETS as MADE
from histocnn.models.networks import OWN
from histocnn.models.options import DataOptions, ModelOptions
from histocnn.models.refusals import OURS, PRESETS, check_meant, check_name


def test_the_names_are_those_that_are_there() -> None:
    assert tuple(MADE) == PRESETS
    assert tuple(OWN) == OURS


@pytest.mark.parametrize(
    ("data", "model", "message"),
    [
        ({"augment": "strong"}, {}, "no augmentation is called 'strong'"),
        ({}, {"finetune": "head", "weights": None}, "a linear probe needs a trained backbone"),
        ({"balance": "loss"}, {"loss": {"class_path": "a.B"}}, "--model.loss knows nothing"),
        ({}, {"loss": {"class_path": "a.B"}, "label_smoothing": 0.1}, "--model.loss knows"),
        ({}, {"backbone": "resnet19"}, "no network is called 'resnet19'.*resnet18"),
    ],
)
def test_what_cannot_be_meant(data, model, message) -> None:
    with pytest.raises(UsageError, match=message):
        check_meant(DataOptions("grids", **data), ModelOptions(**model))


@pytest.mark.parametrize(
    "name",
    ["resnet18", "lenet5", "uni", "UNI", "timm/anything", "hf_hub:A/B", "local-dir:x", "lab.n:Net"],
)
def test_what_may_be_somebody_s_passes(name) -> None:
    check_name(name)
