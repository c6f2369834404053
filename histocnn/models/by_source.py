"""What slow libraries can be told, read off their source: nothing of them is imported for it.

Lightning and torchvision take seconds to load; a misspelt option is refused without them.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import NoneType
from typing import Any, Optional, Union

PLAIN = {"int": int, "float": float, "bool": bool, "str": str, "None": NoneType}
CONTAINERS = {"list": list, "dict": dict, "Optional": Optional, "Union": Union}


@cache
def trainer_options() -> dict[str, Any]:
    """The options of Lightning's Trainer and their types; Any where these are Lightning's own.

    Empty where the source is not there or has another shape.

    >>> options = trainer_options()
    >>> options["max_epochs"], options["callbacks"]
    (typing.Optional[int], typing.Any)
    """
    try:
        (text,) = _sources("pytorch_lightning", "trainer/trainer.py")
        classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
        (trainer,) = [node for node in classes if node.name == "Trainer"]
        (made,) = [
            node
            for node in trainer.body
            if isinstance(node, ast.FunctionDef) and node.name == "__init__"
        ]
    except (OSError, SyntaxError, ValueError):
        return {}
    return {each.arg: _hint(each.annotation) for each in made.args.kwonlyargs}


@cache
def torchvision_names() -> frozenset[str]:
    """The names of torchvision's classifiers; empty where its source is not there.

    >>> "resnet18" in torchvision_names(), "resnet19" in torchvision_names()
    (True, False)
    """
    try:
        texts = _sources("torchvision", "models/*.py")
    except OSError:
        return frozenset()
    found = [re.findall(r"^@register_model\(\)[^:]*?^def (\w+)\(", text, re.M) for text in texts]
    return frozenset(name for names in found for name in names)


def _sources(package: str, pattern: str) -> list[str]:
    spec = find_spec(package)
    folders = (spec and spec.submodule_search_locations) or []
    paths = [path for folder in folders for path in sorted(Path(folder).glob(pattern))]
    return [path.read_text(encoding="utf-8") for path in paths]


def _hint(node: ast.expr | None) -> Any:
    try:
        return _known(node)
    except KeyError:
        return Any


def _known(node: ast.expr | None) -> Any:
    """The type that is written there.

    Raises:
        KeyError: It is none of Python's plain ones.
    """
    if isinstance(node, ast.Constant):
        return PLAIN[str(node.value)]
    if isinstance(node, ast.Name):
        return PLAIN[node.id]
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        container: Any = CONTAINERS[node.value.id]
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        kinds = tuple(map(_known, inner))
        return container[kinds[0] if container is Optional else kinds]
    raise KeyError(node)
