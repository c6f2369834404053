from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from histocnn.metrics.patch import Groups
from histocnn.metrics.sections import ColourReport
from histocnn.reference.colour import ColourReference, colour_baseline
from histocnn.reference.colour_figures import (
    NO_COLOURS,
    NOT_STORED,
    ONE_PATIENT,
    UNKNOWN_PATIENTS,
    Coloured,
    by_others,
    by_training,
)

NAMES = ("normal", "tumour")


@pytest.fixture
def patches() -> Coloured:
    """Six patients of 40 patches: each has its own stain, tumour is a little darker in each."""
    rng = np.random.default_rng(2)
    patient = np.repeat(np.arange(6), 40)
    labels = np.arange(240) % 2
    colours = rng.normal(150, 5, (240, 6)) + 3 * patient[:, None] - 8 * labels[:, None]
    p = np.clip(labels * 0.5 + rng.random(240) * 0.5, 0, 1)
    groups = Groups(patient, replicates=50)
    scores = np.stack([1 - p, p], 1).astype(np.float32)
    return Coloured(scores, colours.astype(np.float32), labels, NAMES, groups)


def test_within_leaves_every_patient_out(patches) -> None:
    found = by_others(patches)
    assert isinstance(found, ColourReport)
    expected = np.zeros((240, 2))
    for patient in range(6):
        own = patches.groups.of_patch == patient
        expected[own] = colour_baseline(
            patches.colours[~own], patches.labels[~own], patches.colours[own], 2
        )
    auroc = roc_auc_score(patches.labels, expected[:, 1])
    assert found.figures["macro_auroc"].value == pytest.approx(auroc)
    gap = found.differences["macro_auroc"]
    assert gap.difference == pytest.approx(found.scores["macro_auroc"].value - auroc)
    assert gap.low <= gap.difference <= gap.high


def test_by_training_is_the_stored_reference(patches) -> None:
    reference = ColourReference(
        patches.colours[:80].astype(np.float16), patches.labels[:80], patients=2
    )
    found = by_training(patches, reference)
    assert isinstance(found, ColourReport)
    expected = reference.scores(patches.colours, 2)[:, 1]
    assert found.figures["macro_auroc"].value == pytest.approx(
        roc_auc_score(patches.labels, expected)
    )
    assert found.folds == "80 patches of training (2 patients)"
    assert "(" not in by_training(patches, replace(reference, patients=0)).folds


def test_why_there_is_none_is_said(patches) -> None:
    grey = replace(patches, colours=np.full_like(patches.colours, np.nan))
    assert by_training(patches, None) == NOT_STORED
    assert by_others(grey) == NO_COLOURS
    one, nobody = (replace(patches, groups=Groups(np.full(240, code))) for code in (0, -1))
    assert (by_others(one), by_others(nobody)) == (ONE_PATIENT, UNKNOWN_PATIENTS)
    slides = replace(patches, groups=replace(patches.groups, unit="slides"))
    assert by_others(slides) == UNKNOWN_PATIENTS  # a patient may have several
