"""Scores of a trained network: what `histocnn predict` does with one file of patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from histocnn.errors import ModelError
from histocnn.jobs.workers import Tick
from histocnn.metrics.plain import plain
from histocnn.models.abstention import sets_of
from histocnn.models.asked import DenseOptions, check_sets
from histocnn.models.custom import check_typed
from histocnn.models.dense_infer import Slider
from histocnn.models.dense_writing import dense_of, slider_of, write_dense
from histocnn.models.device import Engine
from histocnn.models.engine_trial import settle
from histocnn.models.engines import version
from histocnn.models.infer import write_results
from histocnn.models.runner import Runner, flips_and_turns
from histocnn.models.spec import load, read_spec
from histocnn.models.suitable import checked, normaliser
from histocnn.patches.patches import Patches

UNCALIBRATED = (
    "temperature and operating points are those of single patches, because the model has no dense "
    "ones"
)


@dataclass(frozen=True)
class Scorer:
    """A model and how it is run.

    Attributes:
        model: The file that train wrote.
        backbone: Of a model of somebody's own network, its name once more.
        tta: Average the logits over the 8 flips and turns of each patch.
        engine: On what it runs.
        dense: Score windows at the network's own stride; None: the patches.
        confidence: Of prediction sets; None: without them.

    Raises:
        UsageError: Sets of scores that nobody calibrated: windows', or averaged ones.
    """

    model: Path
    backbone: str | None
    tta: bool
    engine: Engine
    dense: DenseOptions | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        check_sets(self.confidence, self.tta, self.dense is not None)

    def check(self) -> None:
        """Refuse a model that cannot score, or can promise nothing at the asked confidence.

        Raises:
            ModelError: No model of ours, one without classes, or of another network than typed.
        """
        _open.cache_clear()  # another model may lie there than when it was read last
        spec = read_spec(self.model)
        check_typed(self.model, spec.backbone, self.backbone)
        if not spec.class_names:
            raise ModelError(f"{self.model}: has no classes to score", "Use it with embed --model.")
        if self.confidence is not None:
            sets_of(spec, self.confidence, str(self.model))

    def open(self) -> Runner:
        """The model on this process's device, loaded once for all its slides."""
        return _open(self)


@lru_cache(maxsize=1)
def _open(scorer: Scorer) -> Runner:
    place = scorer.engine.place()
    network, spec = load(scorer.model, place, scorer.backbone)

    temperature = spec.calibration(dense=scorer.dense is not None)["temperature"]

    least = None
    if scorer.confidence is not None:
        found = sets_of(spec, scorer.confidence, str(scorer.model)).least
        least = torch.tensor(found, dtype=torch.float32, device=place)

    def finish(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = torch.softmax(logits / temperature, dim=1)
        return {"scores": scores} | ({} if least is None else {"sets": scores >= least})

    views = flips_and_turns() if scorer.tta else flips_and_turns()[:1]
    compute = scorer.engine.compute(network)
    return Runner(network, spec, place, scorer.engine.bf16, finish, views, compute=compute)


def settled(scorer: Scorer, left: Callable[[], Sequence[Patches]]) -> Scorer:
    """The scorer with an engine, where the fastest was asked for: tried on its network.

    Args:
        scorer: As asked for.
        left: What is to be scored, where it is asked.

    Raises:
        UsageError: Another engine than torch for windows.
    """
    engine = scorer.engine.sliding() if scorer.dense else scorer.engine
    if engine.name == "auto":
        network, spec = load(scorer.model, backbone=scorer.backbone)
        engine = settle(engine, network, spec, left())
    return replace(scorer, engine=engine)


def cannot_slide(model: Path, backbone: str | None, patch_px: int) -> str | None:
    """Why a model cannot score patches of this side densely; None where it can.

    Raises:
        ModelError: As `Scorer.check`.
    """
    network, spec = load(model, backbone=backbone)
    if spec.is_dense_calibrated:
        return None  # it slid when it was trained
    runner = Runner(network, spec, torch.device("cpu"), False, lambda logits: {"scores": logits})
    try:
        Slider.of(dense_of(runner, patch_px), runner, patch_px, None)
    except ModelError as error:
        return error.message
    return None


def recipe_of(patches: Patches, scorer: Scorer, model_sha256: str) -> dict[str, Any]:
    """The model, the numbers' precision and the input of one file."""
    return {
        "stage": "predict",
        "model": model_sha256,
        "tta": scorer.tta,
        "precision": scorer.engine.precision,
        "source": patches.describe(),
        **({"dense": scorer.dense.recipe(patches)} if scorer.dense else {}),
        **({} if scorer.confidence is None else {"confidence": scorer.confidence}),
    }


def begin(patches: Patches, *, scorer: Scorer) -> None:
    """Begin to read what `score` will."""
    if scorer.dense is None:
        patches.begin(scorer.engine.batch_size, scorer.engine.threads)


def score(
    patches: Patches, target: Path, recipe: dict[str, Any], tick: Tick, *, scorer: Scorer
) -> dict[str, Any]:
    """Write the scores of one slide, folder or CSV."""
    runner = scorer.open()
    checked(patches, runner.spec)
    if scorer.dense is not None:
        return _score_densely(patches, target, recipe, tick, scorer=scorer, dense=scorer.dense)
    scoring = runner.spec.scoring(
        recipe, patches.slide_ids, patches.patient_ids, patches.slide_fingerprint
    )
    verdicts, attributes = scoring.stored(of_slide=patches.coords is not None)
    attributes["engine"] = by = version(scorer.engine.name)
    sets = None
    if scorer.confidence is not None:
        sets = sets_of(runner.spec, scorer.confidence, str(scorer.model))
        attributes["conformal"] = plain(sets.promise)
    facts = write_results(
        target,
        patches,
        runner,
        attributes=attributes,
        tick=tick,
        dtypes={"sets": "bool"},
        copy=verdicts,
        loading=scorer.engine.loading(normaliser(runner.spec, patches)),
    )
    facts["engine"] = by
    return facts if sets is None else facts | {"notes": facts["notes"] + sets.notes(target)}


def _score_densely(
    patches: Patches,
    target: Path,
    recipe: dict[str, Any],
    tick: Tick,
    *,
    scorer: Scorer,
    dense: DenseOptions,
) -> dict[str, Any]:
    runner = scorer.open()
    slider, spec = slider_of(runner, patches, dense), runner.spec
    patient = str(patches.attributes.get("patient_id") or "")
    scoring = spec.scoring(recipe, [patches.name], [patient], patches.slide_fingerprint, dense=True)
    verdicts, attributes = scoring.stored(of_slide=True)
    attributes["engine"] = by = version(scorer.engine.name)
    facts = write_dense(
        target,
        patches,
        slider,
        attributes=attributes,
        tick=tick,
        copy=verdicts,
        loading=scorer.engine.loading(normaliser(spec, patches)),
    )
    facts["engine"] = by
    if spec.is_dense_calibrated:
        return facts
    refused = spec.dense.get("refused")
    return facts | {"notes": [*facts["notes"], UNCALIBRATED + (f" ({refused})" if refused else "")]}
