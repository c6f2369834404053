"""Layers by name."""

from __future__ import annotations

import pytest
from torch import nn

from histocnn.errors import UsageError
from histocnn.inspection.naming import full_name, layer_of, nearest
from histocnn.models.backbones import build


def test_a_layer_goes_by_its_full_name_or_by_that_within_the_backbone() -> None:
    network = build("lenet5", 2)
    assert full_name(network, "layers.0") == "backbone.layers.0"
    assert layer_of(network, "backbone.layers.0") is layer_of(network, "layers.0")


def test_an_unknown_name_is_refused_with_those_most_like_it() -> None:
    network = nn.ModuleDict({"features": nn.ReLU(), "classifier": nn.ReLU()})
    with pytest.raises(UsageError, match=r"no layer 'feature'.*nearest names are features"):
        layer_of(network, "feature")
    assert nearest("zzz", ["a", "b"]) == ["a", "b"]
