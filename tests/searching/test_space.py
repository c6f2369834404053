from __future__ import annotations

from typing import Any

import pytest

from histocnn.errors import UsageError
from histocnn.searching.space import draw, grid
from histocnn.searching.space_words import parse_space


class Lowest:
    """A trial that draws the first of everything, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.asked[name] = choices
        return choices[0]

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        self.asked[name] = (low, high, step, log)
        return low

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.asked[name] = (low, high, step, log)
        return low


def parsed(space: Any) -> Any:
    return parse_space(space, of_features=False)


def test_a_list_a_range_and_a_condition_are_drawn_as_they_are_written():
    space = parsed(
        {
            "model.backbone_factor": {"low": 0.01, "high": 1, "log": True,
                                      "when": {"model.finetune": "full"}},
            "model.finetune": ["head", "full"],
            "data.batch_size": {"low": 16, "high": 64, "step": 16},
            "model.learning_rate": {"low": "1e-5", "high": 0.01},
        }
    )  # fmt: skip
    assert space[0].key != "model.backbone_factor"  # what it depends on comes first
    trial = Lowest()
    assert draw(space, trial) == {
        "model.finetune": "head", "data.batch_size": 16, "model.learning_rate": 1e-5,
    }  # fmt: skip
    assert trial.asked["data.batch_size"] == (16, 64, 16, False)
    assert "model.backbone_factor" not in trial.asked
    trial = Lowest()
    trial.suggest_categorical = lambda name, choices: "full"  # type: ignore[method-assign]
    assert draw(space, trial)["model.backbone_factor"] == 0.01
    assert trial.asked["model.backbone_factor"] == (0.01, 1.0, None, True)


def test_a_choice_that_is_no_plain_value_is_stored_as_its_text():
    loss = {"class_path": "torch.nn.MultiMarginLoss"}
    [one] = parsed({"model.loss": [None, loss]})
    assert list(one.labels) == [None, '{"class_path": "torch.nn.MultiMarginLoss"}']
    assert list(one.labels.values())[1] == loss


def test_a_grid_is_every_combination_that_applies_once():
    space = parsed(
        {
            "model.finetune": ["full", "head"],
            "model.backbone_factor": {"choices": [0.1, 1.0], "when": {"model.finetune": "full"}},
            "data.batch_size": {"low": 8, "high": 10},
        }
    )
    found = grid(space)
    assert len(found) == 3 * (2 + 1)  # by hand: full with two factors, head without any
    assert {"model.finetune": "head", "data.batch_size": 9} in found


RATE = "model.learning_rate"


def test_a_range_without_steps_makes_no_grid():
    with pytest.raises(UsageError, match="a grid needs its values one by one"):
        grid(parsed({RATE: {"low": 0.0, "high": 1.0}}))
    assert [v[RATE] for v in grid(parsed({RATE: {"low": 0.0, "high": 1.0, "step": 0.5}}))] == [
        0.0, 0.5, 1.0,
    ]  # fmt: skip
