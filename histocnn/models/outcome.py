"""What a training run leaves behind: predictions of a split, scores.h5, figures, the model file."""

from __future__ import annotations

import itertools
import logging
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import Trainer
from scipy.special import softmax

from histocnn.cohort.seen import SAME_PATIENT, SEEN, UNKNOWN_SEEN, UNRECORDED, stored_ids
from histocnn.cohort.whose import PESSIMISTIC, STAIN_GROUPS, owners
from histocnn.errors import TrainingError
from histocnn.metrics.calibration import Prior, fit_temperature, operating_points, shrunk, usable
from histocnn.metrics.patch import Groups, patch_report
from histocnn.metrics.plain import plain, read_as
from histocnn.metrics.report import Report
from histocnn.metrics.sections import PatchReport
from histocnn.metrics.transfer import TransferReport, transfer
from histocnn.metrics.transfer_words import words
from histocnn.metrics.validation import Facts, facts
from histocnn.models.classifier import Classifier
from histocnn.models.data import PatchDataModule
from histocnn.models.rows import CALIBRATION, Part, Rows
from histocnn.models.spec import ModelSpec, cohorts_behind
from histocnn.patches.images import ImageFiles
from histocnn.reference.colour import MOST_STORED, ColourReference, drawn
from histocnn.reference.colour_figures import Coloured, by_others, by_training
from histocnn.scores import scoring
from histocnn.slides.stain import Normaliser

log = logging.getLogger(__name__)
Floats = NDArray[np.float32]
HELD_OUT = ("val", CALIBRATION)
UNGROUPED = "file-level split, patients unknown, optimistic"
BY_STAIN = f"{STAIN_GROUPS}, patients unknown, pessimistic"


@dataclass(frozen=True, eq=False)
class Predictions:
    """A split's logits and colours, in the order of its rows; NaN where a patch is unreadable."""

    logits: Floats  # [N, C]
    colour: Floats  # [N, 6]


def predict(trainer: Trainer, model: Classifier, data: PatchDataModule, part: Part) -> Predictions:
    """Predict a split once, by all processes together; every one of them gets the whole."""
    batches: list[Any] = trainer.predict(model, dataloaders=data.loader(part)) or []
    rows, logits, colours = (
        gathered([batch[key] for batch in batches]) for key in ("rows", "logits", "colour")
    )
    n = len(data.rows[part])
    result = Predictions(
        np.full((n, len(data.class_names)), np.nan, np.float32), np.full((n, 6), np.nan, np.float32)
    )
    result.logits[rows], result.colour[rows] = logits, colours
    return result


def gathered(tensors: Sequence[torch.Tensor]) -> NDArray[Any]:
    """The tensors of all processes behind each other: processes may have unequally many."""
    parts: list[Any] = [list(tensors)]
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        parts = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(parts, list(tensors))
    flat = list(itertools.chain.from_iterable(parts))
    return torch.cat(flat).numpy() if flat else np.empty(0)


def training_colours(data: PatchDataModule) -> ColourReference:
    """Colours of at most 2,000 training patches, as many of every patient as there are.

    Raises:
        TrainingError: None of them can be read.
    """
    groups = units(data.rows["train"])
    rows = drawn(groups.of_patch, MOST_STORED, data.seed)
    batches = list(data.loader("train", drawn=rows))
    order, colours, labels = (
        gathered([batch[key] for batch in batches]) for key in ("rows", "colour", "labels")
    )
    order, first = np.unique(order, return_index=True)  # processes may share a row, and come mixed
    colours, labels = colours[first].astype(np.float16), labels[first].astype(np.int64)
    read = np.isfinite(colours).all(axis=1)
    if not read.any():
        raise TrainingError("no training patch can be read", "Repair the data.")
    of = groups.of_patch[rows[order[read]]]
    known = (of >= 0).all() and STAIN_GROUPS not in groups.unit
    patients = len(np.unique(of)) if known else 0
    return ColourReference(colours[read], labels[read], patients)


