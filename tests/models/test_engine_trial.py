from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from histocnn.errors import PatchesError, UsageError
from histocnn.models import device, engine_trial, translating
from histocnn.models.backbones import build
from histocnn.models.device import Engine
from histocnn.models.engine_memory import Speeds, memory_file
from histocnn.models.engine_trial import amount, settle, tried
from histocnn.models.spec import ModelSpec

ENGINE = Engine("cpu", bf16=False, batch_size=8, threads=1, workers=1, name="auto")
NETWORK = torch.nn.Linear(1, 1)


class Some:
    def __init__(self, count: int, px: int = 28) -> None:
        self.count, self.patch_px = count, px

    def __len__(self) -> int:
        if self.count < 0:
            raise PatchesError("damaged", "")
        return self.count

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Rates as of a slow processor, and which engines were tried."""
    asked: list[list[str]] = []
    rates = {"torch": 26.5, "onnx": 51.9, "compile": 60.0}

    def known(engine: Any, network: Any, px: int, names: Sequence[str], *count: int) -> Any:
        asked.append(list(names))
        return {name: rates[name] for name in names}

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(engine_trial, "_rates", known)
    monkeypatch.setattr(engine_trial, "lacking", lambda name, device, bf16: None)
    return asked


def test_the_fastest_is_taken_tried_once_and_said(
    asked: list[list[str]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    spec, items = ModelSpec("lenet5"), [Some(500), Some(-1), Some(500)]
    for _ in range(2):
        assert settle(ENGINE, NETWORK, spec, items).name == "onnx"  # type: ignore[arg-type]
    assert asked == [["torch", "onnx"]]
    said = capsys.readouterr().err
    assert said.count("engine onnx (torch 26.5/s, onnx 51.9/s)") == 2
    assert said.count(f"remembered in {tmp_path / 'histocnn' / 'engines.json'}") == 1
    settle(ENGINE, NETWORK, ModelSpec("resnet18"), items)  # type: ignore[arg-type]
    assert len(asked) == 2  # another network


def test_what_failed_is_not_tried_again_and_said(
    asked: list[list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_torch(engine: Any, network: Any, px: int, names: Sequence[str], *count: int) -> Any:
        asked.append(list(names))
        return {name: 26.5 for name in names if name == "torch"}

    monkeypatch.setattr(engine_trial, "_rates", only_torch)
    for _ in range(2):
        assert settle(ENGINE, NETWORK, ModelSpec("a"), [Some(10**6)]).name == "torch"  # type: ignore[list-item]
    assert asked == [["torch", "onnx"], ["compile"]]
    said = "engine torch (torch 26.5/s, onnx failed, compile failed)"
    assert capsys.readouterr().err.count(said) == 2


def test_what_is_remembered_of_an_engine_that_is_not_there_is_not_believed(
    asked: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    only = UsageError("not here", "")
    monkeypatch.setattr(
        engine_trial, "lacking", lambda name, device, bf16: None if name == "torch" else only
    )
    edited = Speeds({"torch": 26.5, "onnx": 1e6, "compile": 1e6})
    assert tried(ENGINE, NETWORK, 28, 10**6, edited).rates == {"torch": 26.5}
    assert asked == []


def test_it_is_tried_on_a_worker_s_share_of_the_cores(
    asked: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def counted(engine: Any, network: Any, px: int, names: Sequence[str], *count: int) -> Any:
        threads.append(torch.get_num_threads())
        return {"torch": 1.0}

    before = torch.get_num_threads()
    monkeypatch.setattr(engine_trial, "_rates", counted)
    monkeypatch.setattr(device, "cores", lambda workers: before + 5 - workers)
    settle(replace(ENGINE, workers=2), NETWORK, ModelSpec("a"), [Some(1)])  # type: ignore[list-item]
    assert threads == [before + 3]
    assert torch.get_num_threads() == before


def test_a_network_that_takes_no_such_patches_is_left_to_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lenet = build("lenet5", 2).eval()
    with monkeypatch.context() as small:
        small.setattr(translating, "MOST_BYTES", 100)  # nor does it fit a file of ONNX
        found = settle(ENGINE, lenet, ModelSpec("lenet5"), [Some(9, px=36)])  # type: ignore[list-item]
    assert found.name == "torch"
    assert "engine torch is left out: lenet5 takes 28 × 28 px" in capsys.readouterr().err
    assert not memory_file().exists()


def test_compiling_is_tried_where_so_many_patches_may_pay_for_it(asked: list[list[str]]) -> None:
    few = tried(ENGINE, NETWORK, 28, 1_000)
    assert asked == [["torch", "onnx"]]
    many = tried(ENGINE, NETWORK, 28, 1_000_000, few)  # what is known is not tried again
    assert asked == [["torch", "onnx"], ["compile"]]
    assert many.fastest(1_000_000) == "compile"


def test_patches_are_counted_without_those_that_cannot_be_read() -> None:
    some = [Some(3), Some(-1), Some(4)]
    assert amount(some) == (7, 28)  # type: ignore[arg-type]
    assert all(each.closed for each in some)  # a thousand slides' places do not lie in memory
    assert amount([Some(3), Some(4, px=56)]) == (7, None)  # type: ignore[list-item]


def test_rates_are_measured_on_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    class Branching(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            means = images.mean((2, 3)) * self.weight
            return means if means.sum() > 0 else -means

    pytest.importorskip("onnxruntime")
    found = tried(ENGINE, Branching().eval(), 8, 10)
    assert found.rates.keys() == {"torch"}
    assert found.compile_s == 0.0
    assert "engine onnx is left out" in capsys.readouterr().err
    assert isinstance(found, Speeds)


def test_nothing_is_tried_where_nothing_is_to_do(asked: list[list[str]]) -> None:
    assert settle(ENGINE, NETWORK, ModelSpec("lenet5"), []).name == "torch"
    assert asked == []
