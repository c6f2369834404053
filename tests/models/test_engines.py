from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from histocnn.errors import ModelError, UsageError
from histocnn.models import engines, translating
from histocnn.models.backbones import build
from histocnn.models.engines import ByOnnx, Compiled, computed_by, cores, lacking, version

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
IMAGES = torch.rand(5, 3, 28, 28, generator=torch.manual_seed(1))


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build("lenet5", 2).eval()


def test_onnx_gives_torch_s_outputs_for_any_number_and_layout(network: torch.nn.Module) -> None:
    pytest.importorskip("onnxruntime")
    compute = computed_by("onnx", network, batch_size=4)
    with torch.inference_mode():
        for images in (IMAGES, IMAGES[:1], IMAGES.contiguous(memory_format=torch.channels_last)):
            torch.testing.assert_close(compute(images), network(images), atol=1e-5, rtol=0)


def test_a_network_beyond_onnx_keeps_to_torch(
    network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translating, "MOST_BYTES", 100)
    with pytest.raises(ModelError, match=r"one ONNX file holds 2 GB.*--engine torch"):
        ByOnnx(network, 1)


@pytest.mark.slow
@pytest.mark.timeout(900)  # the compiler, on a machine with others
# Its pickler looks for names in all modules that were imported, deprecated ones too.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_gives_torch_s_outputs_and_compiles_once(network: torch.nn.Module) -> None:
    counters = torch._dynamo.utils.counters
    counters.clear()
    compute = computed_by("compile", network, batch_size=4)
    with torch.inference_mode():
        last = IMAGES.contiguous(memory_format=torch.channels_last)  # as a `Runner` gives them
        for images in (last[:1], last[:4], last[:3]):
            torch.testing.assert_close(compute(images), network(images), atol=1e-5, rtol=0)
    assert counters["stats"]["unique_graphs"] == 1


def test_what_cannot_be_compiled_says_what_to_install(
    network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(images: torch.Tensor) -> torch.Tensor:
        raise torch._dynamo.exc.Unsupported("no g++")

    compute = Compiled(network, 8)
    compute._compiled = broken
    with pytest.raises(ModelError, match=r"torch\.compile failed \(Unsupported: no g\+\+.*g\+\+"):
        compute(IMAGES)


def test_batches_are_filled_up_and_cut_to_what_was_given(network: torch.nn.Module) -> None:
    seen: list[int] = []
    compute = Compiled(network, 8)
    compute._compiled = lambda images: seen.append(len(images)) or images[:, 0, 0, 0]
    assert torch.equal(compute(IMAGES), IMAGES[:, 0, 0, 0])
    assert seen == [8]


@pytest.mark.parametrize("package", ["onnxruntime", "onnx"])
def test_an_engine_that_is_not_installed_says_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    problem = lacking("onnx", CPU, bf16=False)
    assert isinstance(problem, UsageError)
    assert "pip install 'histocnn[onnx]'" in str(problem)


def test_without_a_compiler_there_is_no_compiling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert "no C++ compiler. Install a C++ compiler" in str(lacking("compile", CPU, bf16=False))
    monkeypatch.setenv("CXX", sys.executable)
    assert lacking("compile", CPU, bf16=False) is None
    assert lacking("torch", CPU, bf16=True) is None


def test_onnx_is_for_cpus_and_float32() -> None:
    assert "not on cuda:0" in str(lacking("onnx", GPU, bf16=False))
    assert "computes in float32" in str(lacking("onnx", CPU, bf16=True))


def test_files_record_what_computed() -> None:
    assert version("torch") == f"torch {torch.__version__}"
    assert version("compile").endswith(", compiled")
    assert engines.cores(10_000) == 1 <= cores()
