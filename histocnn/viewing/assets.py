"""The page's own files, read once: a request names one of a table, never a file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import NamedTuple

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}


class Asset(NamedTuple):
    """A file of the page: what it is, and its bytes."""

    mime: str
    content: bytes


@cache
def assets() -> dict[str, Asset]:
    """Every file of the page by its name.

    >>> "index.html" in assets(), assets()["main.js"].mime
    (True, 'text/javascript; charset=utf-8')
    """
    folder = files("histocnn.viewing") / "page"
    return {
        each.name: Asset(_TYPES[each.name.rpartition(".")[2]], each.read_bytes())
        for each in folder.iterdir()
        if each.name.rpartition(".")[2] in _TYPES
    }
