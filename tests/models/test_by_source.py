"""Names and types that are read off the source are those that the libraries have."""

from __future__ import annotations

import inspect

import torchvision
from pytorch_lightning import Trainer

from histocnn.models import by_source
from histocnn.models.by_source import torchvision_names, trainer_options


def test_the_trainer_s_options_are_lightning_s_own() -> None:
    expected = set(inspect.signature(Trainer.__init__).parameters) - {"self"}
    assert set(trainer_options()) == expected
    assert trainer_options()["max_steps"] is int


def test_the_names_are_torchvision_s() -> None:
    assert torchvision_names() == set(torchvision.models.list_models(module=torchvision.models))


def test_a_library_of_another_shape_says_nothing(monkeypatch) -> None:
    monkeypatch.setattr(by_source, "_sources", lambda package, pattern: ["class Trainer: pass"])
    assert trainer_options.__wrapped__() == {}
    assert torchvision_names.__wrapped__() == set()
