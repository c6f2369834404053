"""Synthetic H&E slides with known truth, for the demo, tests and benchmarks.

A phantom is a cartoon of a stained section: glands, stroma, fat, vessels, and tumour that
differs from normal tissue by its nuclei and their order but not by its mean colour. It is
written as a tiled JPEG TIFF pyramid in blocks, so that its size is limited by the disk only.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import imagecodecs
import numpy as np
import shapely
import tifffile
from numpy.typing import NDArray
from shapely.affinity import scale
from shapely.geometry.base import BaseGeometry

from histocnn.errors import UsageError
from histocnn.slides.phantom_paint import BLOCK_PX, GLASS_RGB, LABS, Painter
from histocnn.slides.phantom_tissue import lay_out

PenColour = Literal["blue", "green", "black", "red"]

TILE_PX = 256
BLOCK_LEVELS = (1, 2, 4, 8)  # downsamples whose tiles lie within one block
QUALITY = 80


@dataclass(frozen=True)
class PhantomSpec:
    """What to draw.

    Attributes:
        size_px: Width and height of level 0.
        mpp: µm per level-0 pixel.
        seed: The same seed and options give the same bytes.
        lab: Whose stain: one of `LABS`.
        lesions: Number of tumour foci; 0 is a normal slide.
        pen: Colour of pen strokes over tissue and glass, or None.
        blur: Whether part of the section is out of focus.
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
    blurred: BaseGeometry = field(repr=False)

    def to_geojson(self, path: Path, classes: tuple[str, ...] = ("tumour", "normal")) -> None:
        """Writes the named regions as QuPath annotations."""
        write_geojson(path, {name: getattr(self, name) for name in classes})


def make_phantom(path: str | Path, spec: PhantomSpec) -> PhantomTruth:
    """Writes a phantom slide, whole or not at all, and returns its truth.

    Args:
        path: The TIFF to write; an existing one is replaced.
        spec: What to draw.

    Raises:
        UsageError: Size or resolution is not positive, or nobody knows the lab.
    """
    if min(spec.size_px) < 1 or not spec.mpp > 0:
        raise UsageError(f"A phantom of {spec.size_px} px at {spec.mpp} µm/px cannot be drawn.")
    if spec.lab not in LABS:
        raise UsageError(f"No lab '{spec.lab}' is known.", f"Choose one of {', '.join(LABS)}.")
    width, height = spec.size_px
    tissue_px = spec.tissue_px or (0.84 * width, 0.84 * height)
    layout = lay_out(
        np.random.default_rng([spec.seed, 0]),
        (width * spec.mpp, height * spec.mpp),
        (tissue_px[0] * spec.mpp, tissue_px[1] * spec.mpp),
        lesions=spec.lesions,
        pen=spec.pen is not None,
        blur=spec.blur,
    )
    painter = Painter(layout, spec.size_px, spec.mpp, spec.lab, spec.pen, spec.seed)
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write_pyramid(unfinished, painter, spec)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)

    def level0(region: BaseGeometry) -> BaseGeometry:
        return scale(region, 1 / spec.mpp, 1 / spec.mpp, origin=(0, 0))

    regions = ("tissue", "tumour", "normal", "fat", "pen", "blurred")
    return PhantomTruth(spec, *(level0(getattr(layout, name)) for name in regions))


def make_sparse(
    path: str | Path, size_px: int = 100_000, *, tissue_px: int = 3000, seed: int = 0
) -> PhantomTruth:
    """Writes a huge square slide of tiles of zero bytes with one small section in its middle."""
    spec = PhantomSpec(
        (size_px, size_px), seed=seed, tissue_px=(tissue_px, tissue_px), sparse=True
    )
    return make_phantom(path, spec)


