"""`histocnn embed`: patches in, a pretrained network's features out, one file per slide.

>>> import histocnn
>>> result = histocnn.embed("grids", "features", "resnet18", "imagenet")  # doctest: +SKIP
>>> result.failures, len(result.outputs)  # doctest: +SKIP
({}, 8)
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal

from histocnn.jobs import run as runs
from histocnn.jobs.ahead import ReadAhead
from histocnn.jobs.ranges import PositiveFloat, PositiveInt, check_range
from histocnn.jobs.result import StageResult
from histocnn.models.asked import DenseOptions, check_network
from histocnn.models.encoders import check_scale
from histocnn.models.options import EngineName, Precision
from histocnn.patches.patches import open_patches
from histocnn.storage.json import to_json


def embed(
    patches: str | Path,
    out: str | Path,
    backbone: str | None = None,
    weights: str | None = None,
    model: str | Path | None = None,
    backbone_args: dict[str, Any] | None = None,
    allow_partial: bool = False,
    layers: tuple[str, ...] = (),
    pool: Literal["cls", "mean", "cls+mean", "gem"] | None = None,
    input_px: PositiveInt | None = None,
    stain: Literal["macenko"] | None = None,
    any_scale: bool = False,
    tta: bool = False,
    dtype: Literal["float16", "float32"] = "float16",
    dense: bool = False,
    dense_stride_px: PositiveInt | None = None,
    exact: bool = False,
    precision: Precision = "auto",
    engine: EngineName = "torch",
    slides: str | Path | None = None,
    patient_pattern: str | None = None,
    mpp: PositiveFloat | None = None,
    batch_size: PositiveInt = 64,
    threads: PositiveInt = 2,
    workers: PositiveInt = 1,
    device: str = "auto",
) -> StageResult:
    """Turn patches into a pretrained network's features.

    Writes OUT/<slide_id>.h5, or one file per folder or CSV of images: features, and each patch's
    colour. Give either --backbone (with --weights) or --model.

    Args:
        patches: A folder of grids, a folder of images by class, or a CSV of images.
        out: Folder for the features.
        backbone: Network by name: an encoder of `histocnn encoders`, torchvision's, timm/NAME,
            hf-hub:ORG/NAME, local-dir:FOLDER, or your own package.module:Class or
            package.module:function, which a --model of it needs once more.
        weights: Its weights: a .safetensors or .pth file, or imagenet to download them; of an
            encoder, hf-hub and local-dir by default theirs, of your function what it loads.
        model: A model.safetensors that histocnn trained, instead of --backbone.
        backbone_args: Arguments of a timm architecture as JSON, such as '{"init_values": 1e-5}'.
        allow_partial: Take what fits of a file of weights, though tensors are missing or unused.
        layers: Layers by name, each averaged over space, concatenated; default: the last.
        pool: How a timm network's tokens or maps become features: the class token, the mean of the
            patch tokens (or over space), both, or the generalised mean; default: as it does itself.
        input_px: Resize patches to this side first.
        stain: Bring each slide's (or image's) stains to a common reference first.
        any_scale: Go on although the patches' µm/px is over 10 % off all that the encoder was made
            for.
        tta: Average the features over the 8 flips and turns of each patch.
        dtype: Of the stored features.
        dense: Embed every window at the network's own stride, in passes over large regions,
            instead of the grids' patches.
        dense_stride_px: From window to window, px of the patches: a multiple of the network's
            stride, which is the default, or its half.
        exact: With --dense: regions overlap by all that the network can see.
        precision: Of the computation; auto: bf16 where the hardware has it.
        engine: What computes the network: torch, torch compiled, ONNX Runtime (extra onnx); auto:
            the fastest here, tried once per machine and network; files differ by rounding only.
        slides: Where the slides are now, if they were moved: a slide, a folder or slides.csv.
        patient_pattern: Regular expression whose first group is the patient in an image's path.
        mpp: µm/px of image files, which do not say it; knn and probe need it to compare them with
            patches of slides.
        batch_size: Patches at a time.
        threads: Readers per slide.
        workers: Slides in parallel processes; worker i on GPU i.
        device: auto, cpu, cuda or cuda:N.

    Returns:
        The feature files, and why a slide has none.
    """
    trained = None if model is None else Path(model)
    slides = None if slides is None else Path(slides)
    check_range("mpp", mpp, PositiveFloat | None)
    items = open_patches(Path(patches), slides=slides, patient_pattern=patient_pattern, mpp=mpp)
    if backbone is not None and not any_scale:
        check_scale(backbone, [(item.name, item.mpp) for item in items])
    windows = DenseOptions.asked(dense, dense_stride_px, exact, items)
    check_network(backbone, weights, trained)

    from histocnn.models.device import Engine  # loads torch: what was asked for is in order now
    from histocnn.models.embedding import Source, begin, embed_patches, recipe_of, settled

    given = (to_json(backbone_args or {}), pool, allow_partial, any_scale)
    source = Source(backbone, weights, trained, tuple(layers), input_px, stain, tta, *given)
    network = source.describe()
    counts = {"batch_size": batch_size, "threads": threads, "workers": workers}
    chosen = Engine.choose(device, precision, engine, **counts)
    recipe = partial(
        recipe_of, network=network, dtype=dtype, precision=chosen.precision, dense=windows
    )
    left = partial(runs.to_do, items, Path(out), recipe)
    chosen = settled(source, chosen, left, dense)
    return runs.run(
        items,
        out=Path(out),
        command="embed",
        source=patches,
        recipe=recipe,
        work=ReadAhead(
            partial(embed_patches, source=source, engine=chosen, dtype=dtype, dense=windows),
            partial(begin, engine=chosen, dense=windows),
        ),
        workers=workers,
    )
