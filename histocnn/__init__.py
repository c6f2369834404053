"""Classify patches of whole-slide histopathology images.

The stages are functions with the names and arguments of their commands; the types they share are
here, too. Everything is imported when it is first used, so that `import histocnn` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from histocnn.cohort.sheet import SlideEntry, read_cohort
    from histocnn.demonstration import demo
    from histocnn.errors import HistocnnError
    from histocnn.exports.frames import read_features, read_grid, read_scores
    from histocnn.models.recipes import Recipe
    from histocnn.patches.grid import PatchGrid, build_grid
    from histocnn.patches.patches import Patches, open_patches
    from histocnn.pipeline import run
    from histocnn.regions.annotations import Annotations, read_annotations
    from histocnn.regions.tissue import TissueMask, TissueSettings, detect_tissue
    from histocnn.slides.slide import Slide
    from histocnn.slides.stream import stream
    from histocnn.stages.adapt import adapt
    from histocnn.stages.compare import compare
    from histocnn.stages.doctor import doctor
    from histocnn.stages.embed import embed
    from histocnn.stages.encoders import encoders
    from histocnn.stages.evaluate import evaluate
    from histocnn.stages.export import export
    from histocnn.stages.export_model import export_model
    from histocnn.stages.fool import fool
    from histocnn.stages.heatmap import heatmap
    from histocnn.stages.inspect import inspect
    from histocnn.stages.knn import knn
    from histocnn.stages.mine import mine
    from histocnn.stages.predict import predict
    from histocnn.stages.probe import probe
    from histocnn.stages.search import search
    from histocnn.stages.similar import similar
    from histocnn.stages.tile import tile
    from histocnn.stages.train import train
    from histocnn.stages.view import view

__version__ = "0.1.0"

_HOMES = {
    "histocnn.cohort.sheet": ["SlideEntry", "read_cohort"],
    "histocnn.demonstration": ["demo"],
    "histocnn.errors": ["HistocnnError"],
    "histocnn.exports.frames": ["read_features", "read_grid", "read_scores"],
    "histocnn.models.recipes": ["Recipe"],
    "histocnn.patches.patches": ["Patches", "open_patches"],
    "histocnn.pipeline": ["run"],
    "histocnn.regions.annotations": ["Annotations", "read_annotations"],
    "histocnn.patches.grid": ["PatchGrid", "build_grid"],
    "histocnn.slides.slide": ["Slide"],
    "histocnn.slides.stream": ["stream"],
    "histocnn.regions.tissue": ["TissueMask", "TissueSettings", "detect_tissue"],
    "histocnn.stages.adapt": ["adapt"],
    "histocnn.stages.compare": ["compare"],
    "histocnn.stages.doctor": ["doctor"],
    "histocnn.stages.embed": ["embed"],
    "histocnn.stages.encoders": ["encoders"],
    "histocnn.stages.evaluate": ["evaluate"],
    "histocnn.stages.export": ["export"],
    "histocnn.stages.export_model": ["export_model"],
    "histocnn.stages.fool": ["fool"],
    "histocnn.stages.heatmap": ["heatmap"],
    "histocnn.stages.inspect": ["inspect"],
    "histocnn.stages.knn": ["knn"],
    "histocnn.stages.mine": ["mine"],
    "histocnn.stages.predict": ["predict"],
    "histocnn.stages.probe": ["probe"],
    "histocnn.stages.search": ["search"],
    "histocnn.stages.similar": ["similar"],
    "histocnn.stages.tile": ["tile"],
    "histocnn.stages.train": ["train"],
    "histocnn.stages.view": ["view"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Annotations",
    "HistocnnError",
    "PatchGrid",
    "Patches",
    "Recipe",
    "Slide",
    "SlideEntry",
    "TissueMask",
    "TissueSettings",
    "adapt",
    "build_grid",
    "compare",
    "demo",
    "detect_tissue",
    "doctor",
    "embed",
    "encoders",
    "evaluate",
    "export",
    "export_model",
    "fool",
    "heatmap",
    "inspect",
    "knn",
    "mine",
    "open_patches",
    "predict",
    "probe",
    "read_annotations",
    "read_cohort",
    "read_features",
    "read_grid",
    "read_scores",
    "run",
    "search",
    "similar",
    "stream",
    "tile",
    "train",
    "view",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'histocnn' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
