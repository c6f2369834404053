"""What predict and embed are asked for is refused before torch is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from histocnn.errors import ModelError, PatchesError, UsageError
from histocnn.models.asked import DenseOptions, check_network, check_sets, has_own_weights
from histocnn.patches.patches import open_patches
from tests.grid_files import write_grid
from tests.models.patch_files import write_folder
from tests.models.small_networks import write_model


def test_dense_options_are_of_dense_scoring_of_slides(tmp_path: Path) -> None:
    grids = open_patches(write_grid(tmp_path).parent)
    images = open_patches(write_folder(tmp_path / "images", patients=2))
    assert DenseOptions.asked(False, None, False, images) is None
    assert DenseOptions.asked(True, 4, True, grids) == DenseOptions(4, True)
    for option, given in (("--dense_stride_px", (4, False)), ("--exact", (None, True))):
        with pytest.raises(UsageError, match=f"{option} says how to score densely"):
            DenseOptions.asked(False, *given, grids)
    with pytest.raises(PatchesError):
        DenseOptions.asked(True, None, False, images)


def test_prediction_sets_are_of_single_patches() -> None:
    check_sets(0.9, tta=False, dense=False)
    check_sets(None, tta=True, dense=True)
    for other in ("tta", "dense"):
        with pytest.raises(UsageError, match=f"--confidence with --{other}"):
            check_sets(0.9, tta=other == "tta", dense=other == "dense")


def test_one_network_is_named_and_has_weights(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.safetensors")
    check_network(None, None, model)
    check_network("resnet18", "imagenet", None)
    check_network("hf-hub:org/name", None, None)
    assert has_own_weights("hf-hub:org/name")
    assert not has_own_weights("resnet18")
    for backbone, of_model in ((None, None), ("resnet18", model)):
        with pytest.raises(UsageError, match="--backbone NAME or --model FILE"):
            check_network(backbone, None, of_model)
    with pytest.raises(UsageError, match="resnet18 without weights is random"):
        check_network("resnet18", None, None)
    with pytest.raises(ModelError, match="no such model"):
        check_network(None, None, tmp_path / "none")


WRONG = """
import sys
from histocnn.cli import main
grids, model = sys.argv[1:]
for words in (
    f"predict --patches {grids}/none --model {model}",
    f"predict --patches {grids} --model {model}.none",
    f"predict --patches {grids} --model {model} --confidence 0.9 --tta true",
    f"predict --patches {grids} --model {model} --exact true",
    f"embed --patches {grids}/none --backbone resnet18 --weights imagenet",
    f"embed --patches {grids}",
    f"embed --patches {grids} --backbone resnet18",
    f"embed --patches {grids} --model {model}.none",
):
    assert main([*words.split(), "--out", grids + "/../out"]) in (1, 2), words
    assert "torch" not in sys.modules, words
"""


def test_what_is_asked_wrongly_is_said_before_torch_is_loaded(tmp_path: Path) -> None:
    grids, model = write_grid(tmp_path).parent, write_model(tmp_path / "m.safetensors")
    words = [sys.executable, "-c", WRONG, str(grids), str(model)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "out").exists()
