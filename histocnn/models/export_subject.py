"""A model that may be exported, and what the exported network says of itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from histocnn import __version__
from histocnn.errors import ModelError, UsageError
from histocnn.models.custom import check_typed
from histocnn.models.export_formats import Pixels, Scores, Target
from histocnn.models.exported import FORMAT
from histocnn.models.onnx_session import check_runtime
from histocnn.models.spec import ModelSpec, load, read_spec
from histocnn.models.suitable import SAME_SCALE
from histocnn.models.translating import check_exporter, check_size
from histocnn.models.whole import Whole
from histocnn.storage.hashing import sha256

STAIN = (
    "stain normalisation (Macenko, {per}): patches are brought to the model's reference stains, "
    "which are under `stain`, before they go in"
)
DENSE = "scores at the network's own stride (predict --dense) with their own calibration"


@dataclass(frozen=True)
class Subject:
    """What is exported.

    Attributes:
        model: Its file.
        network: In evaluation mode, on the CPU.
        spec: With `patch_px`, and `mpp` where it is known.
    """

    model: Path
    network: nn.Module
    spec: ModelSpec

    @property
    def patch_px(self) -> int:
        """Side of the patches that go in."""
        return int(self.spec.patch_px or 0)

    def probabilities(self, pixels: Pixels) -> Scores:
        """What torch gives of patches uint8 [B, H, W, 3]."""
        with torch.inference_mode():
            return np.asarray(Whole(self.network, self.spec)(torch.from_numpy(pixels)))


def open_subject(
    model: Path, to: Target, backbone: str | None, patch_px: int | None, mpp: float | None
) -> Subject:
    """A model that may be exported so.

    Args:
        model: Its file.
        to: The format.
        backbone: Of a model of somebody's own network its name once more.
        patch_px: Side of the patches, where the model does not know it.
        mpp: Their µm/px, where the model does not know it.

    Raises:
        UsageError: What the format needs is not installed, or a scale is missing or another.
        ModelError: No model with classes, or one that the format cannot hold.
    """
    if to == "onnx":
        check_exporter()
        check_runtime()
    spec = read_spec(model)
    check_typed(model, spec.backbone, backbone)
    if not spec.class_names:
        raise ModelError(f"{model}: has no classes to score", "Export a model that train wrote.")
    spec = replace(
        spec,
        patch_px=_agreed(model, "patch_px", spec.patch_px, patch_px),
        mpp=_agreed(model, "mpp", spec.mpp, mpp),
    )
    if spec.patch_px is None:
        raise UsageError(
            f"{model}: does not know the side of its patches, because they differed",
            "Give --patch_px, the side that goes in.",
        )
    if to == "wsinfer":
        _check_wsinfer(model, spec)
    network, _ = load(model, backbone=backbone)
    if to == "onnx":
        check_size(network)
    return Subject(model, network, spec)


def _agreed(model: Path, name: str, known: Any, given: Any) -> Any:
    if known is not None and given is not None and abs(given / known - 1) > SAME_SCALE:
        raise UsageError(
            f"{model}: was trained with {name} {known}, not {given}", f"Leave --{name} out."
        )
    return given if known is None else known


def _check_wsinfer(model: Path, spec: ModelSpec) -> None:
    if spec.stain is not None:
        raise ModelError(
            f"{model}: was trained on stain-normalised patches, and WSInfer does not normalise "
            "stains",
            "Score with predict and take the scores to QuPath with export --to geojson, or train "
            "without --data.stain.",
        )
    if spec.mpp is None:
        raise UsageError(f"{model}: does not know the µm/px of its patches", "Give --mpp.")
    if len(spec.class_names) < 2:
        raise ModelError(
            f"{model}: has one class, which WSInfer would score otherwise",
            "Use --to onnx or torchscript.",
        )


def recipe_of(subject: Subject, to: Target) -> dict[str, Any]:
    """What an exported network says of itself, but for its files and how it was checked."""
    spec, side = subject.spec, subject.patch_px
    pixels = to != "wsinfer"
    outside = [DENSE] * bool(spec.dense.get("temperature"))
    if spec.stain is not None:
        per = "each patch by its own" if spec.stain.get("per_patch") else "each slide by its own"
        outside.insert(0, STAIN.format(per=per))
    return {
        "histocnn_export": FORMAT,
        "version": __version__,
        "to": to,
        "model": {"sha256": sha256(subject.model), "backbone": spec.backbone},
        "input": {
            "name": "pixels" if pixels else "images",
            "dtype": "uint8" if pixels else "float32",
            "shape": ["batch", side, side, 3] if pixels else ["batch", 3, side, side],
            "channels": "RGB",
            "patch_px": side,
            "mpp": spec.mpp,
        },
        "output": {
            "name": "scores" if pixels else "logits",
            "dtype": "float32",
            "shape": ["batch", len(spec.class_names)],
            "what": "probabilities, temperature inside"
            if pixels
            else "logits over the temperature: take the softmax",
        },
        "class_names": list(spec.class_names),
        "inside": {
            "input_px": spec.input_px,
            "resize_px": spec.resize_px,
            "interpolation": spec.interpolation,
            **({"mean": list(spec.mean), "std": list(spec.std)} if pixels else {}),
            "temperature": spec.temperature,
        },
        "outside": outside,
        "stain": spec.stain,
        "thresholds": spec.thresholds,
        "encoder": spec.terms.to_dict(),
        "terms": spec.terms.sentence(),
        "use": "Research use only; not a medical device.",
    }
