from __future__ import annotations

import sys
from pathlib import Path

import pytest

from histocnn.errors import ModelError, UsageError
from histocnn.models.onnx_session import check_runtime, open_session, runtime


def test_without_the_runtime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"not installed.*pip install 'histocnn\[onnx\]'"):
        check_runtime()


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    assert runtime().startswith("onnxruntime 1.")
    (tmp_path / "m.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"m\.onnx: ONNX Runtime cannot run it"):
        open_session(tmp_path / "m.onnx", 1)
    with pytest.raises(ModelError, match="the network: ONNX Runtime cannot run it"):
        open_session(b"not a network", 1)
