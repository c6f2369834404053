"""What WSInfer and QuPath's WSInfer extension read beside a TorchScript network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from histocnn.models.spec import ModelSpec

SPEC_VERSION = "1.0"  # of the model zoo's config.json


def config_of(spec: ModelSpec) -> dict[str, Any]:
    """The config.json of the WSInfer model zoo for a model that knows its patches' size and scale.

    WSInfer and QuPath read a square of `patch_size_pixels` × `spacing_um_px`, in whole pixels of
    the slide, and `Resize` brings it to the model's patch; what the model scales itself is inside
    the network.
    """
    transform = [
        {"name": "Resize", "arguments": {"size": spec.patch_px}},
        {"name": "ToTensor"},
        {"name": "Normalize", "arguments": {"mean": list(spec.mean), "std": list(spec.std)}},
    ]
    return {
        "spec_version": SPEC_VERSION,
        "architecture": spec.backbone.removeprefix("timm/"),
        "num_classes": len(spec.class_names),
        "patch_size_pixels": spec.patch_px,
        "spacing_um_px": spec.mpp,
        "class_names": list(spec.class_names),
        "transform": transform,
    }


def bundle_files(spec: ModelSpec, recipe: Mapping[str, Any]) -> dict[str, str]:
    """The texts of the bundle by name: config.json, and the README.md that QuPath shows."""
    readme = (
        f"# {spec.backbone} of {' / '.join(spec.class_names)}\n\n"
        f"Patches of {spec.patch_px} px at {spec.mpp:g} µm/px. Written by histocnn "
        f"{recipe['version']}.\n\n{recipe['terms']}\n\n{recipe['use']}\n"
    )
    config = json.dumps(config_of(spec), indent=1, ensure_ascii=False)
    return {"config.json": config + "\n", "README.md": readme}