def make_cohort(
    folder: str | Path,
    *,
    slides: int = 8,
    patients: int = 4,
    labs: int = 2,
    size_px: tuple[int, int] = (4096, 4096),
    mpp: float = 0.5,
    seed: int = 0,
) -> Path:
    """Writes phantom slides, annotations of their tumours, and the slides.csv that lists them.

    Every second slide of a patient has tumour, the others are normal. A patient belongs to one
    lab; the first lab's patients are for training and validation, the others' for testing.

    Returns:
        The path of slides.csv; its paths are relative to it.

    Raises:
        UsageError: Fewer slides than patients, than labs, or more labs than there are.
    """
    if not 1 <= labs <= min(patients, len(LABS)) or patients > slides:
        raise UsageError(
            f"{slides} slides of {patients} patients from {labs} labs cannot be made.",
            f"Ask for at most {len(LABS)} labs, a patient per lab and a slide per patient.",
        )
    folder = Path(folder)
    for part in ("slides", "annotations"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(slides):
        patient = index * patients // slides
        lab = patient * labs // patients
        turn = index - -(-patient * slides // patients)  # which of the patient's slides
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
            "split": _split(patient, patients, labs),
            "annotation_path": annotation,
            "background": "normal",
            "center": f"lab_{spec.lab}",
        })  # fmt: skip
    table = folder / "slides.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return table


