"""`histocnn predict`: patches and a trained model in; class probabilities out, a file per slide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from histocnn.errors import ModelError
from histocnn.jobs import run as runs
from histocnn.models.infer import (
    Precision,
    Runner,
    checked,
    choose_bf16,
    choose_device,
    flips_and_turns,
    normaliser,
    say_how,
    share_cores,
    write_results,
)
from histocnn.models.spec import ModelSpec, load, read_spec
from histocnn.patches.patches import Patches, open_patches
from histocnn.storage.hashing import sha256


def predict(
    patches: Path,
    model: Path,
    out: Path,
    tta: bool = False,
    precision: Precision = "auto",
    slides: Path | None = None,
    patient_pattern: str | None = None,
    batch_size: int = 64,
    threads: int = 2,
    workers: int = 1,
    device: str = "auto",
) -> int:
    """Score patches with a trained model.

    Writes OUT/<slide_id>.h5, or one file per folder or CSV of images: scores, temperature-scaled
    probabilities that sum to 1 (NaN where a patch could not be read), and each patch's colour.

    Args:
        patches: A folder of grids, a folder of images by class, or a CSV of images.
        model: The model.safetensors that train wrote.
        out: Folder for the scores.
        tta: Average the logits over the 8 flips and turns of each patch.
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
    _check(read_spec(model), model)
    bf16 = choose_bf16(precision, choose_device(device))
    say_how(choose_device(device), bf16)
    scorer = Scorer(model, tta, bf16, device, workers)
    items = open_patches(patches, slides=slides, patient_pattern=patient_pattern)
    summary = runs.run(
        items,
        out=out,
        command="predict",
        source=patches,
        recipe=partial(recipe_of, scorer=scorer, model_sha256=sha256(model)),
        work=partial(score, scorer=scorer, batch_size=batch_size, threads=threads),
        workers=workers,
    )
    return summary.exit_code


def _check(spec: ModelSpec, model: Path) -> None:
    if not spec.class_names:
        raise ModelError(f"{model}: has no classes to score", "Use it with embed --model.")


@dataclass(frozen=True)
class Scorer:
    """A model and how it is run; `open` loads it once per process."""

    model: Path
    tta: bool
    bf16: bool
    device: str
    workers: int

    def open(self) -> Runner:
        """The model on this process's device."""
        return _open(self)


@lru_cache(maxsize=1)
def _open(scorer: Scorer) -> Runner:
    import torch

    share_cores(scorer.workers)
    place = choose_device(scorer.device, runs.worker_index())
    network, spec = load(scorer.model, place)

    def finish(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"scores": torch.softmax(logits / spec.temperature, dim=1)}

    views = flips_and_turns() if scorer.tta else flips_and_turns()[:1]
    return Runner(network, spec, place, scorer.bf16, finish, views)


def recipe_of(patches: Patches, scorer: Scorer, model_sha256: str) -> dict[str, Any]:
    """The model, the numbers' precision and the input of one file."""
    return {
        "stage": "predict",
        "model": model_sha256,
        "tta": scorer.tta,
        "precision": "bf16" if scorer.bf16 else "fp32",
        "source": patches.describe(),
    }


def score(
    patches: Patches,
    target: Path,
    recipe: dict[str, Any],
    tick: runs.Tick,
    *,
    scorer: Scorer,
    batch_size: int,
    threads: int,
) -> dict[str, Any]:
    """Write the scores of one slide, folder or CSV."""
    runner = scorer.open()
    checked(patches, runner.spec)
    scoring = runner.spec.scoring(recipe, patches.slide_ids, patches.patient_ids)
    verdicts, attributes = scoring.stored(of_slide=patches.coords is not None)
    return write_results(
        target,
        patches,
        runner,
        dtypes={},
        attributes=attributes,
        tick=tick,
        copy=verdicts,
        normalise=normaliser(runner.spec, patches),
        batch_size=batch_size,
        threads=threads,
    )
