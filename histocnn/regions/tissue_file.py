"""Tissue from a file that somebody edited, in place of detection."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from histocnn.errors import AnnotationError
from histocnn.regions.annotations import read_annotations
from histocnn.regions.geojson import Frame
from histocnn.regions.tissue import Bools, TissueMask, TissueSettings
from histocnn.slides.slide import Slide


def load_tissue(
    path: Path,
    slide: Slide,
    *,
    frame: Frame = "bounds",
    mpp: float = TissueSettings.mpp,
) -> TissueMask:
    """Read a tissue mask that somebody edited, in place of detection.

    Args:
        path: GeoJSON (every polygon is tissue, whatever its class, but for class "Exclusion"), or
            PNG of two values (0 is glass) that shows the whole of level 0 at any size.
        slide: The slide it belongs to.
        frame: Frame of GeoJSON coordinates, as for annotations.
        mpp: µm/px of the mask made from GeoJSON.

    Raises:
        AnnotationError: The file is missing, malformed, or does not fit the slide.
        ResolutionError: The slide's µm/px is unknown.
    """
    slide_mpp = slide.require_mpp()
    if path.suffix.lower() == ".png":
        mask = _read_png(path, slide.size_l0)
        return TissueMask(mask, slide.size_l0, slide_mpp, slide.bounds_l0)
    drawn = read_annotations(path, slide.size_l0, slide.bounds_l0, frame=frame)
    width, height = slide.size_l0
    scale = [max(mpp, own) / own for own in slide_mpp]
    shape = (max(round(height / scale[1]), 1), max(round(width / scale[0]), 1))
    whole = TissueMask(np.ones(shape, bool), slide.size_l0, slide_mpp, slide.bounds_l0)
    return whole.within(drawn.everything().difference(drawn.exclusion))


def _read_png(path: Path, size_l0: tuple[int, int]) -> Bools:
    try:
        encoded = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise AnnotationError(
            f"{path}: cannot be read ({error.strerror})", "Give an existing tissue mask."
        ) from error
    image = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE) if encoded.size else None
    if image is None:
        raise AnnotationError(f"{path}: is not a PNG image", "Save the mask as PNG again.")
    values = np.unique(image)
    if len(values) > 2 or (len(values) == 2 and values[0] != 0):
        raise AnnotationError(
            f"{path}: has {len(values)} grey levels and is no mask",
            "Save tissue as one value and glass as 0.",
        )
    rows, cols = image.shape
    # A thumbnail's sides are rounded to whole pixels, so the aspect is known to that precision.
    skew = abs(cols / size_l0[0] - rows / size_l0[1])
    if skew > 1 / size_l0[0] + 1 / size_l0[1]:
        raise AnnotationError(
            f"{path}: is {cols} × {rows} px, another aspect than the slide's "
            f"{size_l0[0]} × {size_l0[1]} px",
            "The mask must show the whole of level 0.",
        )
    return np.asarray(image > 0)
