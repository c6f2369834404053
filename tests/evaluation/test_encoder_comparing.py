"""Folders opened and matched: who is kept apart, and what each network is called."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import FeaturesError, PatchesError
from histocnn.evaluation.encoder_comparing import compared
from histocnn.evaluation.encoder_report import COLOUR
from histocnn.evaluation.encoder_trial import Protocol
from histocnn.storage import store
from tests.feature_files import write_features
from tests.models.patch_files import write_folder

PROTOCOL = Protocol(k=3, folds=3, shots=2, seeds=2)
PATIENTS = tuple(f"p{i}" for i in range(6))


def test_rows_of_every_network_and_of_colour(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).uniform(0, 255, (60, 6))
    for number, name in enumerate(("one", "two")):
        network = {"backbone": name, "layers": ["f.4", "f.7"], "weights": str(number)}
        write_features(
            tmp_path / name / "set.h5", n=60, patients=PATIENTS, seed=number, width=8 + number,
            network=network, colour=colour,
        )  # fmt: skip
    file = tmp_path / "two" / "set.h5"
    terms = {"encoder": "lab.nets:load", "licence": "", "forbids": None}
    store.write(file, store.read(file), store.attributes(file) | {"encoder": terms})
    report = compared([tmp_path / "one", file], PROTOCOL, replicates=20)
    assert [row.subject.name for row in report.rows] == ["one", "set", COLOUR]
    assert [row.subject.width for row in report.rows] == [8, 9, 6]
    assert report.rows[0].subject.network == "one, f.4+f.7"
    assert report.rows[1].subject.network == "lab.nets:load, f.4+f.7"
    assert report.rows[1].subject.terms.forbids is None
    assert (report.interval.unit, report.interval.groups, report.n) == ("patients", 6, 60)
    assert (report.rows[0].subject.patch_px, report.rows[0].subject.mpp) == (28, 0.5)
    without = compared([tmp_path / "one"], PROTOCOL, replicates=20, colour=False)
    assert [row.subject.name for row in without.rows] == ["one"]
    (tmp_path / "one").rename(tmp_path / COLOUR)
    with pytest.raises(FeaturesError, match="colour alone: a network of this name"):
        compared([tmp_path / COLOUR], PROTOCOL)


def test_pictures_of_nobody_are_kept_apart_by_stain_and_must_be_there(tmp_path: Path) -> None:
    images = write_folder(tmp_path / "images", patients=6, per_patient=5)
    file = write_features(tmp_path / "f" / "images.h5", like=images)
    report = compared([file], PROTOCOL, replicates=20)
    assert report.interval.unit == "stain groups"
    assert 3 < report.interval.groups <= 20
    shutil.rmtree(images)
    with pytest.raises(PatchesError, match="nobody knows whose the patches are"):
        compared([file], PROTOCOL)