def finished_spec(
    model: Classifier,
    data: PatchDataModule,
    val: Predictions,
    colour: ColourReference | None = None,
    *,
    anonymise: bool,
    weights: str | Path | None = None,
) -> ModelSpec:
    """The model's spec with what validation and the cohort add to it.

    Args:
        model: The network.
        data: The cohort.
        val: What it gives on validation.
        colour: Of the training patches.
        anonymise: Store ids as salted hashes.
        weights: What its training began with.
    """
    rows = data.rows["val"]
    salt = secrets.token_hex(8) if anonymise else None
    behind = cohorts_behind(weights)
    behind = (UNRECORDED,) if behind is None else behind

    return replace(
        model.spec,
        patch_px=data.patch_px,
        mpp=data.mpp,
        **fitted(val.logits, rows.labels, units(rows), data.learnt_prior()),
        colour=colour.to_dict() if colour else None,
        seen={
            "train": _whom([data.rows["train"]], salt),
            # Who calibrates is no new patient either.
            "val": _whom([rows for part, rows in data.rows.items() if part in HELD_OUT], salt),
        },
        salt=salt,
        earlier=tuple({"parts": cohort.parts, "salt": cohort.salt} for cohort in behind),
        training={
            "patches": {part: len(rows) for part, rows in data.rows.items()},
            "prior": data.prior("train"),
            "val_prior": data.prior("val"),
            "balance": data.options.balance,
            "seed": data.seed,
        },
    )  # fmt: skip


def _whom(parts: Sequence[Rows], salt: str | None) -> dict[str, list[str]]:
    """The ids of some splits, as a cohort holds them."""
    return {
        "patients": stored_ids([one for rows in parts for one in rows.patient_ids], salt),
        "slides": stored_ids([one for rows in parts for one in rows.slide_ids], salt),
        "fingerprints": stored_ids([one for rows in parts for one in fingerprints(rows)], salt),
    }


def fitted(
    logits: Floats, labels: NDArray[np.int64], groups: Groups, shares: Mapping[str, float]
) -> dict[str, Any]:
    """What is fitted on validation, of patches or of windows alike.

    Args:
        logits: [N, C]; rows of NaN take no part.
        labels: [N].
        groups: Whose the rows are.
        shares: Of the C classes, as training weighs them.

    Returns:
        `temperature`, `thresholds` and `validation`, as `ModelSpec` has them.

    Raises:
        MetricError: No row is both labelled and scored.
    """
    temperature, prior, names = fit_temperature(logits, labels), None, list(shares)
    if groups.known(labels):
        patients = len(np.unique(groups.of_patch[usable(logits, labels)]))
        temperature, prior = shrunk(temperature, patients), Prior(tuple(shares.values()), patients)
    scores = softmax(logits / temperature, axis=1)
    points = operating_points(scores, labels, names, prior)
    validation = plain(facts(scores, labels, groups, names, points, prior))
    return {"temperature": temperature, "thresholds": points, "validation": validation}


def units(rows: Rows) -> Groups:
    """What intervals resample of these rows: see `owners`."""
    owned = owners(rows.slide_ids, rows.patient_ids, rows.stain_groups)
    return Groups(owned.of_row, owned.unit)


def fingerprints(rows: Rows) -> list[str]:
    """The fingerprints of the slides that these rows come from."""
    return [rows.sources[i].slide_fingerprint for i in np.unique(rows.source)]


