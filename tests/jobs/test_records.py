"""What many jobs on one folder read of it: each record once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from histocnn.jobs.ledger import Ledger, Result, record_path
from histocnn.jobs.ownership import has_records
from histocnn.jobs.records import Records, _digest


def job(out: Path, *slides: str, patches: int = 7) -> dict[str, dict[str, object]]:
    """One job over these slides, and what run.json then says of all."""
    book = Ledger(out, ".h5", "tile", slides)
    for slide in slides:
        (out / f"{slide}.h5").touch()
        book.enter(slide, Result("done", {"mpp": 0.5}, [], {"patches": patches}), 1.0)
    book.close()
    told: dict[str, dict[str, object]] = json.loads((out / "run.json").read_text())["slides"]
    return told


def rewrite_unseen(path: Path, old: str, new: str) -> None:
    """Change a file so that only who reads it can tell: same size, same time, same file."""
    before = path.stat()
    path.write_text(path.read_text().replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def test_a_record_that_was_summed_up_is_not_read_again(tmp_path: Path) -> None:
    job(tmp_path, "s1")
    rewrite_unseen(record_path(tmp_path / "s1.h5"), "7", "9")
    told = job(tmp_path, "s2")
    assert {slide: facts["patches"] for slide, facts in told.items()} == {"s1": 7, "s2": 7}
    assert "recipe" not in told["s1"]


def test_a_record_that_was_replaced_is(tmp_path: Path) -> None:
    job(tmp_path, "s1", "s2")
    told = job(tmp_path, "s1", patches=8)
    assert {slide: facts["patches"] for slide, facts in told.items()} == {"s1": 8, "s2": 7}


def test_a_slide_whose_file_or_record_is_gone_is_no_longer_told_of(tmp_path: Path) -> None:
    job(tmp_path, "s1", "s2", "s3")
    (tmp_path / "s1.h5").unlink()
    record_path(tmp_path / "s2.h5").unlink()
    assert set(job(tmp_path, "s4")) == {"s3", "s4"}


@pytest.mark.parametrize("damage", ["", "{", '0\n{"s1.h5.json": 3}', '0\n{"s1.h5.json": ["", {}]}'])
def test_what_was_kept_and_is_damaged_is_read_anew(tmp_path: Path, damage: str) -> None:
    job(tmp_path, "s1")
    (tmp_path / ".runs/summed-h5.json").write_text(damage)
    assert set(job(tmp_path, "s2")) == {"s1", "s2"}


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"slide_id": 3}', "\udce4"])
def test_a_damaged_record_is_left_out(tmp_path: Path, damage: str) -> None:
    job(tmp_path, "s1")
    record_path(tmp_path / "s1.h5").write_bytes(damage.encode(errors="surrogateescape"))
    assert set(job(tmp_path, "s2")) == {"s2"}


def test_a_folder_without_records_has_no_facts(tmp_path: Path) -> None:
    assert Records(tmp_path, ".h5").look() == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "record",
    ["[" * 5000, '{"slide_id": "x", "recipe": [1]}', '{"slide_id": "\\ud800", "recipe": {}}', "3"],
)
def test_a_record_of_another_form_is_left_out(tmp_path: Path, record: str) -> None:
    job(tmp_path, "s1")
    record_path(tmp_path / "x.h5").write_text(record)
    (tmp_path / "x.h5").touch()
    assert set(job(tmp_path, "s2")) == {"s1", "s2"}
    assert not has_records(tmp_path, "embed")


@pytest.mark.parametrize("kept", ['{"s1.h5.json": 3}', "[1]", '{"s1.h5.json": ["", {"a": 1}]}'])
def test_kept_sums_of_another_form_are_read_anew_though_their_digest_is_right(
    tmp_path: Path, kept: str
) -> None:
    job(tmp_path, "s1")
    (tmp_path / ".runs/summed-h5.json").write_text(f"{_digest(kept)}\n{kept}")
    assert set(job(tmp_path, "s2")) == {"s1", "s2"}


@pytest.mark.parametrize("source", ["x" * 5000, {"a": 1}, [], 3.5, "\0"])
def test_a_failure_whose_source_is_no_name_stays_or_goes_without_harm(
    tmp_path: Path, source: object
) -> None:
    (tmp_path / "x.failed.json").write_text(json.dumps({"slide_id": "x", "source": source}))
    assert set(job(tmp_path, "s1")) == {"s1"}
    assert (tmp_path / "x.failed.json").exists() != isinstance(source, str)
