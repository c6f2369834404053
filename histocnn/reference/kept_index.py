"""Indexes beside their reference: `.index/`, each with a record of what it is an index of.

An index is a file of faiss's own, which it reads without care: one is read only if its record, with
its sha256, bears the mark of a key that this user alone has.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from histocnn.errors import StoreError, UsageError
from histocnn.jobs.ownership import check_files, claim_files
from histocnn.storage.atomic import replacing, temporary_beside, write_text
from histocnn.storage.hashing import sha256
from histocnn.storage.json import differing_keys, to_json

Kind = Literal["ivf", "hnsw"]

_COMMAND = "knn"
_MOST = 1 << 20  # bytes of a record
_KEY_BYTES = 32


def kept(path: Path, recipe: Mapping[str, Any]) -> tuple[int | None, str]:
    """Whether an index may be read.

    Args:
        path: Of the index.
        recipe: Of today's reference.

    Returns:
        Its effort, None where it is to be built; why.
    """
    record_path = path.with_suffix(".json")
    if not path.is_file():
        return None, "no index yet"
    try:
        if record_path.stat().st_size > _MOST:
            raise ValueError
        record = json.loads(record_path.read_text(encoding="utf-8"))
        said, effort, digest, mark = (record[key] for key in ("recipe", "effort", "sha256", "mark"))
        if not hmac.compare_digest(mark, _mark(said, effort, digest)):
            return None, "the index there was not made by you on this machine"
        if keys := differing_keys(said, recipe):
            older = "the index is older than its reference"
            return None, older if {"reference", "rows"} & {*keys} else "another index is there"
        if sha256(path) != digest:
            return None, "the index is not as it was written"
        return int(effort), ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError, AttributeError):
        return None, "the index there has no record"


def check_free(path: Path) -> None:
    """Refuse to put an index where somebody else's file lies.

    Args:
        path: Of the index.

    Raises:
        UsageError: Such a file.
    """
    try:
        check_files(path.parent, _COMMAND, _names(path), lambda: False)
    except UsageError as error:
        raise UsageError(error.message, "Move it away, or leave --index out.") from error


def keep(path: Path, recipe: Mapping[str, Any], write: Callable[[Path], None], effort: int) -> str:
    """Put an index beside its reference, whole, then its record.

    Args:
        path: Of the index.
        recipe: What it is an index of.
        write: Writes it.
        effort: That finds enough.

    Returns:
        "", or that it could not be kept.

    Raises:
        UsageError: Somebody else's file lies there.
    """
    check_free(path)
    try:
        claim_files(path.parent, _COMMAND, _names(path))
        with replacing(path) as temporary:
            write(temporary)
            digest = sha256(temporary)
        mark = _mark(recipe, effort, digest)
        record = {"recipe": recipe, "effort": effort, "sha256": digest, "mark": mark}
        write_text(path.with_suffix(".json"), to_json(record, indent=1))
    except (StoreError, OSError) as error:
        return f" but not kept ({error})"
    return ""


def _names(path: Path) -> list[str]:
    return [path.name, path.with_suffix(".json").name]


def _mark(recipe: Mapping[str, Any], effort: int, digest: str) -> str:
    said = to_json({"recipe": recipe, "effort": effort, "sha256": digest})
    return hmac.new(_key(), said.encode(), "sha256").hexdigest()


def _key() -> bytes:
    """This user's own 32 bytes, made when first asked for, or anew where they are not whole."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    path = Path(home) / "histocnn" / "index.key"
    if not path.is_file() or path.stat().st_size != _KEY_BYTES:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = temporary_beside(path)
        made = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(made, "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
            whole.replace(path)
        finally:
            whole.unlink(missing_ok=True)
    return path.read_bytes()
