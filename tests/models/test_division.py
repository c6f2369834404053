from __future__ import annotations

import numpy as np
import pytest

from histocnn.errors import CohortError, UsageError
from histocnn.models.division import admitted, decided_by, divided, without_others
from histocnn.models.options import DataOptions
from histocnn.models.rows import gather
from histocnn.patches.patches import open_patches
from tests.models.patch_files import PATTERN, write_folder, write_grids


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("division") / "disc", patients=6, per_patient=2)


def rows_of(folder):
    return gather(open_patches(folder, patient_pattern=PATTERN), None, None)


def named(path, **split_of):
    lines = [f"{group},{split}" for group, split in split_of.items()]
    path.write_text("\n".join(["group,split", *lines]) + "\n")
    return path


def test_a_trial_has_the_patients_of_its_split_file_and_their_images_alone(folder, tmp_path):
    file = named(tmp_path / "fold.csv", p00="train", p01="train", p04="val")
    options = DataOptions(folder, split_file=file, patient_pattern=PATTERN)
    rows, groups, parts = admitted(rows_of(folder), options, 0)
    assert set(groups) == {"p00", "p01", "p04"}
    assert [part for g, part in zip(groups, parts, strict=True) if g == "p04"] == ["val"] * 4
    assert len(rows.sources[0].paths) == 12  # 3 patients, 2 classes, 2 each
    names = [rows.name(i) for i in range(len(rows))]
    assert sorted(name.rpartition("/")[2][:3] for name in names) == sorted(groups)
    assert rows.labels.tolist() == [0] * 6 + [1] * 6


def test_what_a_trial_cannot_do_without_is_said(folder, tmp_path):
    with pytest.raises(UsageError, match="a trial without a split file"):
        admitted(rows_of(folder), DataOptions(folder), 0)
    file = named(tmp_path / "fold.csv", p00="train", p01="train")
    options = DataOptions(folder, split_file=file, patient_pattern=PATTERN)
    with pytest.raises(CohortError, match="the val split is empty"):
        admitted(rows_of(folder), options, 0)


def test_slides_keep_their_files(tmp_path):
    rows = gather(open_patches(write_grids(tmp_path)), None, None)
    kept = without_others(rows.take(np.flatnonzero(rows.source == 1)))
    assert [kept.name(i) for i in range(2)] == [
        rows.name(i) for i in np.flatnonzero(rows.source == 1)[:2]
    ]


def test_unseen_nobody_looks_at_a_picture(folder, monkeypatch):
    rows = rows_of(folder)
    monkeypatch.setattr("histocnn.models.rows.sha256", None)  # equal images would be looked for
    monkeypatch.setattr("histocnn.patches.images.read_image", None)
    options = DataOptions(folder, patient_pattern=PATTERN)
    _, groups, parts = divided(rows, options, 0, unseen=True)
    assert set(parts) == {"train", "val", "test"}
    assert len(groups) == 24
    assert decided_by(rows, options) == "--data.fractions"
    with pytest.raises(UsageError, match="looks at every picture"):
        divided(rows, DataOptions(folder, split_by="stain"), 0, unseen=True)
