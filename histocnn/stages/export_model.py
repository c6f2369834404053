"""`histocnn export_model`: a trained model in, a network for programs without histocnn out.

>>> import histocnn
>>> histocnn.export_model("model.safetensors", "onnx", "exported").outputs  # doctest: +SKIP
[PosixPath('exported/model.onnx'), PosixPath('exported/recipe.json')]
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from histocnn.jobs.ownership import check_apart, check_files, claim_files
from histocnn.jobs.ranges import PositiveFloat, PositiveInt, check_range
from histocnn.jobs.result import StageResult


def export_model(
    model: str | Path,
    to: Literal["onnx", "torchscript", "wsinfer"],
    out: str | Path,
    patches: str | Path | None = None,
    slides: str | Path | None = None,
    patch_px: PositiveInt | None = None,
    mpp: PositiveFloat | None = None,
    backbone: str | None = None,
) -> StageResult:
    """Write a trained model for programs that know nothing of histocnn.

    Writes OUT/model.onnx or OUT/model.pt: patches uint8 [B, H, W, 3] in, calibrated probabilities
    out, with scaling, normalisation, temperature and softmax inside; or, for WSInfer and QuPath's
    WSInfer extension, OUT/torchscript_model.pt, config.json and README.md. OUT/recipe.json says
    what goes in and out, what is left to do outside, by whose leave, and the files' hashes. What
    was written is run and compared with torch, and refused above a difference of 0.001.

    Args:
        model: The model.safetensors that train wrote.
        to: The format.
        out: Folder for it, of one format.
        patches: A folder of grids, a folder of images by class, or a CSV of images, some of which
            it is checked on; default: patches of a synthetic slide.
        slides: Where the slides are now, if they were moved: a slide, a folder or slides.csv.
        patch_px: Side of the patches, of a model that does not know it.
        mpp: Their µm/px, of a model that does not know it.
        backbone: Of a model of somebody's own network its package.module:Class, if you trust it.

    Returns:
        The files.
    """
    from histocnn.models.export_check import patches_to_check  # torch is loaded when it is needed
    from histocnn.models.export_subject import open_subject
    from histocnn.models.exporting import files_of, what_stands, write

    model, out = Path(model), Path(out)
    check_range("mpp", mpp, PositiveFloat | None)
    check_apart(out, [model, *([Path(patches)] if patches is not None else [])])
    names = files_of(to)
    check_files(out, "export_model", names, lambda: False)
    subject = open_subject(model, to, backbone, patch_px, mpp)
    outputs = [out / name for name in names]
    terms = subject.spec.terms.sentence()
    stands = what_stands(subject, to, out)
    if stands == "":
        print(f"{outputs[0]}: already there. {terms}")
        return StageResult(outputs=outputs)
    if stands:
        print(f"made again: {stands}")
    pixels, of = patches_to_check(subject.spec, patches, slides)
    claim_files(out, "export_model", names)
    recipe = write(subject, to, out, pixels, of)
    found = recipe["check"]["max_difference"]
    print(
        f"{outputs[0]}: differs from torch by at most {found:.1g} on {len(pixels)} patches ({of})"
    )
    for each in recipe["outside"]:
        print(f"not inside: {each}")
    print(terms)
    return StageResult(outputs=outputs)
