"""What `histocnn inspect` writes: inspect.html, inspect.json, and the pictures in full size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from histocnn.inspection.inspect_page import write_page
from histocnn.inspection.report import InspectReport
from histocnn.metrics.plain import to_text
from histocnn.storage.atomic import replacing, sweep, write_text

PAGE, JSON, FOLDER = "inspect.html", "inspect.json", "pictures"
FILES = (PAGE, JSON, FOLDER)


def write_files(
    out: Path, report: InspectReport, pictures: Mapping[str, NDArray[np.uint8]]
) -> list[Path]:
    """Write all files; pictures that an earlier run names and this one does not make are removed.

    Returns:
        The page, the numbers, and the pictures.

    Raises:
        StoreError: The folder cannot be written.
    """
    folder = out / FOLDER
    before = (out / JSON).read_text(encoding="utf-8") if (out / JSON).is_file() else ""
    for old in folder.glob("*.png") if folder.is_dir() else ():
        if old.name not in pictures and f'"{old.name}"' in before:  # else somebody's own
            old.unlink()
    for name, pixels in pictures.items():
        with replacing(folder / name) as temporary:
            Image.fromarray(pixels).save(temporary, format="png")
    write_page(out / PAGE, report, pictures)
    write_text(out / JSON, to_text(replace(report, pictures=tuple(pictures))))
    for each in (out, folder):
        sweep(each)  # what a killed run left
    return [out / PAGE, out / JSON, *(folder / name for name in pictures)]
