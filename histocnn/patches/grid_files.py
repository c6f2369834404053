"""The files of a tiled slide: its grid, the outline of its tissue and, where asked, its patches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.sheet import SlideEntry
from histocnn.patches.patch_files import write_patch_folder
from histocnn.patches.tiling import Tiled
from histocnn.patches.truth import STATES
from histocnn.slides.stream import stream
from histocnn.storage import store
from histocnn.storage.hdf5 import Datasets

Tick: TypeAlias = Callable[[int, int], None]  # patches done, patches in total


def write_grid(
    tiled: Tiled, target: Path, recipe: dict[str, Any], tick: Tick, *, threads: int
) -> dict[str, Any]:
    """Write a tiled slide's files, the grid last, because it says "done".

    Args:
        tiled: The slide with its grid.
        target: The grid's file; the others lie beside it and share its name.
        recipe: What decides whether the file is done.
        tick: Told how many patches are done.
        threads: Readers, where patches are exported.

    Returns:
        The facts of the run: `patches`, `outcome`, `notes`, and `look` where there are doubts.

    Raises:
        StoreError: A file cannot be written.
    """
    grid, labels, notes = tiled.grid, tiled.labels, list(tiled.notes)
    outline = outline_path(target)
    if not is_given(tiled.entry, outline):
        tiled.tissue.to_geojson(outline, tiled.options.frame)
    if tiled.options.export:
        notes += export_patches(tiled, target.with_suffix(""), tick, threads=threads)
    tick(len(grid), len(grid))
    datasets: Datasets = {
        "coords": grid.coords,
        "cell": grid.cell,
        "tissue_fraction": grid.tissue_fraction,
        "coverage": labels.coverage,
        "labels": labels.index,
        "excluded": labels.excluded,
        "state": labels.state,
        **tiled.quality,
    }
    store.write(target, datasets, _attributes(tiled) | {"recipe": recipe})
    if tiled.outcome != "ok":
        notes.append(f"{tiled.outcome}: look at {target.with_suffix('.png').name}")
    facts: dict[str, Any] = {"patches": len(grid), "outcome": tiled.outcome, "notes": notes}
    return facts | ({"look": list(tiled.tissue.doubts)} if tiled.tissue.doubts else {})


def outline_path(target: Path) -> Path:
    """Where the outline of a grid's tissue lies."""
    return target.with_suffix(".tissue.geojson")


def is_given(entry: SlideEntry, outline: Path) -> bool:
    """Whether the user gives this very outline, edited in its place, as the slide's tissue."""
    given = entry.tissue_path
    return given is not None and given.resolve() == outline.resolve()


def _attributes(tiled: Tiled) -> dict[str, Any]:
    """Where the patches come from and what is said of them all; None is left out."""
    slide, entry = tiled.slide, tiled.entry
    return {
        **tiled.grid.attributes(),
        "slide_id": entry.slide_id,
        "patient_id": entry.patient_id,
        "slide_path": str(slide.path.resolve()),
        "fingerprint": slide.fingerprint,
        "bounds_l0": slide.bounds_l0,
        "labels.class_names": tiled.labels.names,
        "coverage.class_names": tiled.labels.names,
        "state.class_names": STATES,
        "truth": tiled.rule.stored(),
        "annotation_areas": tiled.areas,
        "tissue_um2": tiled.tissue.area_um2,
        "stains": tiled.stains.to_dict(),
    }


def export_patches(tiled: Tiled, folder: Path, tick: Tick, *, threads: int) -> list[str]:
    """Write every readable patch as an image below its label's folder, all or nothing.

    Returns:
        A note on the patches that could not be read, if any.

    Raises:
        StoreError: The folder cannot be written; nothing half-written is left.
    """
    grid, labels = tiled.grid, tiled.labels
    # A class may be named with a slash; -1, the unknown, comes last.
    names = [*(name.replace("/", "_") for name in labels.names), "unlabelled"]
    batches = stream(tiled.slide, grid.coords, grid.patch_px, grid.mpp, threads=threads)

    def images() -> Iterator[tuple[str, NDArray[np.uint8] | None]]:
        done = 0
        for batch in batches:
            for row, pixels, readable in zip(*batch, strict=True):
                x, y = grid.coords[row]
                name = f"{names[labels.index[row]]}/{folder.name}_x{x}_y{y}.{tiled.options.export}"
                yield name, pixels if readable else None
            done += len(batch.rows)
            tick(done, len(grid))

    unreadable = write_patch_folder(folder, images())
    return [f"{unreadable} patches could not be decoded and were not exported"] * bool(unreadable)
