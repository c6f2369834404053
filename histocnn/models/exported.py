"""What an exported network says of itself, in the `recipe.json` beside it: the door to read it by.

>>> check_form({"histocnn_export": 2}, Path("recipe.json"))
Traceback (most recent call last):
...
histocnn.errors.ModelError: recipe.json: was written by a later histocnn (format 2; ...
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from histocnn import __version__
from histocnn.errors import ModelError, StoreError
from histocnn.metrics.terms import Terms
from histocnn.storage.hashing import sha256
from histocnn.storage.ordinary import check_ordinary

FORMAT = 1
RECIPE = "recipe.json"
LARGEST = 10_000_000  # bytes of a recipe
AGAIN = "Export the model again."
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def read_exported(folder: str | Path) -> dict[str, Any]:
    """The recipe of what export_model wrote, once every file has the hash that it names.

    Raises:
        ModelError: There is none, it is of a later version, or a file was edited or cut.
    """
    path = Path(folder) / RECIPE
    recipe = _parsed(path)
    check_form(recipe, path)
    for name, wanted in recipe["files"].items():
        try:
            found = sha256(path.with_name(name))
        except StoreError as error:
            raise ModelError(error.message, AGAIN) from error
        if found != wanted:
            raise ModelError(
                f"{path.with_name(name)}: is not the file that {RECIPE} names (sha256 "
                f"{found[:12]}…, not {wanted[:12]}…): it was edited, or is cut off",
                AGAIN,
            )
    return recipe


def check_form(recipe: Mapping[str, Any], path: Path) -> None:
    """Refuse a recipe that is not of this form.

    Raises:
        ModelError: It is none of ours, of a later version, or says something that cannot be.
    """
    found = recipe.get("histocnn_export")
    if isinstance(found, int) and found > FORMAT:
        raise ModelError(
            f"{path}: was written by a later histocnn (format {found}; this reads {FORMAT})",
            f"Use that version, or export again with this one ({__version__}).",
        )
    files = recipe.get("files")
    if found != FORMAT or not isinstance(files, dict) or not files:
        raise ModelError(f"{path}: is no recipe of an exported model", AGAIN)
    for name, digest in files.items():
        if not _PLAIN.fullmatch(name) or not isinstance(digest, str):
            raise ModelError(f"{path}: names the file {name!r}, which cannot be", AGAIN)
    try:
        Terms.from_dict(recipe.get("encoder"))
    except ValueError as error:
        raise ModelError(f"{path}: {error}", AGAIN) from error


def _parsed(path: Path) -> dict[str, Any]:
    try:
        check_ordinary(path)
        if path.stat().st_size > LARGEST:
            raise ModelError(f"{path}: is too large to be a recipe", AGAIN)
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{path}: there is no such file", "Give a folder that export_model wrote."
        ) from error
    except StoreError as error:
        raise ModelError(error.message, AGAIN) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read as JSON", AGAIN) from error
    if not isinstance(found, dict):
        raise ModelError(f"{path}: is no recipe of an exported model", AGAIN)
    return found
