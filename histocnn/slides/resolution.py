"""The resolution that a TIFF names where OpenSlide looks for none: in OME-XML, or in its own tags.

>>> ome_mpp('<OME><Image><Pixels PhysicalSizeX="250" PhysicalSizeXUnit="nm" PhysicalSizeY="0.25"/>'
...         '</Image></OME>')
(0.25, 0.25)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError  # the type only; parsing is defusedxml's

import tifffile
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from histocnn.slides.geometry import Resolution

UM_PER: Mapping[str, float] = {
    **dict.fromkeys(("µm", "\u03bcm", "um"), 1.0),  # the micro sign, the Greek letter
    **{"nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6},
}
UM_PER_TIFF_UNIT = {2: 25_400.0, 3: 10_000.0}  # inch, centimetre
PRINTERS_DPI = 300  # 72 to 300 is what software writes when it does not know


def ome_mpp(description: str) -> Resolution | None:
    """µm/px along x and y by OME-XML's first image; None where it does not say.

    Source: OME-XML 2016-06, Pixels/@PhysicalSizeX, whose unit is µm unless it is named.
    """
    if "<OME" not in description[:2000]:
        return None
    try:
        root = fromstring(description)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return None
    pixels = next((each for each in root.iter() if each.tag.rpartition("}")[2] == "Pixels"), None)
    if pixels is None:
        return None
    sides = [_um(pixels.attrib, f"PhysicalSize{axis}") for axis in "XY"]
    x, y = sides[0], sides[1] or sides[0]
    return None if x is None or y is None else (x, y)


def _um(attributes: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(attributes[name]) * UM_PER[attributes.get(f"{name}Unit", "µm")]
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) and value > 0 else None


def flat_tiff_mpp(path: Path) -> Resolution | None:
    """µm/px along x and y of a TIFF that is no pyramid: by OME-XML, else by its resolution tags.

    None where it has neither, where the tags are a printer's, and for what is no TIFF.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            page: Any = tiff.pages[0]
            described = ome_mpp(page.description)
            unit = int(page.tags.valueof("ResolutionUnit", 1))
            tags = [page.tags.valueof(f"{axis}Resolution", (0, 1)) for axis in "XY"]
        per_unit = [numerator / denominator for numerator, denominator in tags]
    except Exception:  # tifffile's errors are of many kinds, and not every image is a TIFF
        return None
    if described or unit not in UM_PER_TIFF_UNIT:
        return described
    um = UM_PER_TIFF_UNIT[unit]
    if min(per_unit) * 25_400 / um <= PRINTERS_DPI:
        return None
    return um / per_unit[0], um / per_unit[1]
