"""People's own classes by name: imported only if typed, constructed only if of the class asked for.

A model file keeps such a name as text; nothing in a file is ever imported.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from histocnn.errors import ModelError, UsageError
from histocnn.models import hub
from histocnn.models.encoders import find

T = TypeVar("T")


def is_custom(backbone: str) -> bool:
    """Whether a backbone's name is `package.module:Class`.

    >>> is_custom("lab.nets:Small"), is_custom("hf-hub:ORG/NAME"), is_custom("resnet18")
    (True, False, False)
    """
    return ":" in backbone and not hub.is_published(hub.spelled(backbone))


def check_typed(file: str | Path, stored: str, typed: str | None) -> None:
    """Refuse to go by a file's own word which code to run.

    Args:
        file: A model, or features.
        stored: The backbone that it names.
        typed: The one that the user did; needed where it is somebody's own, or the hub's, which
            would be asked for it, or a folder's.

    Raises:
        ModelError: Such a network that was not typed, or another than what was typed.
    """
    row = find(stored)
    elsewhere = hub.is_published(hub.spelled(stored)) or bool(row and not row.is_library_s)
    if (is_custom(stored) or elsewhere) and typed != stored:
        instead = "" if typed is None else f", not {typed}"
        whose = "which is code of its author's"
        if elsewhere:
            whose = "which the hub would be asked for, or a folder"
        raise ModelError(
            f"{file}: is of the network {stored}{instead}, {whose}",
            f"If you trust it, add --backbone {stored}.",
        )
    if typed is not None and typed != stored:
        raise ModelError(f"{file}: is of {stored}, not of {typed}", "Leave --backbone out.")


def construct(
    option: str,
    path: str,
    base: type[T] | tuple[type[T], ...],
    arguments: Mapping[str, Any],
    packages: Collection[str] = (),
) -> T:
    """Make an object of the class that a user typed.

    Modules are looked for where Python looks, and last in the working folder. What the arguments
    name by `class_path` is constructed first, by the same rules.

    Args:
        option: What the name was given as, for messages.
        path: `package.module:Class`, or with a dot in YAML's class_path.
        base: What the class must be a subclass of; nothing else is called.
        arguments: Of the class.
        packages: Where the class must come from; none: from anywhere.

    Raises:
        UsageError: No such module or class, none of `base`, or it refuses the arguments.
    """
    found = named(option, path, packages)
    _check_kind(f"{option} {path}", found, base)
    made = {key: _made(option, value, base, packages) for key, value in arguments.items()}
    try:
        return cast(T, found(**made))
    except Exception as error:  # whatever the class raises of what it does not take
        said = " ".join(str(error).split())
        raise UsageError(f"{option} {path}: {said}", "Give what it takes as init_args.") from error


def function_at(option: str, path: str) -> Callable[[], Any] | None:
    """The function that a user typed, if it is one; it is not called here.

    It must be written in the module that was typed: what that imported is not called.

    Raises:
        UsageError: As `named`, or it is another module's.

    >>> function_at("--backbone", "torch.nn:Linear") is None
    True
    """
    found = named(option, path)
    if not inspect.isroutine(found):
        return None
    module = path.replace(":", ".").rpartition(".")[0]
    if not inspect.isfunction(found) or found.__module__ != module:
        raise UsageError(
            f"{option} {path}: is not written in {module}",
            "Name a class of torch.nn.Module, or a function of your own module.",
        )
    return found


def step(option: str, given: Any) -> tuple[str, Mapping[str, Any]]:
    """The class and the arguments of `{class_path: …, init_args: {…}}`.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(given, Mapping) and given.keys() <= {"class_path", "init_args"}:
        path, arguments = given.get("class_path"), given.get("init_args") or {}
        if isinstance(path, str) and isinstance(arguments, Mapping):
            return path, arguments
    keys = ", ".join(map(str, given)) or "no keys" if isinstance(given, Mapping) else repr(given)
    raise UsageError(
        f"{option} has {keys}", "Give it as {class_path: package.NAME, init_args: {…}}."
    )


def named(option: str, path: str, packages: Collection[str] = ()) -> Any:
    """What lies at a path that a user typed; its module is imported, nothing of it called.

    Raises:
        UsageError: It is no path, not of these packages, or cannot be imported.
    """
    module, _, name = path.replace(":", ".").rpartition(".")
    where = f"{option} {path}"
    if not module or not name.isidentifier():
        raise UsageError(f"{where}: is no class", "Give it as package.module:Class.")
    if packages and module.partition(".")[0] not in packages:
        raise UsageError(f"{where}: is not of {' or '.join(packages)}", "Name one that is.")
    try:
        with _working_folder_last():
            return getattr(importlib.import_module(module), name, None)
    except Exception as error:  # whatever the user's module raises
        raise UsageError(
            f"{where}: {module} cannot be imported ({type(error).__name__}: {error})",
            "Run where the module lies, or install it.",
        ) from error


def _check_kind(where: str, found: Any, base: type[T] | tuple[type[T], ...]) -> None:
    if isinstance(found, type) and issubclass(found, base):
        return
    first = base[0] if isinstance(base, tuple) else base
    what = f"is no {first.__module__}.{first.__qualname__}"
    if found is None:
        what = "is not there"
    raise UsageError(f"{where}: {what}", f"Name a subclass of {first.__qualname__}.")


def _made(option: str, value: Any, base: Any, packages: Collection[str]) -> Any:
    """An argument, with all that it names by class_path constructed."""
    if isinstance(value, Mapping) and "class_path" in value:
        path, arguments = step(option, value)
        return construct(option, path, base, arguments, packages)
    if isinstance(value, Mapping):
        return {key: _made(option, item, base, packages) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_made(option, item, base, packages) for item in value)
    return value


@contextmanager
def _working_folder_last() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)
