"""Images that two splits share are named and refused, unless allowed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from histocnn.errors import CohortError
from histocnn.models.data import PatchDataModule
from histocnn.models.options import DataOptions
from histocnn.models.shared import Shared, find_shared
from histocnn.stages.train import show_copies
from tests.models.patch_files import write_folder


def planted(tmp_path: Path, *, same_patient: bool) -> Shared:
    """A folder where one patch lies mirrored, as JPEG, with another patient, or its own."""
    folder = write_folder(tmp_path / "images", patients=10, per_patient=2, side_px=48)
    for file in folder.glob("*/*.png"):  # a hash is of large structures: give each its own
        rng = np.random.default_rng([ord(file.parent.name), *file.stem.encode()])
        blobs = cv2.resize(rng.integers(0, 255, (6, 6, 3), np.uint8), (48, 48))
        cv2.imwrite(str(file), cv2.addWeighted(cv2.imread(str(file)), 0.5, blobs, 0.5, 0))
    data = PatchDataModule(DataOptions(folder, patient_pattern="(p[0-9]+)_", workers=0))
    rows = data.rows["train"]
    source = folder / rows.name(0)
    patient = (rows if same_patient else data.rows["test"]).patient_ids[0]
    mirrored = cv2.flip(cv2.imread(str(source)), 1)
    cv2.imwrite(str(source.with_name(f"{patient}_9.jpg")), mirrored, [cv2.IMWRITE_JPEG_QUALITY, 85])
    options = DataOptions(folder, patient_pattern="(p[0-9]+)_", workers=0)
    data = PatchDataModule(options)
    return find_shared(data.all_rows, np.array([split_of(data, i) for i in data.groups]))


def split_of(data: PatchDataModule, group: str) -> str:
    return str(data.parts[data.groups.index(group)])


def test_a_mirrored_copy_with_another_patient_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shared = planted(tmp_path, same_patient=False)
    [copy] = shared.copies
    assert copy.orientation == "mirrored"
    assert len({str(shared.parts[i]) for i in (copy.first, copy.second)}) == 2
    with pytest.raises(CohortError, match=r"show the same: .* mirrored\. copies\.csv"):
        shared.admit(allowed=False)
    shared.admit(allowed=True)
    assert "figures will be optimistic" in caplog.text
    show_copies(tmp_path / "out", shared)
    assert (tmp_path / "out" / "copies.csv").read_text().count("\n") == 2
    assert (tmp_path / "out" / "copies.png").is_file()


def test_within_a_patient_it_is_none(tmp_path: Path) -> None:
    shared = planted(tmp_path, same_patient=True)
    assert shared.copies == []
    shared.admit(allowed=False)
