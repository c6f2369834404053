from __future__ import annotations

import pytest
import torch

from histocnn.errors import UsageError
from histocnn.models.device import Engine, choose_bf16, choose_device

CPU = torch.device("cpu")


def test_device_and_precision() -> None:
    assert choose_device("cpu") == CPU
    assert choose_bf16("bf16", CPU)
    assert not choose_bf16("fp32", CPU)
    with pytest.raises(UsageError, match="--device nonsense"):
        choose_device("nonsense")
    if not torch.cuda.is_available():
        assert choose_device("auto") == CPU
        with pytest.raises(UsageError, match="no GPU is visible"):
            choose_device("cuda")


def test_an_engine_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    engine = Engine.choose("cpu", "fp32", batch_size=3, threads=2, workers=1)
    assert "cpu, float32" in capsys.readouterr().err
    assert (engine.place(), engine.precision) == (CPU, "fp32")
    assert vars(engine.loading(None)) == {"batch_size": 3, "threads": 2, "normalise": None}
