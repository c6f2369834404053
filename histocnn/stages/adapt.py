"""`histocnn adapt`: a trained model and another laboratory's patches in, an adapted model out.

>>> import histocnn
>>> histocnn.adapt("grids", "model.safetensors", "adapted.safetensors")  # doctest: +SKIP
StageResult(outputs=[PosixPath('adapted.safetensors')], failures={}, parts={})
"""

from __future__ import annotations

from pathlib import Path

from histocnn.jobs.ranges import NonNegativeInt, PositiveInt
from histocnn.jobs.result import StageResult


def adapt(
    patches: str | Path,
    model: str | Path,
    out: str | Path,
    slides: str | Path | None = None,
    most: PositiveInt = 1024,
    seed: NonNegativeInt = 0,
    batch_size: PositiveInt = 64,
    threads: PositiveInt = 2,
    device: str = "auto",
    backbone: str | None = None,
) -> StageResult:
    """Adapt a model to another laboratory's stain, by its slides alone: no label is read.

    Writes OUT, the model with batch norms of these patches (AdaBN). Give all slides of one
    laboratory at once, whose mix of tissue is like that of training: of a single slide the mix
    would become the norm. Temperature and operating points stay those of validation.

    Args:
        patches: A folder of grids, a folder of images by class, or a CSV of images.
        model: The model.safetensors that train wrote.
        out: The model file to write.
        slides: Where the slides are now, if they were moved: a slide, a folder or slides.csv.
        most: Patches that are looked at, drawn from all slides alike.
        seed: Of the drawing.
        batch_size: Patches at a time.
        threads: Readers per slide.
        device: auto, cpu, cuda or cuda:N.
        backbone: Of a model of somebody's own network its package.module:Class, if you trust it.

    Returns:
        The model file.
    """
    from histocnn.models import adapting
    from histocnn.models.device import Engine  # torch is loaded when it is needed
    from histocnn.models.spec import load, save
    from histocnn.patches.patches import open_patches

    model, out = Path(model), Path(out)
    adapting.check_target(out, model, Path(patches))
    items = open_patches(Path(patches), slides=None if slides is None else Path(slides))
    engine = Engine.choose(device, "fp32", batch_size=batch_size, threads=threads, workers=1)
    network, spec = load(model, engine.place(), backbone)
    pixels = adapting.draw(items, spec, most, engine, seed)
    share = adapting.adapt(network, spec, pixels, batch_size)
    spec = adapting.finished_spec(spec, len(items), len(pixels), share)
    if not adapting.is_written(out, network, spec):
        save(out, network, spec)
    print(f"{out}: batch norms of {len(pixels):,} patches, {share:.0%}, and of training")
    if len(items) == 1:
        print("One slide alone: its mix of tissue is now the norm; give all of the laboratory.")
    if share < 0.5:
        print(f"So few patches tell little: training's statistics keep {1 - share:.0%}.")
    return StageResult(outputs=[out])