def write_scores(out: Path, data: PatchDataModule, test: Predictions, spec: ModelSpec) -> Floats:
    """Write the test split's scores: `scores.h5`, or of many sources `scores/<name>.h5`.

    Returns:
        float32 [N, C], in the order of the split.
    """
    scores = softmax(test.logits / spec.temperature, axis=1)
    rows = data.rows["test"]
    recipe = {"stage": "train", "split": "test", "model": spec.training}
    for number_, source in enumerate(rows.sources):
        mine = np.flatnonzero(rows.source == number_)
        if not len(mine):
            continue
        carried, attributes = source.carried()
        datasets = {name: _take(values, rows.row[mine]) for name, values in carried.items()}
        if "paths" in datasets:  # of these images alone, by which they are known again
            images = ImageFiles(Path(attributes["slide_path"]), datasets["paths"])
            attributes["fingerprint"] = images.fingerprint()
        own = rows.take(mine)
        if own.stain_groups:
            datasets["stain_groups"] = list(own.stain_groups)
        arrays = {"labels": own.labels, "scores": scores[mine], "colour": test.colour[mine]}
        single = len(rows.sources) == 1
        scoring.write_scores(
            out / ("scores.h5" if single else f"scores/{source.name}.h5"),
            (datasets, attributes | {"labels.class_names": list(rows.class_names)}),
            arrays,
            spec.scoring(recipe, own.slide_ids, own.patient_ids, source.slide_fingerprint),
        )
    return np.asarray(scores, np.float32)


def _take(values: Any, rows: NDArray[np.int64]) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]


def report(
    data: PatchDataModule,
    scores: Floats,
    colours: Floats,
    spec: ModelSpec,
) -> Report:
    """Figures of the test split with intervals, beside what colour alone reaches.

    Intervals resample what `evaluate` resamples for the same rows: patients, slides where these are
    unknown; there are none where neither is known, however the split was made.

    Args:
        data: For labels and names.
        scores: float32 [N, C] of the network.
        colours: float32 [N, 6] of the patches.
        spec: Of the network, with its operating points, whom it has seen and its training colours.
    """
    rows, names = data.rows["test"], data.class_names
    groups = units(rows)
    seen = Counter(spec.scoring({}, rows.slide_ids, rows.patient_ids).seen)
    was_seen = bool(seen["train"] + seen["val"])
    network = patch_report(scores, rows.labels, names, groups, points=spec.thresholds)
    reference = ColourReference.from_dict(spec.colour, len(names)) if spec.colour else None
    coloured = Coloured(scores, colours, rows.labels, names, groups)
    return Report(
        title=_title(data, nobody=bool((groups.of_patch < 0).all()), was_seen=was_seen),
        class_names=tuple(names),
        patch=network,
        split="test",
        transfer=_transfer(
            spec, facts(scores, rows.labels, groups, names, spec.thresholds), network
        ),
        colour_training=by_training(coloured, reference),
        colour_within=by_others(coloured),
        unreadable=tuple(data.problems),
        model={"encoder": spec.terms.to_dict()},
        seen={verdict: seen[verdict] for verdict in SEEN},
        stamp=SAME_PATIENT if was_seen else "",
        warnings=(f"{SAME_PATIENT.capitalize()}: optimistic.",) if was_seen else (),
        notes=(UNKNOWN_SEEN,) * bool(seen["unknown"])
        + (PESSIMISTIC,) * (STAIN_GROUPS in groups.unit)
        + tuple(Normaliser(unchanged=len(data.unstained)).notes(sum(map(len, data.rows.values())))),
    )


def _transfer(spec: ModelSpec, test: Facts, network: PatchReport) -> TransferReport | str:
    """Validation beside the test split."""
    if not spec.validation:
        return "the model holds nothing of validation"
    validation: Facts = read_as(Facts, dict(spec.validation))
    if not validation.patches:
        return "no patch of validation is both labelled and scored"
    found = transfer(
        validation, test, source="this training's", target=None,
        accuracy=network.figures["accuracy"].value,
    )  # fmt: skip
    return replace(found, words=words(found))


def _title(data: PatchDataModule, *, nobody: bool, was_seen: bool) -> str:
    """What must be said of all figures."""
    if nobody:
        return UNGROUPED
    if data.all_rows.stain_groups:
        return BY_STAIN
    by_file = data.options.split_by == "file" and not all(data.all_rows.splits)
    said = ["file-level split"] * by_file + [SAME_PATIENT] * was_seen
    return ", ".join([*said, *["optimistic"] * bool(said)])
