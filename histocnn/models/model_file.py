"""What a model file says of itself, read without torch."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from histocnn.errors import ModelError

SPEC = "histocnn_recipe"  # in the file's metadata


def text_of(path: str | Path) -> str:
    """The spec of a model file, as it is stored; its weights are not read.

    Raises:
        ModelError: Not a model that histocnn wrote.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such model", "Give the model.safetensors that train wrote.")
    try:
        metadata = _metadata(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path}: not a whole .safetensors file; nothing else is opened",
            "Give the model.safetensors that train wrote.",
        ) from error
    if SPEC not in metadata:
        raise ModelError(
            f"{path}: weights without what histocnn writes of a model",
            "Give them as --weights with --backbone NAME.",
        )
    return metadata[SPEC]


def says(path: Path) -> bool:
    """Whether a .safetensors has what histocnn writes of a model."""
    try:
        return SPEC in _metadata(path)
    except (SafetensorError, OSError):
        return False


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "np") as stored:  # "pt" would load torch
        return stored.metadata() or {}
