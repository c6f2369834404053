"""A trained network written for programs that know nothing of histocnn, and checked there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from histocnn.errors import ModelError, UsageError
from histocnn.models.export_formats import NETWORK, READERS, WRITERS, Pixels, Target
from histocnn.models.export_subject import Subject, recipe_of
from histocnn.models.exported import RECIPE, read_exported
from histocnn.models.wsinfer import bundle_files
from histocnn.storage.atomic import replacing, write_text
from histocnn.storage.hashing import sha256
from histocnn.storage.json import differing_keys, to_json

TOLERANCE = 1e-3  # of a probability


def write(subject: Subject, to: Target, out: Path, pixels: Pixels, of: str) -> dict[str, Any]:
    """Write a network and its recipe; where it scores otherwise than torch nothing is left.

    Args:
        subject: What.
        to: The format.
        out: The folder.
        pixels: Patches uint8 [N, P, P, 3] to check it on.
        of: What they are, for the recipe.

    Returns:
        The recipe.

    Raises:
        ModelError: The network cannot be exported, or what was written scores otherwise.
        StoreError: It cannot be written.
    """
    recipe = recipe_of(subject, to)
    target = out / NETWORK[to]
    with replacing(target) as temporary:
        WRITERS[to](subject.network, subject.spec, temporary, to_json(recipe))
        found = READERS[to](temporary, pixels, subject.spec)
        difference = float(np.abs(found - subject.probabilities(pixels)).max())
        if not difference <= TOLERANCE:  # NaN neither
            raise ModelError(
                f"{target}: its probabilities differ from torch's by {difference:.2g}, over "
                f"{TOLERANCE:g}, so it was not written",
                "Use another --to, and report the network.",
            )
    texts = bundle_files(subject.spec, recipe) if to == "wsinfer" else {}
    for name, text in texts.items():
        write_text(out / name, text)
    recipe |= {
        "files": {name: sha256(out / name) for name in (target.name, *texts)},
        "check": {"patches": len(pixels), "of": of, "max_difference": difference},
    }
    write_text(out / RECIPE, json.dumps(recipe, indent=1, ensure_ascii=False))
    return recipe


def files_of(to: Target) -> tuple[str, ...]:
    """The names of what `write` makes."""
    more = ("config.json", "README.md") if to == "wsinfer" else ()
    return NETWORK[to], *more, RECIPE


def what_stands(subject: Subject, to: Target, out: Path) -> str | None:
    """What is wrong with an export that lies there: None where there is none, "" for nothing.

    Raises:
        UsageError: It is of another format, whose recipe would be lost.
    """
    if not os.path.lexists(out / RECIPE):
        return None
    try:
        found = read_exported(out)
    except ModelError as error:
        return error.message
    if isinstance(other := found.get("to"), str) and other != to:
        raise UsageError(
            f"{out}: holds an export --to {other}", f"Give --to {to} an --out of its own."
        )
    stored = {name: value for name, value in found.items() if name not in ("files", "check")}
    differing = differing_keys(stored, recipe_of(subject, to))
    if differing:
        return f"{' and '.join(differing)} changed"
    unnamed = {*files_of(to)} - {*found["files"], RECIPE}
    return f"{out / RECIPE}: does not name {min(unnamed)}" if unnamed else ""
