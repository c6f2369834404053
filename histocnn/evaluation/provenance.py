"""Where figures come from: the cohort and the model, without what nobody outside should read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from histocnn.cohort.seen import SEEN
from histocnn.cohort.sheet import SlideEntry
from histocnn.evaluation.judged import Judged
from histocnn.evaluation.truth import SlideTruth
from histocnn.metrics.sections import AreaReport, SlideRow
from histocnn.metrics.terms import Terms
from histocnn.scores.scorefile import ScoreFile

LEAST_KEPT = 0.98  # of a class's annotated area, below which a slide is named


def model_of(file: ScoreFile, *, show_ids: bool) -> dict[str, Any]:
    """What the score files say of their making: scale, recipe, training cohort."""
    keys = ("patch_px", "mpp", "stride_px", "recipe", "training", "temperature", "thresholds",
            "encoder")  # fmt: skip
    model = {key: file.attributes[key] for key in keys if file.attributes.get(key) is not None}
    listed = sorted(
        {"reference_files", "reference_slide_ids", "reference_patient_ids"} & file.shapes.keys()
    )
    if listed:
        plural = {name: name.removeprefix("reference_").replace("_ids", "s") for name in listed}
        model["reference"] = {plural[name]: file.shapes[name][0] for name in listed}
    return model if show_ids else private(model)


def licences(judged: Judged) -> tuple[str, ...]:
    """A sentence for each encoder behind the scores whose licence forbids something, or may do."""
    found = dict.fromkeys(Terms.stored_in(file.attributes) for file in judged.files)
    return tuple(f"Licence: {terms.sentence()}" for terms in found if terms.is_bound)


def private(value: Any) -> Any:
    """The same without patient ids and without the folders of absolute paths."""
    if isinstance(value, Mapping):
        return {
            key: private(item)
            for key, item in value.items()
            if "patient" not in str(key).lower() or isinstance(item, int)
        }
    if isinstance(value, list | tuple):
        return [private(item) for item in value]
    if isinstance(value, str) and ("/" in value or "\\" in value) and _is_absolute(value):
        return value.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    return value


def _is_absolute(text: str) -> bool:
    return PurePath(text).is_absolute() or text[1:3] in (":\\", ":/") or text.startswith("\\\\")


def slide_rows(
    judged: Judged, entries: Mapping[str, SlideEntry], *, show_ids: bool
) -> tuple[SlideRow, ...]:
    """One row per slide: what it is, how many patches were judged, and how well."""
    used, right = judged.judged, judged.judged & (judged.called == judged.labels)
    unscored = np.isnan(judged.scores).any(axis=1)
    n, n_judged, n_right, n_unscored = (
        np.bincount(judged.slide + 1, weights, minlength=len(judged.slide_ids) + 1)[1:].astype(int)
        for weights in (None, used, right, unscored)
    )
    first = np.full(len(judged.slide_ids), -1)
    at = np.flatnonzero(judged.slide >= 0)[::-1]
    first[judged.slide[at]] = at
    rows = []
    for i, slide_id in enumerate(judged.slide_ids):
        entry, patch = entries.get(slide_id), int(first[i])
        rows.append(
            SlideRow(
                slide_id=slide_id,
                centre=entry.center if entry else None,
                scanner=entry.scanner if entry else None,
                label=entry.label if entry else None,
                patches=int(n[i]),
                judged=int(n_judged[i]),
                unscored=int(n_unscored[i]),
                accuracy=float(n_right[i] / n_judged[i]) if n_judged[i] else None,
                seen=SEEN[judged.seen[patch]],
                patient_id=judged.patient_ids[judged.patient[patch]] if show_ids else None,
            )
        )
    return tuple(rows)


def areas_lost(truths: Sequence[SlideTruth]) -> dict[str, AreaReport]:
    """Annotated area per class, its parts in tissue and in patches, and slides that lose much.

    The part in tissue is None where it is not known of a slide: its truth was made again, and only
    `tile` knows the tissue.
    """
    total: dict[str, AreaReport] = {}
    for truth in truths:
        for name, own in truth.areas().items():
            so_far = total.get(name, AreaReport(0.0, 0.0, 0.0, ()))
            lost = own["in_patches_um2"] < LEAST_KEPT * own["annotated_um2"]
            total[name] = AreaReport(
                so_far.annotated_um2 + float(own["annotated_um2"]),
                _sum(so_far.in_tissue_um2, own.get("in_tissue_um2")),
                so_far.in_patches_um2 + float(own["in_patches_um2"]),
                (*so_far.below_98, *([truth.file.slide_id] if lost else [])),
            )
    return total


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + float(other)
