from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import UsageError
from histocnn.exports.frames import read_scores
from histocnn.exports.parquet import write_parquet
from histocnn.patches.patches import FilePatches
from tests.exports.test_frames import scores_over
from tests.grid_files import write_grid

pq = pytest.importorskip("pyarrow.parquet", reason="pip install 'histocnn[parquet]'")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Nobody knows the patient."""
    return scores_over(write_grid(tmp_path, "s1"), tmp_path / "scores" / "s1.h5", ("a", "b"))


def test_it_reads_back_as_the_rows_of_the_score_file(file: Path, tmp_path: Path) -> None:
    count = write_parquet(FilePatches(file), tmp_path / "s1.parquet")
    frame = pq.read_table(tmp_path / "s1.parquet").to_pandas()
    expected = read_scores(file)
    assert len(frame) == count == len(expected)
    assert list(frame.columns) == list(expected.columns)
    assert frame.drop(columns=["label", "patient_id"]).equals(
        expected.drop(columns=["label", "patient_id"])
    )
    assert frame.label.tolist() == expected.label.tolist()
    assert np.isnan(frame.prob_a[1])


def test_types_are_the_same_for_every_slide_and_the_scale_is_metadata(
    file: Path, tmp_path: Path
) -> None:
    write_parquet(FilePatches(file), tmp_path / "s1.parquet")
    schema = pq.read_schema(tmp_path / "s1.parquet")
    assert {name: str(schema.field(name).type) for name in schema.names} == {
        "file": "string",
        "slide_id": "string",
        "patient_id": "string",  # unknown throughout, and yet a text
        "label": "string",
        "x_l0": "int64",
        "y_l0": "int64",
        "width_l0": "double",
        "height_l0": "double",
        "prob_a": "float",
        "prob_b": "float",
        "seen": "string",
    }
    facts = json.loads(schema.metadata[b"histocnn"])
    assert (facts["patch_px"], facts["mpp"], facts["size_l0"]) == (28, 1.0, [600, 400])


def test_one_class_only_and_none_that_is_not_there(file: Path, tmp_path: Path) -> None:
    write_parquet(FilePatches(file), tmp_path / "s1.parquet", class_name="b")
    names = pq.read_schema(tmp_path / "s1.parquet").names
    assert "prob_b" in names
    assert "prob_a" not in names
    with pytest.raises(UsageError, match="one of: a, b"):
        write_parquet(FilePatches(file), tmp_path / "s1.parquet", class_name="c")
