"""What we declare of Lightning's own options is what Lightning takes."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import EarlyStopping

from histocnn.models.options import SECTIONS, StoppingOptions, TrainerOptions
from histocnn.models.parsing import DEFAULTS


@pytest.mark.parametrize(
    ("ours", "theirs"), [(TrainerOptions, Trainer), (StoppingOptions, EarlyStopping)]
)
def test_lightning_takes_every_option_under_its_name(ours, theirs):
    assert {f.name for f in fields(ours)} <= set(inspect.signature(theirs).parameters)
    assert set(DEFAULTS) <= set(inspect.signature(Trainer).parameters)


def test_every_option_is_explained():
    for options in SECTIONS.values():
        for field in fields(options):
            assert f"        {field.name}: " in options.__doc__, field.name
