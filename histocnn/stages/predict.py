"""`histocnn predict`: patches and a trained model in; class probabilities out, a file per slide.

>>> import histocnn
>>> result = histocnn.predict("grids", "model.safetensors", "scores")  # doctest: +SKIP
>>> result.failures, len(result.outputs)  # doctest: +SKIP
({}, 8)
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from histocnn.jobs import run as runs
from histocnn.jobs.ahead import ReadAhead
from histocnn.jobs.ranges import PositiveInt, Probability, check_range
from histocnn.jobs.result import StageResult
from histocnn.models.asked import DenseOptions, check_sets
from histocnn.models.model_file import text_of
from histocnn.models.options import EngineName, Precision
from histocnn.patches.patches import open_patches
from histocnn.storage.hashing import sha256


def predict(
    patches: str | Path,
    model: str | Path,
    out: str | Path,
    tta: bool = False,
    dense: bool = False,
    dense_stride_px: PositiveInt | None = None,
    exact: bool = False,
    confidence: Probability | None = None,
    precision: Precision = "auto",
    engine: EngineName = "torch",
    slides: str | Path | None = None,
    patient_pattern: str | None = None,
    batch_size: PositiveInt = 64,
    threads: PositiveInt = 2,
    workers: PositiveInt = 1,
    device: str = "auto",
    backbone: str | None = None,
) -> StageResult:
    """Score patches with a trained model.

    Writes OUT/<slide_id>.h5, or one file per folder or CSV of images: scores, temperature-scaled
    probabilities that sum to 1 (NaN where a patch could not be read), and each patch's colour.

    Args:
        patches: A folder of grids, a folder of images by class, or a CSV of images.
        model: The model.safetensors that train wrote.
        out: Folder for the scores.
        tta: Average the logits over the 8 flips and turns of each patch.
        dense: Score every window at the network's own stride, in passes over large regions,
            instead of the grids' patches.
        dense_stride_px: From window to window, px of the patches: a multiple of the network's
            stride, which is the default, or its half.
        exact: With --dense: regions overlap by all that the network can see.
        confidence: Mark patches of which the model is not sure: of every patch the classes that it
            may be are stored, with this probability for new patients (such as 0.9). For models
            trained with calibration patients.
        precision: Of the computation; auto: bf16 where the hardware has it.
        engine: What computes the network: torch, torch compiled, ONNX Runtime (extra onnx); auto:
            the fastest here, tried once per machine and network; files differ by rounding only.
        slides: Where the slides are now, if they were moved: a slide, a folder or slides.csv.
        patient_pattern: Regular expression whose first group is the patient in an image's path.
        batch_size: Patches at a time.
        threads: Readers per slide.
        workers: Slides in parallel processes; worker i on GPU i.
        device: auto, cpu, cuda or cuda:N.
        backbone: Of a model of somebody's own network its package.module:Class, if you trust it.

    Returns:
        The score files, and why a slide has none.
    """
    check_range("confidence", confidence, Probability | None)
    check_sets(confidence, tta, dense)
    moved_to = None if slides is None else Path(slides)
    items = open_patches(Path(patches), slides=moved_to, patient_pattern=patient_pattern)
    windows = DenseOptions.asked(dense, dense_stride_px, exact, items)
    text_of(model)

    from histocnn.models.device import Engine  # loads torch: what was asked for is in order now
    from histocnn.models.predicting import Scorer, begin, recipe_of, score, settled

    counts = {"batch_size": batch_size, "threads": threads, "workers": workers}
    scorer = Scorer(
        Path(model),
        backbone,
        tta,
        Engine.choose(device, precision, engine, **counts),
        windows,
        confidence,
    )
    scorer.check()
    recipe = partial(recipe_of, scorer=scorer, model_sha256=sha256(model))
    scorer = settled(scorer, partial(runs.to_do, items, Path(out), recipe))
    return runs.run(
        items,
        out=Path(out),
        command="predict",
        source=patches,
        recipe=recipe,
        work=ReadAhead(partial(score, scorer=scorer), partial(begin, scorer=scorer)),
        workers=workers,
    )
