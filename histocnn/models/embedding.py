"""Features of a network: what `histocnn embed` does with one file of patches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch

from histocnn.cohort.seen import Cohorts
from histocnn.errors import UsageError
from histocnn.jobs.workers import Tick
from histocnn.models.asked import DenseOptions, check_network, has_own_weights
from histocnn.models.backbones import PUBLISHED, build
from histocnn.models.custom import is_custom
from histocnn.models.dense_writing import slider_of, write_dense
from histocnn.models.device import Engine
from histocnn.models.encoders import scaled
from histocnn.models.engine_trial import settle
from histocnn.models.engines import version
from histocnn.models.infer import write_results
from histocnn.models.networks import Embedder
from histocnn.models.pooling import Pool
from histocnn.models.preparation import Preparation
from histocnn.models.runner import Runner, flips_and_turns
from histocnn.models.spec import ModelSpec, cohorts_behind, load, read_spec, terms_behind
from histocnn.models.suitable import checked, normaliser
from histocnn.patches.patches import Patches
from histocnn.reference.features import COHORTS
from histocnn.slides.stain import Normaliser

PREPARED = tuple(field.name for field in fields(Preparation))


@dataclass(frozen=True)
class Source:
    """Where the network comes from, and how pixels become its input; as the options of embed.

    Attributes:
        backbone: By name.
        weights: Of it.
        model: Instead of both.
        layers: To embed from.
        input_px: Side that patches are resized to.
        stain: Normalisation.
        tta: Average over flips and turns.
        arguments: Of the backbone's architecture, as JSON.
        pool: How tokens or maps become features.
        allow_partial: Take what fits of a file of weights.
        any_scale: Whatever scale a function of one's own asks for.
    """

    backbone: str | None
    weights: str | None
    model: Path | None
    layers: tuple[str, ...]
    input_px: int | None
    stain: Literal["macenko"] | None
    tta: bool = False
    arguments: str = "{}"
    pool: Pool | None = None
    allow_partial: bool = False
    any_scale: bool = False

    def open(self) -> tuple[Embedder, ModelSpec]:
        """The network and how pixels become its input.

        Raises:
            UsageError: Neither or both of backbone and model; no weights; no such layer; options
                of a backbone for a model.
            ModelError: Weights that cannot be had or do not fit.
        """
        check_network(self.backbone, self.weights, self.model)
        if self.model is not None:
            network, spec = self._open_model(self.model)
        else:
            network, spec = self._open_backbone(str(self.backbone))
        return network, replace(
            spec,
            layers=network.layers,
            input_px=self.input_px or spec.input_px,
            resize_px=None if self.input_px else spec.resize_px,
            stain=Normaliser().to_dict() if self.stain else spec.stain,
        )

    def _open_model(self, model: Path) -> tuple[Embedder, ModelSpec]:
        if self.arguments != "{}" or self.pool or self.allow_partial:
            raise UsageError(
                f"{model}: says itself how it is built",
                "Leave --backbone_args, --pool and --allow_partial out.",
            )
        trained, spec = load(model, backbone=self.backbone)
        return Embedder(trained.backbone, self.layers or spec.layers).eval(), spec

    def _open_backbone(self, name: str) -> tuple[Embedder, ModelSpec]:
        published = has_own_weights(name)
        weights = PUBLISHED if self.weights is None and published else self.weights
        if self.pool and self.layers:
            raise UsageError("--layers are averaged, --pool is of the last", "Give one of the two.")
        built = build(
            name,
            0,
            weights,
            arguments=json.loads(self.arguments),
            pool=self.pool,
            allow_partial=self.allow_partial,
        )
        how = {k: v for k, v in asdict(built.preparation).items() if k in PREPARED}
        if not self.any_scale:
            how["mpp"] = getattr(built.preparation, "mpp", None)
        spec = ModelSpec(
            built.name if published or is_custom(name) else name,
            built.arguments,
            pool=built.pool,
            encoder=(built.terms or terms_behind(name, weights)).to_dict(),
            **how,
        )
        return Embedder(built.backbone, self.layers).eval(), spec

    def flags(self) -> dict[str, Any]:
        """The same as the options of embed bear their names."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return own | {"backbone_args": json.loads(own.pop("arguments"))}

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
        return {**stored, **self._unusual(spec), "weights": digest.hexdigest()}

    def _unusual(self, spec: ModelSpec) -> dict[str, Any]:
        """What a recipe names only where it was asked for: earlier files stay done."""
        scaled = spec.input_px is not None and spec.interpolation != "bilinear"
        said = {
            "pool": spec.pool,
            "resize_px": spec.resize_px,
            "interpolation": spec.interpolation if scaled else None,
            "allow_partial": self.allow_partial or None,
            "tta": self.tta or None,
        }
        return {name: value for name, value in said.items() if value is not None}


@lru_cache(maxsize=1)
def _open(source: Source, engine: Engine) -> Runner:
    """The network on this process's device, loaded once for all its slides."""
    network, spec = source.open()
    place = engine.place()
    placed = network.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    views = flips_and_turns() if source.tta else flips_and_turns()[:1]
    compute = engine.compute(placed)
    return Runner(
        placed, spec, place, engine.bf16, lambda found: {"features": found}, views, compute=compute
    )


def settled(
    source: Source, engine: Engine, left: Callable[[], Sequence[Patches]], dense: bool
) -> Engine:
    """The engine by name, where the fastest was asked for: tried on the network.

    Args:
        source: Of the network.
        engine: As asked for.
        left: What is to be embedded, where it is asked.
        dense: By windows.

    Raises:
        UsageError: Another engine than torch for windows.
    """
    engine = engine.sliding() if dense else engine
    return settle(engine, *source.open(), left()) if engine.name == "auto" else engine


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


def begin(patches: Patches, *, engine: Engine, dense: DenseOptions | None = None) -> None:
    """Begin to read what `embed_patches` will."""
    if dense is None:
        patches.begin(engine.batch_size, engine.threads)


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
    runner, by = _open(source, engine), version(engine.name)
    checked(patches, runner.spec)
    cohorts = source.cohorts()
    how: dict[str, Any] = {
        "dtypes": {"features": dtype},
        "attributes": {
            "recipe": recipe,
            "encoder": runner.spec.terms.to_dict(),
            "engine": by,
        },
        "tick": tick,
        "copy": {} if cohorts is None else {COHORTS: [cohort.to_json() for cohort in cohorts]},
        "loading": engine.loading(normaliser(runner.spec, patches)),
    }
    if dense is None:
        facts = write_results(target, patches, runner, **how) | {"engine": by}
        said = scaled(source.backbone or "", patches.patch_px, patches.mpp)
        changed = said and source.input_px is None
        return facts | {"notes": facts["notes"] + [said] * bool(changed)}
    slider = slider_of(runner, patches, dense)
    return write_dense(target, patches, slider, **how) | {"engine": by}
