from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import ModelError
from histocnn.models.device import Engine
from histocnn.models.predicting import Scorer, cannot_slide
from tests.models.small_networks import write_model

ENGINE = Engine("cpu", bf16=False, batch_size=4, threads=1, workers=1)


def test_a_scorer_gives_probabilities_at_the_model_s_temperature(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 28, 28, 3), dtype=np.uint8)
    cold, warm = (
        Scorer(write_model(tmp_path / f"{t}.safetensors", temperature=t), None, False, ENGINE)
        for t in (1.0, 2.0)
    )
    one, two = (scorer.open()(pixels)["scores"] for scorer in (cold, warm))
    assert one.sum(1).tolist() == pytest.approx([1] * 3, abs=1e-6)
    odds = [(s[:, 0] / s[:, 1]).log().tolist() for s in (one, two)]
    assert odds[0] == pytest.approx([2 * value for value in odds[1]], abs=1e-4)


def test_a_model_without_classes_cannot_score(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.safetensors", class_names=())
    with pytest.raises(ModelError, match=r"no classes to score.*embed --model"):
        Scorer(model, None, False, ENGINE).check()


def test_whether_a_model_slides_is_tried_on_its_network(tmp_path: Path) -> None:
    lenet = write_model(tmp_path / "lenet5.safetensors")
    assert cannot_slide(lenet, None, 28) is None
    scaled = write_model(tmp_path / "scaled.safetensors", patch_px=30, input_px=28)
    assert "a stride of 4 px of 28 px is 4.29 px of a patch" in str(cannot_slide(scaled, None, 30))
    said = write_model(tmp_path / "said.safetensors", dense={"temperature": 2.0})
    assert cannot_slide(said, None, 28) is None
