from __future__ import annotations

from pathlib import Path

import pytest

from histocnn.errors import UsageError
from histocnn.models.embedding import Source
from tests.models.small_networks import write_model, write_weights


def test_equal_weights_are_the_same_features_wherever_they_lie(tmp_path: Path) -> None:
    first, second, other = (
        Source("lenet5", str(write_weights(tmp_path / f"{i}.safetensors", seed=i // 2)), None,
               (), 28, None)
        for i in range(3)
    )  # fmt: skip
    assert first.describe() == second.describe()
    assert first.describe()["weights"] != other.describe()["weights"]
    assert first.describe()["input_px"] == 28


@pytest.mark.parametrize(
    ("backbone", "weights", "message"),
    [(None, None, "needs --backbone NAME or --model FILE"), ("lenet5", None, "random")],
)
def test_half_a_network_is_refused(backbone: str | None, weights: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Source(backbone, weights, None, (), None, None).open()


def test_backbone_and_model_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Give one of the two"):
        Source("resnet18", None, write_model(tmp_path / "m"), (), None, None).open()
