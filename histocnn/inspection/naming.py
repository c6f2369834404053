"""Layers of a network by name, and the nearest names where there is none such."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from torch import nn

from histocnn.errors import UsageError


def layer_of(network: nn.Module, name: str) -> nn.Module:
    """A network's layer, as `named_modules` calls it; `backbone.` in front may be left out.

    Raises:
        UsageError: It has none of this name; the nearest ones are named.

    >>> layer_of(nn.Sequential(nn.ReLU()), "0")
    ReLU()
    >>> layer_of(nn.Sequential(nn.ReLU()), "1")
    Traceback (most recent call last):
    histocnn.errors.UsageError: the network has no layer '1'. The nearest names are 0.
    """
    return network.get_submodule(full_name(network, name))


def full_name(network: nn.Module, name: str) -> str:
    """The name of a layer as `named_modules` has it.

    Raises:
        UsageError: As `layer_of`.
    """
    names = [own for own, _ in network.named_modules() if own]
    for tried in (name, f"backbone.{name}"):
        if tried in names:
            return tried
    near = nearest(name, names)
    raise UsageError(
        f"the network has no layer {name!r}", f"The nearest names are {', '.join(near)}."
    )


def nearest(name: str, names: Sequence[str]) -> list[str]:
    """Up to five names that are most like one; the first ones where none is."""
    found = difflib.get_close_matches(name, names, n=5, cutoff=0.4)
    return found or list(names[:5])