def _split(patient: int, patients: int, labs: int) -> str:
    """The first lab's last quarter of patients (at least one of several) validates."""
    first_lab = -(-patients // labs)
    if labs > 1 and patient >= first_lab:
        return "test"
    validating = max(1, first_lab // 4) if first_lab > 1 else 0
    return "val" if patient >= first_lab - validating else "train"


def write_geojson(path: Path, regions: Mapping[str, BaseGeometry]) -> None:
    """Writes regions as QuPath annotations, one per polygon, in level-0 pixels."""
    features = [
        {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(part),
            "properties": {"objectType": "annotation", "classification": {"name": name}},
        }
        for name, region in regions.items()
        for part in shapely.get_parts(region)
        if isinstance(part, shapely.Polygon)
    ]
    collection = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(collection), encoding="utf-8")


# --- the pyramid -------------------------------------------------------------------------------

Tile = bytes | None  # None is written as zero bytes


def _write_pyramid(path: Path, painter: Painter, spec: PhantomSpec) -> None:
    """Streams level 0 through the disk while the coarser levels, far smaller, wait in memory."""
    width, height = spec.size_px
    blocks_across, blocks_down = -(-width // BLOCK_PX), -(-height // BLOCK_PX)
    per_block = BLOCK_PX // (2 * BLOCK_LEVELS[-1])
    coarse = np.empty((blocks_down * per_block, blocks_across * per_block, 3), np.uint8)
    coarse[:] = np.round(GLASS_RGB)
    waiting: dict[int, list[Tile]] = {level: [] for level in BLOCK_LEVELS[1:]}

    def level0() -> Iterator[Tile]:
        for row in range(blocks_down):
            band: dict[int, list[list[list[Tile]]]] = {level: [] for level in BLOCK_LEVELS}
            for column in range(blocks_across):
                levels = _block(painter, column, row, spec.sparse)
                for level, (tiles, _) in zip(BLOCK_LEVELS, levels, strict=True):
                    band[level].append(tiles)
                y, x = row * per_block, column * per_block
                last = levels[-1][1]
                if last is not None:
                    coarse[y : y + per_block, x : x + per_block] = _halved(last)
            for level in BLOCK_LEVELS[1:]:
                waiting[level] += _in_rows(band[level], level, row, spec.size_px)
            yield from _in_rows(band[1], 1, row, spec.size_px)

    with tifffile.TiffWriter(path, bigtiff=width * height > 4_000_000_000) as tiff:
        _write_level(tiff, level0(), 1, spec)
        for level in BLOCK_LEVELS[1:]:
            if min(spec.size_px) // level < 64:
                break
            _write_level(tiff, iter(waiting.pop(level)), level, spec)
        level, image = 2 * BLOCK_LEVELS[-1], coarse
        while min(spec.size_px) // level >= 64 and max(spec.size_px) / level > 2 * TILE_PX:
            size = _level_size(spec.size_px, level)
            _write_level(tiff, _tiles_of(image, size), level, spec)
            level, image = 2 * level, _halved(image)


def _level_size(size_px: tuple[int, int], level: int) -> tuple[int, int]:
    return -(-size_px[0] // level), -(-size_px[1] // level)


def _write_level(
    tiff: tifffile.TiffWriter, tiles: Iterator[Tile], level: int, spec: PhantomSpec
) -> None:
    width, height = _level_size(spec.size_px, level)
    per_cm = 10_000 / spec.mpp * np.array((width, height)) / spec.size_px
    tiff.write(
        tiles,
        shape=(height, width, 3),
        dtype=np.uint8,
        tile=(TILE_PX, TILE_PX),
        photometric="ycbcr",
        compression="jpeg",
        subsampling=(2, 2),
        subfiletype=0 if level == 1 else 1,
        resolution=(float(per_cm[0]), float(per_cm[1])),
        resolutionunit="CENTIMETER",
        software=False,
        metadata=None,
    )


def _block(
    painter: Painter, column: int, row: int, sparse: bool
) -> list[tuple[list[list[Tile]], NDArray[np.uint8] | None]]:
    """A block's encoded tiles [row][column] and pixels at each of BLOCK_LEVELS."""
    x, y = column * BLOCK_PX, row * BLOCK_PX
    if painter.is_glass(x, y):
        tile = None if sparse else _glass_tile()
        counts = [BLOCK_PX // TILE_PX // level for level in BLOCK_LEVELS]
        return [([[tile] * n for _ in range(n)], None) for n in counts]
    image = painter.paint(x, y)
    levels = []
    for level in BLOCK_LEVELS:
        levels.append((_encoded(image), image))
        if level != BLOCK_LEVELS[-1]:
            image = _halved(image)
    return levels


def _halved(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    size = -(-width // 2), -(-height // 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _in_rows(
    blocks: list[list[list[Tile]]], level: int, row: int, size_px: tuple[int, int]
) -> list[Tile]:
    """A band's tiles row by row across its blocks, those beyond the level's edge left out."""
    width, height = _level_size(size_px, level)
    across, down = -(-width // TILE_PX), -(-height // TILE_PX)
    rows = min(len(blocks[0]), down - row * len(blocks[0]))
    return [
        tile for r in range(rows) for tile in [t for block in blocks for t in block[r]][:across]
    ]


def _tiles_of(image: NDArray[np.uint8], size: tuple[int, int]) -> Iterator[Tile]:
    width, height = size
    across, down = -(-width // TILE_PX), -(-height // TILE_PX)
    padded = np.empty((down * TILE_PX, across * TILE_PX, 3), np.uint8)
    padded[:] = np.round(GLASS_RGB)
    padded[:height, :width] = image[:height, :width]
    return (tile for row in _encoded(padded) for tile in row)


def _encoded(image: NDArray[np.uint8]) -> list[list[Tile]]:
    height, width = image.shape[:2]
    return [
        [_jpeg(image[y : y + TILE_PX, x : x + TILE_PX]) for x in range(0, width, TILE_PX)]
        for y in range(0, height, TILE_PX)
    ]


def _jpeg(tile: NDArray[np.uint8]) -> bytes:
    encoded = imagecodecs.jpeg8_encode(
        np.ascontiguousarray(tile), level=QUALITY, colorspace="RGB", outcolorspace="YCBCR",
        subsampling="420",
    )  # fmt: skip
    return bytes(encoded)


def _glass_tile() -> bytes:
    return _jpeg(np.full((TILE_PX, TILE_PX, 3), np.round(GLASS_RGB), np.uint8))
