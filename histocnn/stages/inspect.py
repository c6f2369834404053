"""`histocnn inspect`: a look inside a network, as one page.

>>> import histocnn
>>> histocnn.inspect("look", backbone="resnet18", weights="imagenet").outputs[0]  # doctest: +SKIP
PosixPath('look/inspect.html')
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from histocnn.jobs.ownership import check_apart, check_files, claim_files
from histocnn.jobs.ranges import NonNegativeInt, PositiveFloat, PositiveInt, check_range
from histocnn.jobs.result import StageResult


def inspect(
    out: str | Path,
    model: str | Path | None = None,
    backbone: str | None = None,
    weights: str | None = None,
    patches: str | Path | None = None,
    image: tuple[str, ...] | str = (),
    slide: str | None = None,
    class_name: str | None = None,
    layers: tuple[str, ...] = (),
    patterns: Literal["few", "all"] = "few",
    steps: PositiveInt = 24,
    most: PositiveInt = 1000,
    input_px: PositiveInt | None = None,
    mpp: PositiveFloat | None = None,
    slides: str | Path | None = None,
    seed: NonNegativeInt = 0,
    device: str = "auto",
) -> StageResult:
    """Look inside a network: its layers, what they see, what excites them, what they give.

    Writes OUT/inspect.html (one page that needs nothing else), OUT/inspect.json (every number of
    it) and OUT/pictures/. Give either --backbone (with --weights) or --model.

    Args:
        out: Folder for the page.
        model: A model.safetensors that histocnn trained.
        backbone: Network by name: torchvision's, timm/NAME, hf-hub:ORG/NAME, or your own
            package.module:Class, which a --model of it needs once more.
        weights: Its weights: a .safetensors or .pth file, or imagenet to download them.
        patches: A folder of grids, a folder of images by class, or a CSV of images: effective
            fields are averaged over some, and those that excite channels most are shown.
        image: Image files whose activations are shown; default: one of the patches.
        slide: One of the patches' slides, by id: a class over all of it, its probability beside
            what each place adds.
        class_name: Whose activation maps are made; default: of each class, checked of the last.
        layers: Layers by name; default: four, evenly from the first to the last.
        patterns: Of nine channels of each of these layers, or of all channels of all layers.
        steps: Of gradient ascent for a pattern.
        most: Patches at most among which the most exciting are sought, evenly over the cohort.
        input_px: Side of the input; default: the model's own.
        mpp: µm/px of image files, which do not say it.
        slides: Where the slides are now, if they were moved: a slide, a folder or slides.csv.
        seed: Of the noise that patterns begin with.
        device: auto, cpu, cuda or cuda:N.

    Returns:
        The files, and a row per layer.
    """
    from histocnn.inspection.inspect_files import FILES, write_files
    from histocnn.inspection.inspecting import Options
    from histocnn.inspection.looking import look  # torch is loaded when it is needed
    from histocnn.inspection.opening import open_subject
    from histocnn.patches.patches import Patches, open_patches

    out = Path(out)
    images = [Path(path) for path in ((image,) if isinstance(image, str) else image)]
    check_range("mpp", mpp, PositiveFloat | None)
    given = [Path(p) for p in (model, patches) if p is not None]
    check_apart(out, [*given, *images])
    check_files(out, "inspect", FILES, lambda: False)
    trained = None if model is None else Path(model)
    subject = open_subject(trained, backbone, weights, input_px, device)
    options = Options(tuple(layers), patterns, steps, most, seed, class_name, slide)
    cohort: list[Patches] = []
    if patches is not None:
        moved = None if slides is None else Path(slides)
        grids = Path(patches).is_dir() and any(Path(patches).glob("*.h5"))
        cohort = open_patches(Path(patches), slides=moved, mpp=None if grids else mpp)
    report, pictures = look(subject, options, cohort, images, mpp)
    claim_files(out, "inspect", FILES)
    outputs = write_files(out, report, pictures)
    print(f"{outputs[0]}: {len(report.architecture)} layers, {len(pictures)} pictures")
    rows = [vars(layer) for layer in report.architecture]
    return StageResult(outputs=outputs, rows=rows)
