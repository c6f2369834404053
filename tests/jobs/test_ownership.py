"""Nobody's file is lost: what a stage did not make it refuses to write over, before it begins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from histocnn.errors import StoreError, UsageError
from histocnn.jobs import claims
from histocnn.jobs.ownership import (
    FAILURES_HEADER,
    check_apart,
    check_files,
    claim_files,
    has_records,
    refuse,
    strange_sums,
    strangers,
)
from histocnn.storage import store
from tests.killed import left_by_the_dead


def touch(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("mine")
    return [folder / name for name in names]


def test_results_do_not_lie_among_what_they_are_made_from(tmp_path: Path) -> None:
    (scan,) = touch(tmp_path / "d", "scan.png")
    for given in (scan, scan.parent):
        with pytest.raises(UsageError, match=rf"--out {scan.parent} \w+ the input {given}"):
            check_apart(tmp_path / "d", [given])
        with pytest.raises(UsageError):
            check_apart(tmp_path / "elsewhere" / ".." / "d", [given])
        check_apart(tmp_path / "d" / "grids", [given])
    (tmp_path / "link").symlink_to(tmp_path / "d")
    with pytest.raises(UsageError):
        check_apart(tmp_path / "link", [scan])


def test_a_file_that_no_record_names_is_a_strangers(tmp_path: Path) -> None:
    target, picture, folder = touch(tmp_path, "a.h5", "a.png", "a")
    assert strangers(target, "tile", [picture, folder]) == [target, picture, folder]
    assert strangers(tmp_path / "b.h5", "tile", [tmp_path / "b.png"]) == []
    claims.claim(claims.record_path(target), "tile", [target, picture])
    assert strangers(target, "tile", [picture, folder]) == [folder]
    assert strangers(target, "heatmap", [picture]) == [target, picture]


def test_a_dangling_link_is_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "not mounted")
    assert strangers(tmp_path / "a.csv", "export") == [tmp_path / "a.csv"]


def test_a_file_whose_own_recipe_is_the_stages_needs_no_record(tmp_path: Path) -> None:
    target = tmp_path / "a.h5"
    store.write(target, {}, {"recipe": {"stage": "tile"}})
    (picture,) = touch(tmp_path, "a.png")  # copied along, without the hidden folder
    assert strangers(target, "tile", [picture]) == []
    assert strangers(target, "predict", [picture]) == [target, picture]


def test_any_stage_renews_the_sums_of_another_but_not_a_users_files(tmp_path: Path) -> None:
    assert strange_sums(tmp_path) == []
    run, failures = touch(tmp_path, "run.json", "failures.csv")
    assert strange_sums(tmp_path) == [run, failures]
    run.write_text('{"command": "tile", "slides": {}}')
    failures.write_text(f"{FAILURES_HEADER}\ns1,SlideError,gone,tile,now\n")
    assert strange_sums(tmp_path) == []


def test_a_pipe_for_failures_is_a_strangers_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "failures.csv")
    assert strange_sums(tmp_path) == [tmp_path / "failures.csv"]


def test_the_first_three_are_named(tmp_path: Path) -> None:
    refuse([], "tile")
    found = [tmp_path / f"{i}.png" for i in range(5)]
    with pytest.raises(UsageError) as caught:
        refuse(found, "tile")
    assert str(caught.value) == (
        f"{found[0]}, {found[1]}, {found[2]} and 2 more: there already, and not made by tile. "
        "Give another --out, or move what lies there."
    )


def test_files_of_no_single_slide_are_claimed_by_name(tmp_path: Path) -> None:
    out, names = tmp_path / "report", ("metrics.json", "figures")
    check_files(out, "evaluate", names, lambda: False)
    claim_files(out, "evaluate", names)
    touch(out, "metrics.json")
    check_files(out, "evaluate", names, lambda: False)
    touch(out, "other.csv")
    with pytest.raises(UsageError, match=r"other\.csv: there already, and not made by evaluate"):
        check_files(out, "evaluate", [*names, "other.csv"], lambda: False)
    check_files(out, "evaluate", [*names, "other.csv"], lambda: True)  # of an older version
    with pytest.raises(UsageError, match="not made by train"):
        check_files(out, "train", names, lambda: False)


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (file,) = touch(tmp_path, "report")
    with pytest.raises(StoreError, match="report: is a file"):
        check_files(file, "evaluate", ["metrics.json"], lambda: False)


def test_records_of_a_stage_are_known_by_their_recipes(tmp_path: Path) -> None:
    assert not has_records(tmp_path, "knn")
    record = claims.record_path(tmp_path / "a.h5")
    record.parent.mkdir()
    record.write_text('{"recipe": {"stage": "knn"}}')
    assert has_records(tmp_path, "knn")
    assert not has_records(tmp_path, "probe")


def test_what_a_killed_claim_left_is_swept_by_the_next(tmp_path: Path) -> None:
    claim_files(tmp_path, "train", ["model.safetensors"])
    left = left_by_the_dead(tmp_path / claims.FOLDER / "train.json")
    claim_files(tmp_path, "train", ["model.safetensors"])
    assert not left.exists()
