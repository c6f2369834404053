"""Features of one patch, made by the network, and in the way, of features that are there."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from histocnn.errors import FeaturesError, UsageError
from histocnn.models.device import Engine
from histocnn.models.embedding import Source, embed_patches, recipe_of
from histocnn.models.recalled import check_is_it
from histocnn.patches import door
from histocnn.patches.patches import FilePatches, Patches
from histocnn.reference.features import Features
from histocnn.scores.query import open_query


def embed_as(reference: Features, patches: Patches, source: Source, device: str) -> Features:
    """Embed patches as a reference was, by what `embed` does with a slide.

    Args:
        reference: Features that embed made.
        patches: What is to be embedded.
        source: The network, as `recalled` finds it.
        device: auto, cpu, cuda or cuda:N.

    Raises:
        FeaturesError: It is another network; the reference is of windows that a network slid over.
        PatchesError: The patches cannot be read.
        UsageError, ModelError: As `Source.open`.
    """
    file = reference.files[0]
    recipe = door.attributes(file).get("recipe") or {}
    if recipe.get("dense"):
        raise FeaturesError(
            f"{file}: features of windows, each of which saw what lies around it",
            "Embed the reference again without --dense.",
        )
    network = _described(file, source)
    check_is_it(file, network, source)
    engine = Engine.choose(device, recipe["precision"], batch_size=1, threads=1, workers=1)
    with TemporaryDirectory(prefix="histocnn-") as folder:
        target = Path(folder) / f"{patches.name}.h5"
        own = recipe_of(patches, network, recipe["dtype"], engine.precision)
        embed_patches(
            patches, target, own, lambda done, total: None,
            source=source, engine=engine, dtype=recipe["dtype"],
        )  # fmt: skip
        rows = open_query(FilePatches(target), reference)
        _ = rows.hashes  # while the file is there
    return rows


def _described(file: Path, source: Source) -> dict[str, Any]:
    """What decides the network's features.

    Raises:
        UsageError: Nobody said where its weights are; as `Source.describe`.
    """
    try:
        return source.describe()
    except UsageError as error:
        unsaid = source.model is None and source.weights is None and ":" not in str(source.backbone)
        if not unsaid:
            raise
        raise UsageError(
            f"{file}: was made by {source.backbone}, whose weights the file does not hold",
            "Give the --weights, or the --model, that embed was given for it.",
        ) from error
