"""What fits memory, and what is said of what does not."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from histocnn.errors import FeaturesError, UsageError
from histocnn.reference import memory
from histocnn.reference.memory import Sizes, check_room, free, left, resident, stays
from tests.feature_files import write_features


def test_a_reference_stays_in_its_files_where_it_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write_features(tmp_path / f"{i}.h5", n=1000, width=50) for i in range(2)]
    monkeypatch.setattr(memory, "resident", lambda: 300_000_000)
    assert stays(files, 0.302) == ""  # 2,000 × 50 × 4 bytes, three times: 1.2 MB
    assert stays(files, 0.301) == (
        "the reference of 2,000 × 50 takes 0.0012 GB in memory, more than --memory_gb 0.301: "
        "compared block by block from its files"
    )
    assert stays(files, None) == ""
    monkeypatch.setattr(memory, "free", lambda: 2e6)
    assert "more than 0.0 GB, half of what is free: compared" in stays(files, None)


def test_what_must_be_in_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write_features(tmp_path / f"{i}.h5", n=1000, width=50) for i in range(2)]
    monkeypatch.setattr(memory, "free", lambda: 2.4e6)
    check_room(files, 6, "Give less.")  # 2,000 × 50 × 4 bytes × 6 = 2.4 MB
    with pytest.raises(
        FeaturesError,
        match=r"2,000 × 50 features would take 0\.0028 GB of memory, and 0\.0024 GB are free\. "
        r"Give less",
    ):
        check_room(files, 7, "Give less.")


def test_too_little_for_a_block_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "resident", lambda: 300_000_000)
    assert left(1.0) == 7e8 - 2**25
    with pytest.raises(UsageError, match=r"--memory_gb 0\.33: 0\.3 GB are held .* least 0\.4"):
        left(0.33)


def test_blocks_grow_with_what_is_free() -> None:
    rows = [Sizes.within(megabytes * 1e6, 1024).rows for megabytes in (1, 100, 400, 9000)]
    assert rows == [32, 512, 2048, 4096]


def test_this_process_and_this_machine_have_memory() -> None:
    assert 1e7 < resident() < 1e11
    assert free() > 1e7


@pytest.mark.parametrize(
    ("own", "file"),
    [
        ("0::/system.slice/job_7/step_0", "system.slice/job_7/memory.max"),
        ("0::/", "memory.max"),
        ("5:cpu:/x\n9:memory:/slurm/job_7\n", "memory/slurm/job_7/memory.limit_in_bytes"),
        ("", "memory/memory.limit_in_bytes"),
    ],
)
def test_the_limit_of_a_job_is_found_wherever_its_group_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, file: str
) -> None:
    (tmp_path / "groups" / file).parent.mkdir(parents=True)
    (tmp_path / "groups" / file).write_text("12345\n")
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "_OWN_GROUPS", tmp_path / "own")
    assert free() == 12345
    (tmp_path / "groups" / file).write_text("max\n")
    assert free() > 1e7


@pytest.mark.parametrize(("platform", "unit"), [("darwin", 1), ("freebsd14", 1024)])
def test_memory_without_proc_is_the_peak_in_the_systems_unit(
    monkeypatch: pytest.MonkeyPatch, platform: str, unit: int
) -> None:
    def absent(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", absent)
    monkeypatch.setattr("sys.platform", platform)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    assert peak <= resident() < 1.1 * peak
