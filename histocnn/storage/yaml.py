"""YAML within bounds: the one door for a configuration, counted before anything is made of it."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from histocnn.errors import UsageError

MAX_BYTES = 1 << 20
MAX_NODES = 100_000  # values, each alias counted as all that it stands for
MAX_DEPTH = 50
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # makes nothing of Python's


@dataclass
class _Node:
    """A node of a document: how many it holds, itself included, and how deep."""

    anchor: str | None = None
    nodes: int = 1
    depth: int = 1


def read_yaml(path: str | Path) -> Any:
    """What a YAML file holds: mappings, lists, texts, numbers; nothing of Python's.

    Raises:
        UsageError: As `read_text`.
    """
    return load_yaml(read_text(path), str(path))


def read_text(path: str | Path) -> str:
    """The text of a configuration.

    Raises:
        UsageError: It cannot be read, is no plain file, no YAML in UTF-8, or is out of bounds.
    """
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe's other end may never write
            raise UsageError(f"{path}: is no plain file", "Give a YAML file.")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode()
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror or error})", "Check its name and permissions."
        ) from error
    except ValueError as error:
        raise UsageError(f"{path}: is no text in UTF-8", "Give a YAML file.") from error
    check_yaml(text, str(path))
    return text


def load_yaml(text: str, where: str) -> Any:
    """What a text holds.

    Args:
        text: YAML.
        where: What the text was given as, for messages.

    Raises:
        UsageError: As `check_yaml`.
    """
    check_yaml(text, where)
    try:
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 (both are safe)
    except (yaml.YAMLError, ValueError, TypeError) as error:  # 2026-02-31; a list as a key
        raise _no_yaml(where, error) from error


def check_yaml(text: str, where: str) -> None:
    r"""Refuse what is small on disk and huge once its aliases are followed, too long, or too deep.

    The parser's events are counted; no value is made.

    Raises:
        UsageError: It is no YAML, tagged as Python's, or beyond MAX_BYTES, MAX_NODES or MAX_DEPTH.

    >>> check_yaml("a: &a [1, 2]\nb: [*a, *a]", "x.yaml")
    >>> check_yaml("a: &a [*a]", "x.yaml")
    Traceback (most recent call last):
    histocnn.errors.UsageError: x.yaml: the alias *a stands within what it names. Write it out.
    """
    if len(text) > MAX_BYTES:
        raise UsageError(f"{where}: is over {MAX_BYTES >> 20} MB", "Give a configuration.")
    known: dict[str | None, _Node] = {}
    holding = [_Node()]  # the document, and the collections that are open
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if "python/" in str(getattr(event, "tag", None)):
                raise UsageError(f"{where}: holds {event.tag}, code of Python's", "Write values.")
            if isinstance(event, yaml.CollectionStartEvent):
                holding.append(_Node(event.anchor))
            elif isinstance(event, yaml.CollectionEndEvent):
                node = holding.pop()
                known[node.anchor] = node
                _add(holding, node, where)
            elif isinstance(event, yaml.ScalarEvent):
                known[event.anchor] = _Node()
                _add(holding, _Node(), where)
            elif isinstance(event, yaml.AliasEvent):
                if any(node.anchor == event.anchor for node in holding):
                    what = f"the alias *{event.anchor} stands within what it names"
                    raise UsageError(f"{where}: {what}", "Write it out.")
                _add(holding, known.get(event.anchor, _Node()), where)
    except yaml.YAMLError as error:
        raise _no_yaml(where, error) from error


def _add(holding: list[_Node], node: _Node, where: str) -> None:
    """Count a node that is whole towards the one that holds it."""
    parent = holding[-1]
    parent.nodes += node.nodes
    parent.depth = max(parent.depth, node.depth + 1)
    if parent.nodes > MAX_NODES:
        what = f"holds over {MAX_NODES:,} values once its aliases are followed"
        raise UsageError(f"{where}: {what}", "Write out what is meant.")
    if len(holding) + node.depth > MAX_DEPTH:
        raise UsageError(f"{where}: is over {MAX_DEPTH} levels deep", "Give a configuration.")


def _no_yaml(where: str, error: Exception) -> UsageError:
    said = " ".join(str(error).replace('in "<unicode string>", ', "").split())
    return UsageError(f"{where}: is no YAML ({said[:200]})", "Correct it there.")
