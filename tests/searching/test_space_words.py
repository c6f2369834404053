from __future__ import annotations

import re

import pytest

from histocnn.errors import UsageError
from histocnn.searching.space_words import known_keys, parse_space


def test_every_key_of_train_but_those_that_decide_the_split_may_be_searched():
    keys = known_keys(of_features=False)
    assert {"model.backbone", "data.augment", "trainer.max_epochs", "early_stopping.patience"} <= (
        keys.keys()
    )
    assert not keys.keys() & {"data.patches", "data.split_file", "data.fold"}
    assert {"features.use", "features.k", "features.c"} <= known_keys(of_features=True).keys()


RATE = "model.learning_rate"


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({}, "search.space is empty"),
        ({"model.droput": [0]}, "is no key. Did you mean model.dropout?"),
        ({"data.fold": [0, 1]}, "data.fold cannot be searched: it decides who is validated"),
        ({RATE: []}, "an empty list"),
        ({RATE: [0.1, 0.1]}, "0.1 stands there twice"),
        ({RATE: 0.1}, "is no list and no range"),
        ({RATE: {"low": 0.1, "high": 0.01}}, "the range 0.1 to 0.01 is empty"),
        ({RATE: {"low": 0.1, "high": 0.1}}, "is empty"),
        ({RATE: {"low": 0.1}}, "has one end only"),
        ({RATE: {"low": 0, "high": 1, "log": True}}, "no logarithm of 0"),
        ({RATE: {"low": 0, "hihg": 1}}, "is no word of a space. Did you mean high?"),
        ({RATE: {"low": 0, "high": 1, "step": 2}}, "step 2 cannot be"),
        ({RATE: {"low": "a", "high": 1}}, "low 'a' is no number"),
        ({RATE: {"low": 0, "high": 1, "choices": [1]}}, "give choices, or low and high"),
        ({RATE: {"low": 0, "high": 1, "log": 3}}, "log 3 is no switch"),
        ({"data.batch_size": {"low": 0.5, "high": 2}}, "low 0.5 is no whole number"),
        ({"model.backbone": {"low": 0, "high": 2}}, "takes no numbers"),
        ({RATE: {"low": 0, "high": 1, "when": 3}}, "when: 3 names no key"),
        ({RATE: {"choices": [1], "when": {"model.pool": "cls"}}}, "model.pool is not searched"),
        (
            {"model.optimizer": ["sgd"], RATE: {"choices": [1], "when": {"model.optimizer": "x"}}},
            "'x' is not among its choices",
        ),
        (
            {
                "model.optimizer": {"choices": ["sgd"], "when": {"model.dropout": 0.5}},
                "model.dropout": {"choices": [0.5], "when": {"model.optimizer": "sgd"}},
            },
            "depend on each other",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_a_space_is_refused_in_a_line(space, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        parse_space(space, of_features=False)
