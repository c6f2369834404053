from __future__ import annotations

import os
from pathlib import Path

import pytest

from histocnn.models import engine_memory
from histocnn.models.engine_memory import Speeds, key_of, memory_file, recall, remember


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_what_is_remembered_is_recalled() -> None:
    assert recall("a") == Speeds()
    found = Speeds({"torch": 26.5, "onnx": 51.9, "compile": 45.2}, compile_s=60.0)
    assert remember("a", found)
    assert remember("b", Speeds({"torch": 3.0}))
    assert recall("a") == found
    assert recall("b").rates == {"torch": 3.0}
    assert remember("c", broken := Speeds({"torch": 3.0}, failed=("onnx",)))
    assert recall("c") == broken


def test_compiling_pays_for_many_patches_alone() -> None:
    speeds = Speeds({"torch": 20.0, "compile": 40.0}, compile_s=50.0)
    # 2,000 patches: 100 s by torch; 50 s of compiling and 50 s after it.
    assert [speeds.fastest(n) for n in (0, 1_999, 2_001)] == ["torch", "torch", "compile"]


def test_other_facts_have_another_key() -> None:
    assert key_of({"px": 224, "bf16": False}) == key_of({"bf16": False, "px": 224})
    assert key_of({"px": 224}) != key_of({"px": 256})


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"a": 3}', b'{"a": {"rates": {"torch": "x"}, "compile_s": 0}}',
     b'{"a": {"rates": {"torch": -1}, "compile_s": 0}}', b'{"a": {"rates": {"torch": 1}}}',
     b'{"a": {"rates": {"torch": NaN}, "compile_s": 0}}', b"\xff",
     b'{"a": {"rates": {"torch": 1' + b"0" * 400 + b'}, "compile_s": 0}}',
     b'{"a": {"rates": {"torch": 1}, "compile_s": 0, "failed": 3}}'],
)  # fmt: skip
def test_a_file_that_is_broken_is_tried_anew(content: bytes) -> None:
    memory_file().parent.mkdir()
    memory_file().write_bytes(content)
    assert recall("a") == Speeds()
    assert remember("a", Speeds({"torch": 1.0}))
    assert recall("a").rates == {"torch": 1.0}


def test_the_file_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_memory, "MOST", 2)
    for key in "abc":
        remember(key, Speeds({"torch": 1.0}))
    assert [bool(recall(key).rates) for key in "abc"] == [False, True, True]


def test_a_cache_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "histocnn").write_text("a file")
    assert not remember("a", Speeds({"torch": 1.0}))
    assert recall("a") == Speeds()

    def homeless() -> Path:  # such as a container's user who is in no list
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert not remember("a", Speeds({"torch": 1.0}))
    assert recall("a") == Speeds()


@pytest.mark.timeout(10)
def test_what_is_no_file_is_not_waited_for() -> None:
    memory_file().parent.mkdir()
    os.mkfifo(memory_file())
    assert recall("a") == Speeds()
