"""`histocnn embed`: patches in, a pretrained network's features out, one file per slide."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

from histocnn.errors import UsageError
from histocnn.jobs import run as runs
from histocnn.models.backbones import Embedder, embedder, normalisation
from histocnn.models.infer import (
    Precision,
    Runner,
    checked,
    choose_bf16,
    choose_device,
    normaliser,
    say_how,
    share_cores,
    write_results,
)
from histocnn.models.spec import ModelSpec, load
from histocnn.patches.patches import Patches, open_patches
from histocnn.slides.stain import Normaliser


def embed(
    patches: Path,
    out: Path,
    backbone: str | None = None,
    weights: str | None = None,
    model: Path | None = None,
    layers: tuple[str, ...] = (),
    input_px: int | None = None,
    stain: Literal["macenko"] | None = None,
    dtype: Literal["float16", "float32"] = "float16",
    precision: Precision = "auto",
    slides: Path | None = None,
    patient_pattern: str | None = None,
    batch_size: int = 64,
    threads: int = 2,
    workers: int = 1,
    device: str = "auto",
) -> int:
    """Turn patches into a pretrained network's features.

    Writes OUT/<slide_id>.h5, or one file per folder or CSV of images: features, and each patch's
    colour. Give either --backbone (with --weights) or --model.

    Args:
        patches: A folder of grids, a folder of images by class, or a CSV of images.
        out: Folder for the features.
        backbone: Network by name: torchvision's, timm/NAME or hf-hub:ORG/NAME.
        weights: Its weights: a .safetensors or .pth file, or imagenet to download them.
        model: A model.safetensors that histocnn trained, instead of --backbone.
        layers: Layers by name, each averaged over space, concatenated; default: the last.
        input_px: Resize patches to this side first.
        stain: Bring each slide's (or image's) stains to a common reference first.
        dtype: Of the stored features.
        precision: Of the computation; auto: bf16 where the hardware has it.
        slides: Where the slides are now, if they were moved: a slide, a folder or slides.csv.
        patient_pattern: Regular expression whose first group is the patient in an image's path.
        batch_size: Patches at a time.
        threads: Readers per slide.
        workers: Slides in parallel processes; worker i on GPU i.
        device: auto, cpu, cuda or cuda:N.

    Returns:
        0, or 1 if a slide failed.
    """
    source = Source(backbone, weights, model, tuple(layers), input_px, stain)
    network, spec = source.open()
    items = open_patches(patches, slides=slides, patient_pattern=patient_pattern)
    bf16 = choose_bf16(precision, choose_device(device))
    say_how(choose_device(device), bf16)
    summary = runs.run(
        items,
        out=out,
        command="embed",
        source=patches,
        recipe=partial(
            recipe_of, network=describe(source, network, spec), dtype=dtype, bf16=bf16
        ),
        work=partial(
            embed_patches, source=source, dtype=dtype, bf16=bf16, device=device,
            batch_size=batch_size, threads=threads, workers=workers,
        ),
        workers=workers,
    )  # fmt: skip
    return summary.exit_code


@dataclass(frozen=True)
class Source:
    """Where the network comes from."""

    backbone: str | None
    weights: str | None
    model: Path | None
    layers: tuple[str, ...]
    input_px: int | None
    stain: Literal["macenko"] | None

    def open(self) -> tuple[Embedder, ModelSpec]:
        """The network and how pixels become its input.

        Raises:
            UsageError: Neither or both of backbone and model; no weights; no such layer.
            ModelError: Weights that cannot be had or do not fit.
        """
        if self.model is not None and self.backbone is None:
            trained, spec = load(self.model)
            network = Embedder(trained.backbone, self.layers or spec.layers).eval()
        elif self.backbone is not None and self.model is None:
            if self.weights is None:
                raise UsageError(
                    f"{self.backbone} without weights is random, and so are its features",
                    "Give --weights FILE, or --weights imagenet to download them.",
                )
            network = embedder(self.backbone, self.weights, self.layers)
            mean, std = normalisation(self.backbone)
            spec = ModelSpec(self.backbone, mean=mean, std=std)
        else:
            raise UsageError("embed needs --backbone NAME or --model FILE", "Give one of the two.")
        return network, replace(
            spec,
            layers=network.layers,
            input_px=self.input_px or spec.input_px,
            stain=Normaliser().to_dict() if self.stain else spec.stain,
        )


@lru_cache(maxsize=1)
def _runner(source: Source, device: str, bf16: bool, workers: int) -> Runner:
    """The network on this process's device, loaded once for all its slides."""
    import torch

    share_cores(workers)
    network, spec = source.open()
    place = choose_device(device, runs.worker_index())
    placed = network.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Runner(placed, spec, place, bf16, lambda features: {"features": features})


def describe(source: Source, network: Embedder, spec: ModelSpec) -> dict[str, Any]:
    """What decides the features of given pixels: features that differ here cannot be compared."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    kept = ("backbone", "arguments", "layers", "input_px", "mean", "std", "stain")
    known = {k: v for k, v in asdict(spec).items() if k in kept}
    return {**known, "weights": digest.hexdigest()}


def recipe_of(patches: Patches, network: dict[str, Any], dtype: str, bf16: bool) -> dict[str, Any]:
    """The network, the numbers' precision and the input of one file."""
    precision = "bf16" if bf16 else "fp32"
    return {
        "stage": "embed",
        "network": network,
        "dtype": dtype,
        "precision": precision,
        "source": patches.describe(),
    }


def embed_patches(
    patches: Patches,
    target: Path,
    recipe: dict[str, Any],
    tick: runs.Tick,
    *,
    source: Source,
    dtype: str,
    bf16: bool,
    device: str,
    batch_size: int,
    threads: int,
    workers: int,
) -> dict[str, Any]:
    """Write the features of one slide, folder or CSV."""
    runner = _runner(source, device, bf16, workers)
    checked(patches, runner.spec)
    return write_results(
        target,
        patches,
        runner,
        dtypes={"features": dtype},
        attributes={"recipe": recipe},
        tick=tick,
        normalise=normaliser(runner.spec, patches),
        batch_size=batch_size,
        threads=threads,
    )
