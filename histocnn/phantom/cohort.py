"""Synthetic H&E slides with known truth, for the demo, tests and benchmarks.

A phantom is a cartoon of a stained section: glands, stroma, fat, vessels, and tumour that
differs from normal tissue by its nuclei and their order but not by its mean colour. It is
written as a tiled JPEG TIFF pyramid in blocks, so that its size is limited by the disk only.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import shapely
from shapely.affinity import scale
from shapely.geometry.base import BaseGeometry

from histocnn.errors import UsageError
from histocnn.phantom.paint import Painter
from histocnn.phantom.pyramid import write_pyramid
from histocnn.phantom.stain import LABS, stains_of
from histocnn.phantom.tissue import lay_out
from histocnn.regions.geojson import Feature, write_geojson
from histocnn.storage.atomic import replacing

PenColour = Literal["blue", "green", "black", "red"]


@dataclass(frozen=True)
class PhantomSpec:
    """What to draw.

    Attributes:
        size_px: Width and height of level 0.
        mpp: µm per level-0 pixel.
        seed: The same seed and options give the same bytes.
        lab: Whose stain: one of `LABS`, or a number, of whom there are as many as you like.
        lesions: Number of tumour foci; 0 is a normal slide.
        pen: Colour of pen strokes over tissue and glass, or None.
        blur: Whether part of the section is out of focus.
        fold: Whether a strip of the section lies double.
        tissue_px: Width and height of the section, at the slide's centre; None fills the slide.
        sparse: Whether blocks of glass have tiles of zero bytes, as some scanners write them.
    """

    size_px: tuple[int, int] = (4096, 4096)
    mpp: float = 0.5
    seed: int = 0
    lab: str = "A"
    lesions: int = 1
    pen: PenColour | None = None
    blur: bool = False
    fold: bool = False
    tissue_px: tuple[int, int] | None = None
    sparse: bool = False


@dataclass(frozen=True)
class PhantomTruth:
    """What was drawn: level-0 polygons; `tumour`, `normal` and `fat` add up to `tissue`."""

    spec: PhantomSpec
    tissue: BaseGeometry
    tumour: BaseGeometry
    normal: BaseGeometry
    fat: BaseGeometry
    pen: BaseGeometry
    blurred: BaseGeometry
    folded: BaseGeometry

    def to_geojson(self, path: Path, classes: tuple[str, ...] = ("tumour", "normal")) -> None:
        """Writes the named regions as QuPath annotations."""
        features = [
            Feature(part, class_name=name)
            for name in classes
            for part in shapely.get_parts(getattr(self, name))
            if isinstance(part, shapely.Polygon)
        ]
        write_geojson(path, features, bounds_l0=None)


def make_phantom(path: str | Path, spec: PhantomSpec) -> PhantomTruth:
    """Writes a phantom slide, whole or not at all, and returns its truth.

    Args:
        path: The TIFF to write; an existing one is replaced.
        spec: What to draw.

    Raises:
        UsageError: Size or resolution is not positive, or nobody knows the lab.
        StoreError: The slide cannot be written.
    """
    if min(spec.size_px) < 1 or not spec.mpp > 0:
        raise UsageError(
            f"a phantom of {spec.size_px} px at {spec.mpp} µm/px cannot be drawn",
            "Give sides of at least 1 px and a resolution above 0.",
        )
    if stains_of(spec.lab) is None:
        raise UsageError(
            f"No lab '{spec.lab}' is known", f"Choose one of {', '.join(LABS)}, or a number."
        )
    width, height = spec.size_px
    tissue_px = spec.tissue_px or (0.84 * width, 0.84 * height)
    layout = lay_out(
        np.random.default_rng([spec.seed, 0]),
        (width * spec.mpp, height * spec.mpp),
        (tissue_px[0] * spec.mpp, tissue_px[1] * spec.mpp),
        lesions=spec.lesions,
        pen=spec.pen is not None,
        blur=spec.blur,
        fold=spec.fold,
    )
    painter = Painter(layout, spec.size_px, spec.mpp, spec.lab, spec.pen, spec.seed)
    with replacing(path) as unfinished:
        write_pyramid(unfinished, painter.paint, spec.size_px, spec.mpp, sparse=spec.sparse)

    def level0(region: BaseGeometry) -> BaseGeometry:
        return scale(region, 1 / spec.mpp, 1 / spec.mpp, origin=(0, 0))

    regions = ("tissue", "tumour", "normal", "fat", "pen", "blurred", "folded")
    return PhantomTruth(spec, *(level0(getattr(layout, name)) for name in regions))


def make_cohort(
    folder: str | Path,
    *,
    slides: int | Sequence[int] = 8,
    patients: int | Sequence[int] = 4,
    labs: int = 2,
    size_px: tuple[int, int] = (4096, 4096),
    mpp: float = 0.5,
    seed: int = 0,
) -> Path:
    """Writes phantom slides, annotations of their tumours, and the slides.csv that lists them.

    Every second slide of a patient has tumour, the others are normal. A patient belongs to one
    lab; the first lab's patients are for training and validation, the others' for testing.

    Args:
        folder: Where to write.
        slides: How many, as evenly as can be of every patient; or how many of each lab.
        patients: How many, as evenly as can be in every lab; or, with `slides`, in each.
        labs: How many, if `slides` and `patients` do not say it.
        size_px: Width and height of level 0.
        mpp: µm per level-0 pixel.
        seed: The same seed and options give the same bytes.

    Returns:
        The path of slides.csv; its paths are relative to it.

    Raises:
        UsageError: Fewer slides than patients, than labs, or more labs than there are.
    """
    whose = _dealt(slides, patients, labs)
    if not whose:
        raise UsageError(
            f"{slides} slides of {patients} patients from {labs} labs cannot be made",
            f"Ask for at most {len(LABS)} labs, a patient per lab and a slide per patient.",
        )
    first_lab = len({patient for lab, patient in whose if lab == 0})
    folder = Path(folder)
    for part in ("slides", "annotations"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows = []
    for index, (lab, patient) in enumerate(whose):
        turn = index - whose.index((lab, patient))  # which of the patient's slides
        slide_id = f"phantom_{index + 1:02d}"
        spec = PhantomSpec(
            size_px=size_px, mpp=mpp, seed=seed * 10_000 + index, lab=list(LABS)[lab],
            lesions=0 if turn % 2 else 1 + index % 3,
            pen=("blue", "green", "black", "red")[index // 3 % 4] if index % 3 == 2 else None,
            blur=index % 4 == 3,
        )  # fmt: skip
        truth = make_phantom(folder / "slides" / f"{slide_id}.tif", spec)
        annotation = f"annotations/{slide_id}.geojson" if spec.lesions else ""
        if annotation:
            truth.to_geojson(folder / annotation, ("tumour",))
        rows.append({
            "slide_id": slide_id,
            "slide_path": f"slides/{slide_id}.tif",
            "patient_id": f"patient_{patient + 1:02d}",
            "label": "tumour" if spec.lesions else "normal",
            "split": _split(patient, first_lab),
            "annotation_path": annotation,
            "background": "normal",
            "center": f"lab_{spec.lab}",
        })  # fmt: skip
    table = folder / "slides.csv"
    with replacing(table) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return table


def _dealt(
    slides: int | Sequence[int], patients: int | Sequence[int], labs: int
) -> list[tuple[int, int]]:
    """Lab and patient of every slide; none where it cannot be."""
    if isinstance(slides, int) and isinstance(patients, int):
        if not 1 <= labs <= min(patients, len(LABS)) or patients > slides:
            return []
        owners = [index * patients // slides for index in range(slides)]
        return [(owner * labs // patients, owner) for owner in owners]
    if isinstance(slides, int) or isinstance(patients, int) or len(slides) != len(patients):
        return []
    if len(slides) > len(LABS) or any(
        p < 1 or p > s for s, p in zip(slides, patients, strict=True)
    ):
        return []
    before = np.cumsum([0, *patients]).tolist()
    return [
        (lab, before[lab] + index * patients[lab] // count)
        for lab, count in enumerate(slides)
        for index in range(count)
    ]


def _split(patient: int, first_lab: int) -> str:
    """The first lab's last quarter of patients (at least one of several) validates."""
    if patient >= first_lab:
        return "test"
    validating = max(1, first_lab // 4) if first_lab > 1 else 0
    return "val" if patient >= first_lab - validating else "train"
