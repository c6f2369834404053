"""Networks of timm, of the hub and of folders: which architecture a name stands for, made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from histocnn.errors import HistocnnError, ModelError, UsageError
from histocnn.models import hub
from histocnn.models.encoders import Encoder, find
from histocnn.models.pooling import Pool
from histocnn.models.preparation import Preparation, from_cfg
from histocnn.models.stems import ConvStem

# Arguments of timm's that are no architecture's: they read files or ask the hub. A model file or
# the hub's own configuration brings arguments along.
NOT_ARCHITECTURE = {"cache_dir", "checkpoint_path", "exportable", "no_jit", "pretrained",
                    "pretrained_cfg", "pretrained_cfg_overlay", "scriptable"}  # fmt: skip
LAYERS = ("Mlp", "GluMlp", "SwiGLU", "SwiGLUPacked")  # mlp_layer by name; act_layer timm knows so


@dataclass(frozen=True)
class Architecture:
    """What a name stands for, which needs no hub any more.

    Attributes:
        name: timm's, without `timm/`.
        arguments: Of it, as JSON has them.
        preparation: How pixels become its input.
        weights: Finds the published ones; None: timm's own.
        pool: How an encoder's tokens become its feature.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    preparation: Preparation = field(default_factory=Preparation)
    weights: Callable[[], Path] | None = None
    pool: Pool | None = None


def is_resolved(name: str) -> bool:
    """Whether a name stands for an architecture of timm's: its own, the hub's, an encoder's."""
    row = find(name)
    ours = row is not None and not row.is_library_s
    return ours or hub.is_published(name) or name.startswith("timm/")


def resolve(name: str, arguments: Mapping[str, Any], weights: Path | None = None) -> Architecture:
    """The architecture that an encoder, `timm/NAME`, `hf-hub:ORG/NAME` or `local-dir:PATH` is.

    What the hub's configuration says of mean, deviation, size and interpolation stands in the place
    of the architecture's own, as the weights were trained with it.

    Args:
        name: As typed, or as a spec keeps it.
        arguments: In the place of the configuration's.
        weights: A file of them: then the hub is not asked.

    Raises:
        UsageError: timm has no such network, or cannot express the encoder.
        ModelError: No configuration, or one that sets more than a network's shape.
    """
    if (row := find(name)) is not None:
        return _of_encoder(row, arguments)
    if hub.is_published(name):
        return _published(name, arguments, weights)
    import timm

    architecture = name.removeprefix("timm/")
    _check(name, arguments)
    if not timm.is_model(architecture):
        raise UsageError(f"timm has no network {architecture!r}", "See timm.list_models().")
    cfg: Any = timm.get_pretrained_cfg(architecture, allow_unregistered=True)
    said = {} if cfg is None else cfg.to_dict()
    return Architecture(architecture, dict(arguments), from_cfg(name, said, sized=False))


def _of_encoder(row: Encoder, given: Mapping[str, Any]) -> Architecture:
    if not row.architecture:
        raise UsageError(
            f"{row.name} is no network of timm's ({row.note.rstrip('.')})",
            "Give --backbone package.module:function, a function of yours that returns it.",
        )
    _check("--backbone_args", given)
    how = Preparation(row.mean, row.std, row.input_px, row.resize_px, row.interpolation)
    name = row.architecture.removeprefix("timm/")
    return Architecture(name, {**(row.arguments or {}), **given}, how, row.weights, row.pool)


def _published(name: str, given: Mapping[str, Any], weights: Path | None) -> Architecture:
    import timm

    stored = hub.configuration(name, weights)
    cfg, arguments = stored.get("pretrained_cfg", stored), stored.get("model_args") or {}
    architecture = stored.get("architecture")
    if not isinstance(architecture, str) or not isinstance(cfg, dict):
        kind = stored.get("model_type", "nothing known")
        raise ModelError(
            f"{name}: its configuration is not timm's but of transformers ({kind})",
            "Name the architecture and give its file: --backbone timm/NAME --weights FILE; "
            "`histocnn encoders` lists those that are known.",
        )
    if not isinstance(arguments, dict):
        raise ModelError(f"{name}: its model_args are no arguments", "Ask its author.")
    _check(name, arguments)
    _check("--backbone_args", given)
    if not timm.is_model(architecture):
        raise ModelError(
            f"{name}: is a {architecture!r}, which this timm does not have", "Take a newer timm."
        )
    preparation = from_cfg(name, cfg, sized=True)
    if cfg.get("fixed_input_size"):
        arguments = {"img_size": preparation.input_px} | arguments
    chosen = {k: v for k, v in arguments.items() if k not in ("num_classes", "in_chans")}
    find = hub.folder_weights if name.startswith(hub.FOLDER) else _hub_weights
    return Architecture(architecture, chosen | dict(given), preparation, lambda: find(name))


def _hub_weights(name: str) -> Path:
    return hub.weights_of(name.removeprefix(hub.PREFIX))


def make(architecture: Architecture, pretrained: bool = False) -> Any:
    """The network of an architecture without its head; a transformer takes images of any size.

    That is those whose sides its patches divide; its positions are interpolated (timm's
    `dynamic_img_size`), which changes nothing at the size that they are made for.

    Args:
        architecture: The architecture.
        pretrained: With timm's own weights, which are downloaded.

    Raises:
        UsageError: The architecture does not take the arguments.
        ModelError: The weights can not be had.
    """
    import timm

    name = f"timm/{architecture.name}"
    options = _with_layers(architecture.arguments) | {"num_classes": 0, "pretrained": pretrained}
    flexible = {"dynamic_img_size": True} | options
    try:
        try:
            return timm.create_model(architecture.name, **flexible)
        except TypeError as error:
            if "dynamic_img_size" not in str(error) or "dynamic_img_size" in options:
                raise
            return timm.create_model(architecture.name, **options)
    except HistocnnError:
        raise
    except (TypeError, AssertionError, ValueError) as error:
        said = " ".join(str(error).split())
        raise UsageError(
            f"{name} does not take {dict(architecture.arguments)} ({said})",
            "Correct --backbone_args.",
        ) from error
    except Exception as error:  # whatever the hub's client raises when it cannot reach the hub
        raise not_downloaded(name, error) from error


def not_downloaded(name: str, error: Exception) -> ModelError:
    """The error of weights that a library could not fetch."""
    return ModelError(
        f"{name} could not be downloaded ({type(error).__name__}) and is not cached",
        "Fetch its weights where there is a network and give the file as --weights FILE.",
    )


def _with_layers(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with the classes that JSON can only name."""
    import timm.layers

    found = dict(arguments)
    for key, classes in (
        ("mlp_layer", {name: getattr(timm.layers, name) for name in LAYERS}),
        ("embed_layer", {"ConvStem": ConvStem}),
    ):
        if key in found and found[key] not in classes:
            raise UsageError(f"{key} is {found[key]!r}", f"Give one of {', '.join(classes)}.")
        if key in found:
            found[key] = classes[found[key]]
    return found


def _check(name: str, arguments: Mapping[str, Any]) -> None:
    if unwanted := NOT_ARCHITECTURE & arguments.keys():
        raise ModelError(
            f"{name}: its configuration sets {min(unwanted)}, which is no part of a network",
            "Take the model from its author.",
        )
