"""People's own classes by name: imported only if typed, constructed only if of the class asked for.

A model file keeps such a name as text; nothing in a file is ever imported.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from histocnn.errors import ModelError, UsageError

T = TypeVar("T")


def is_custom(backbone: str) -> bool:
    """Whether a backbone's name is `package.module:Class`.

    >>> is_custom("lab.nets:Small"), is_custom("hf-hub:ORG/NAME"), is_custom("resnet18")
    (True, False, False)
    """
    return ":" in backbone and not backbone.startswith("hf-hub:")


def check_typed(file: str | Path, stored: str, typed: str | None) -> None:
    """Refuse to go by a file's own word which code to run.

    Args:
        file: A model, or features.
        stored: The backbone that it names.
        typed: The one that the user did; needed where it is somebody's own.

    Raises:
        ModelError: Somebody's own network that was not typed, or another than what was typed.
    """
    if is_custom(stored) and typed != stored:
        instead = "" if typed is None else f", not {typed}"
        raise ModelError(
            f"{file}: is of the network {stored}{instead}, which is code of its author's",
            f"If you trust it, add --backbone {stored}.",
        )
    if typed is not None and typed != stored:
        raise ModelError(f"{file}: is of {stored}, not of {typed}", "Leave --backbone out.")


def construct(option: str, path: str, base: type[T], arguments: dict[str, Any]) -> T:
    """Make an object of the class that a user typed.

    Modules are looked for where Python looks, and last in the working folder.

    Args:
        option: What the name was given as, for messages.
        path: `package.module:Class`, or with a dot in YAML's class_path.
        base: What the class must be a subclass of; nothing else is called.
        arguments: Of the class.

    Raises:
        UsageError: No such module or class, none of `base`, or it refuses the arguments.
    """
    module, _, name = path.replace(":", ".").rpartition(".")
    where = f"{option} {path}"
    if not module or not name.isidentifier():
        raise UsageError(f"{where}: is no class", "Give it as package.module:Class.")
    try:
        with _working_folder_last():
            found = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # whatever the user's module raises
        raise UsageError(
            f"{where}: {module} cannot be imported ({type(error).__name__}: {error})",
            "Run where the module lies, or install it.",
        ) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        what = "is not there" if found is None else f"is no {base.__module__}.{base.__qualname__}"
        raise UsageError(f"{where}: {what}", f"Name a subclass of {base.__qualname__}.")
    try:
        return found(**arguments)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: {error}", "Give what it takes as init_args.") from error


@contextmanager
def _working_folder_last() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)
