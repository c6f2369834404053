"""Features of a network: what `histocnn embed` does with one file of patches."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch

from histocnn.cohort.seen import Cohorts
from histocnn.errors import UsageError
from histocnn.jobs.workers import Tick
from histocnn.models.backbones import embedder, normalisation
from histocnn.models.custom import is_custom
from histocnn.models.dense_writing import DenseOptions, slider_of, write_dense
from histocnn.models.device import Engine
from histocnn.models.infer import write_results
from histocnn.models.networks import Embedder
from histocnn.models.runner import Runner, flips_and_turns
from histocnn.models.spec import ModelSpec, cohorts_behind, load, read_spec
from histocnn.models.suitable import checked, normaliser
from histocnn.patches.patches import Patches
from histocnn.reference.features import COHORTS
from histocnn.slides.stain import Normaliser


@dataclass(frozen=True)
class Source:
    """Where the network comes from, and how pixels become its input; as the options of embed."""

    backbone: str | None
    weights: str | None
    model: Path | None
    layers: tuple[str, ...]
    input_px: int | None
    stain: Literal["macenko"] | None
    tta: bool = False

    def open(self) -> tuple[Embedder, ModelSpec]:
        """The network and how pixels become its input.

        Raises:
            UsageError: Neither or both of backbone and model; no weights; no such layer.
            ModelError: Weights that cannot be had or do not fit.
        """
        if self.model is not None and (self.backbone is None or is_custom(self.backbone)):
            trained, spec = load(self.model, backbone=self.backbone)
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

    def cohorts(self) -> Cohorts | None:
        """Who took part in the network's training; None where nobody recorded it."""
        return read_spec(self.model).cohorts if self.model else cohorts_behind(self.weights)

    def describe(self) -> dict[str, Any]:
        """What decides the features of given pixels; what differs here cannot be compared."""
        _open.cache_clear()  # other weights may lie there than when they were read last
        network, spec = self.open()
        digest = hashlib.sha256()
        for name, tensor in sorted(network.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().numpy().tobytes())
        kept = ("backbone", "arguments", "layers", "input_px", "mean", "std", "stain")
        stored = {k: v for k, v in asdict(spec).items() if k in kept}
        return {**stored, **({"tta": True} if self.tta else {}), "weights": digest.hexdigest()}


@lru_cache(maxsize=1)
def _open(source: Source, engine: Engine) -> Runner:
    """The network on this process's device, loaded once for all its slides."""
    network, spec = source.open()
    place = engine.place()
    placed = network.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    views = flips_and_turns() if source.tta else flips_and_turns()[:1]
    return Runner(placed, spec, place, engine.bf16, lambda found: {"features": found}, views)


def recipe_of(
    patches: Patches,
    network: dict[str, Any],
    dtype: str,
    precision: str,
    dense: DenseOptions | None = None,
) -> dict[str, Any]:
    """The network, the numbers' precision and the input of one file."""
    return {
        "stage": "embed",
        "network": network,
        "dtype": dtype,
        "precision": precision,
        "source": patches.describe(),
        **({"dense": dense.recipe(patches)} if dense else {}),
    }


def embed_patches(
    patches: Patches,
    target: Path,
    recipe: dict[str, Any],
    tick: Tick,
    *,
    source: Source,
    engine: Engine,
    dtype: str,
    dense: DenseOptions | None = None,
) -> dict[str, Any]:
    """Write the features of one slide, folder or CSV."""
    runner = _open(source, engine)
    checked(patches, runner.spec)
    cohorts = source.cohorts()
    how: dict[str, Any] = {
        "dtypes": {"features": dtype},
        "attributes": {"recipe": recipe},
        "tick": tick,
        "copy": {} if cohorts is None else {COHORTS: [cohort.to_json() for cohort in cohorts]},
        "loading": engine.loading(normaliser(runner.spec, patches)),
    }
    if dense is None:
        return write_results(target, patches, runner, **how)
    slider = slider_of(runner, patches, dense)
    return write_dense(target, patches, slider, **how)
