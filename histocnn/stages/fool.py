"""`histocnn fool`: a trained model and patches in; what it believes and should not, out.

>>> import histocnn
>>> histocnn.fool("model.safetensors", "grids", "fooled").outputs[0]  # doctest: +SKIP
PosixPath('fooled/fool.html')
"""

from __future__ import annotations

from pathlib import Path

from histocnn.jobs.ownership import check_apart, check_files, claim_files
from histocnn.jobs.ranges import NonNegativeInt, PositiveInt
from histocnn.jobs.result import StageResult


def fool(
    model: str | Path,
    patches: str | Path,
    out: str | Path,
    things: str | Path | None = None,
    reference: str | Path | None = None,
    most: PositiveInt = 128,
    made_up: PositiveInt = 64,
    epsilons: tuple[PositiveInt, ...] = (1, 2, 4, 8),
    steps: PositiveInt = 10,
    layers: tuple[str, ...] = (),
    seed: NonNegativeInt = 0,
    slides: str | Path | None = None,
    patient_pattern: str | None = None,
    batch_size: PositiveInt = 32,
    threads: PositiveInt = 2,
    device: str = "auto",
    backbone: str | None = None,
) -> StageResult:
    """Show what fools a model, how sure it is of it, and whether anything notices.

    Writes OUT/fool.html, fool.json and pictures: attacks (FGSM, PGD), noise, pictures made by
    gradient ascent, things that are not tissue, other stains, blur, JPEG and scales; of each the
    accuracy, the confidence, and the AUROC of novelty (k-NN), max-softmax, energy, Mahalanobis.

    Args:
        model: The model.safetensors that train wrote.
        patches: A folder of grids, a folder of images by class, or a CSV of images. Where training
            saw some of their patients the detectors learn from these and judge the others, else
            they learn from half of the patients.
        out: Folder for the page.
        things: A folder of image files of what is not tissue.
        reference: Patches for the detectors to learn from, such as those of training; those of
            judged patients are left out.
        most: Patches that are judged, drawn from all patients alike.
        made_up: Pictures of each kind of noise, of each class's ascent, and of things.
        epsilons: Bounds of the attacks, grey levels of 255.
        steps: Of PGD.
        layers: Layers by name, by whose features neighbours and Mahalanobis go; default: the last.
        seed: Of every drawing.
        slides: Where the slides are now, if they were moved: a slide, a folder or slides.csv.
        patient_pattern: Regular expression whose first group is the patient in an image's path.
        batch_size: Pictures at a time.
        threads: Readers per slide.
        device: auto, cpu, cuda or cuda:N.
        backbone: Of a model of somebody's own network its package.module:Class, if you trust it.

    Returns:
        The files, and a row per kind of picture.
    """
    from histocnn.inspection import fooling  # torch is loaded when it is needed
    from histocnn.inspection.fool_report import Options
    from histocnn.inspection.fooling_files import FILES, write_files
    from histocnn.models.device import Engine
    from histocnn.patches.patches import Patches, open_patches

    model, out = Path(model), Path(out)
    check_apart(out, [model, *(Path(p) for p in (patches, things, reference) if p is not None)])
    check_files(out, "fool", FILES, lambda: False)
    options = Options(
        most=most, made_up=made_up, epsilons=tuple(epsilons), steps=steps, layers=tuple(layers),
        seed=seed,
    )  # fmt: skip
    moved = None if slides is None else Path(slides)

    def opened(source: str | Path) -> list[Patches]:
        return open_patches(Path(source), slides=moved, patient_pattern=patient_pattern)

    engine = Engine.choose(device, "fp32", batch_size=batch_size, threads=threads, workers=1)
    report, exhibits = fooling.fool_model(
        model,
        opened(patches),
        options,
        engine,
        reference=None if reference is None else opened(reference),
        things=None if things is None else Path(things),
        backbone=backbone,
    )
    claim_files(out, "fool", FILES)
    outputs = write_files(out, report, exhibits)
    print(f"{outputs[0]}: {len(report.trials)} kinds of pictures")
    return StageResult(outputs=outputs, rows=fooling.rows_of(report))
