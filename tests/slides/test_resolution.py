"""Resolutions that OpenSlide does not find: named by OME-XML, or by the tags of a flat TIFF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from histocnn.errors import ResolutionError
from histocnn.slides.resolution import flat_tiff_mpp, ome_mpp
from histocnn.slides.slide import Slide

IMAGE = np.full((300, 400, 3), 200, np.uint8)


def pixels(**attributes: str) -> str:
    said = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f'<?xml version="1.0"?><OME xmlns="http://ome"><Image><Pixels {said}/></Image></OME>'


def test_an_ome_tiff_names_its_physical_size(tmp_path: Path) -> None:
    said = {"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm"}
    said |= {"PhysicalSizeY": 500, "PhysicalSizeYUnit": "nm"}
    path = tmp_path / "a.ome.tiff"
    tifffile.imwrite(
        path, IMAGE, ome=True, tile=(128, 128), compression="jpeg", photometric="rgb", metadata=said
    )
    slide = Slide(path)
    assert slide.vendor == "generic-tiff"
    assert slide.require_mpp() == (0.25, 0.5)
    assert Slide(path, mpp=1.0).require_mpp() == (1.0, 1.0)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"resolution": (20_000, 40_000), "resolutionunit": "CENTIMETER"}, (0.5, 0.25)),
        ({"resolution": (50_800, 50_800), "resolutionunit": "INCH"}, (0.5, 0.5)),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),  # a screen's
        ({"resolution": (118, 118), "resolutionunit": "CENTIMETER"}, None),  # 300 dpi
        ({"resolution": (20_000, 20_000), "resolutionunit": "NONE"}, None),
        ({"resolution": (0, 0), "resolutionunit": "INCH"}, None),
        ({}, None),
    ],
)
def test_a_striped_tiff_names_it_in_its_tags(
    tmp_path: Path, said: dict[str, Any], expected: tuple[float, float] | None
) -> None:
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, IMAGE, photometric="rgb", rowsperstrip=64, metadata=None, **said)
    slide = Slide(path)
    assert slide.vendor == "image"
    assert slide.mpp == (None if expected is None else pytest.approx(expected))


def test_one_that_no_scanner_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    resolution = {"resolution": (10**7, 10**7), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, IMAGE, photometric="rgb", metadata=None, **resolution)
    with pytest.raises(ResolutionError, match="which no scanner has"):
        Slide(path).require_mpp()


def test_what_is_no_tiff_names_none(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), IMAGE)
    assert flat_tiff_mpp(tmp_path / "a.png") is None
    assert flat_tiff_mpp(tmp_path / "gone.tiff") is None


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        (pixels(PhysicalSizeX="0.25", PhysicalSizeY="0.5"), (0.25, 0.5)),
        (pixels(PhysicalSizeX="0.25"), (0.25, 0.25)),
        (pixels(PhysicalSizeX="1e-3", PhysicalSizeXUnit="mm"), (1.0, 1.0)),
        (pixels(PhysicalSizeX="2", PhysicalSizeXUnit="pixel"), None),
        (pixels(PhysicalSizeX="-1"), None),
        (pixels(PhysicalSizeX="nan"), None),
        (pixels(), None),
        ("<OME><Image/></OME>", None),
        ("<OME", None),
        ('<!DOCTYPE a [<!ENTITY b "c">]><OME>&b;</OME>', None),
        ("Aperio |MPP = 0.5", None),
        ("", None),
    ],
)
def test_ome_xml(description: str, expected: tuple[float, float] | None) -> None:
    assert ome_mpp(description) == (None if expected is None else pytest.approx(expected))
