"""fool.json can be read again, and options out of range are refused."""

from __future__ import annotations

import pytest

from histocnn.errors import UsageError
from histocnn.inspection.fool_report import FoolReport, Options, Trial
from histocnn.metrics.plain import parsed, plain, to_text
from histocnn.metrics.sections import Figure, Interval


def trial(kind: str, name: str, auroc: float | None, **more: object) -> Trial:
    """One with a figure for every column; of tissue itself without AUROC."""
    figures = {"confidence": Figure(0.9, 0.8, 0.95), "sure": Figure(0.5, None, None)}
    if kind in ("tissue", "attack", "change"):
        figures["accuracy"] = Figure(0.75 if kind == "tissue" else 0.1, None, None)
    for detector in ("novelty", "distance", "max_softmax", "energy", "mahalanobis"):
        if auroc is not None:
            figures[f"auroc_{detector}"] = Figure(auroc, None, None)
    interval = Interval("patients", 3, 0, 0, "no interval: 3 patients, fewer than 5")
    counts = {"normal": 3, "<b>tumour</b>": 1}
    return Trial(kind, name, 4, figures, interval, counts, 99.0, **more)  # type: ignore[arg-type]


def report(**more: object) -> FoolReport:
    """Tissue, attacks of two bounds, noise, and an ascent."""
    known = {
        "model": "model.safetensors", "backbone": "lenet5",
        "class_names": ("normal", "<b>tumour</b>"), "truth": "labels", "judged": 4, "reference": 9,
        "reference_is": "2 of 5 patients", "apart": True, "temperature": 1.5, "neighbours": 8,
        "trials": (
            trial("tissue", "tissue as it is", None),
            trial("attack", "PGD, ε = 1", 0.5, epsilon=1),
            trial("attack", "PGD, ε = 8", 0.31, epsilon=8),
            trial("noise", "uniform noise", 0.951),
            trial("ascent", "ascent to tumour", 0.949),
        ),
        "notes": ("4 patches are judged.",), "settings": Options(),
    }  # fmt: skip
    return FoolReport(**{**known, **more})  # type: ignore[arg-type]


def test_every_number_is_in_the_json():
    stored = parsed(to_text(report()))
    assert stored == plain(report())
    assert stored["schema_version"] == 1
    assert stored["trials"][2]["figures"]["auroc_distance"]["value"] == 0.31
    assert stored["trials"][0]["figures"]["accuracy"] == {"value": 0.75, "low": None, "high": None}
    assert stored["settings"]["epsilons"] == [1, 2, 4, 8]
    assert "epsilon" not in stored["trials"][3]


def test_options_out_of_range_are_refused():
    with pytest.raises(UsageError, match="--most 0"):
        Options(most=0)
    with pytest.raises(UsageError, match="--seed -1"):
        Options(seed=-1)
    with pytest.raises(UsageError, match="--epsilons 0"):
        Options(epsilons=(4, 0))
    with pytest.raises(UsageError, match="--epsilons names no bound"):
        Options(epsilons=())
