"""A checkpoint that cannot be written whole leaves the last one as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from histocnn.errors import StoreError
from histocnn.models.saving import WholeCheckpoints
from tests.killed import no_file_larger_than


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    WholeCheckpoints().save_checkpoint({"epoch": 3, "w": torch.ones(2)}, tmp_path / "a" / "x.ckpt")
    loaded = torch.load(tmp_path / "a" / "x.ckpt", weights_only=True)
    assert loaded["epoch"] == 3
    assert loaded["w"].tolist() == [1, 1]


def test_what_does_not_fit_leaves_the_last_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"epoch": 3}, path)
    before = path.read_bytes()
    with no_file_larger_than(4096), pytest.raises(StoreError, match=r"last\.ckpt"):
        WholeCheckpoints().save_checkpoint({"w": torch.zeros(4096)}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
