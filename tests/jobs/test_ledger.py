"""What a folder remembers of its slides, and the sums that are made of it."""

from __future__ import annotations

import csv
import json
import weakref
from pathlib import Path

import pytest

from histocnn.jobs.ledger import Ledger, Result, record_path, verdict

DONE = Result("done", {"mpp": 0.5}, [], {"patches": 1200, "notes": ["pen found"]})
FAILED = Result("failed", error="SlideError", message="s2.svs: is cut short. Copy it again.")


def ledger(out: Path, slide_ids: str = "s1 s2 s3") -> Ledger:
    return Ledger(out, ".h5", "tile", slide_ids.split())


def test_a_finished_slide_leaves_its_record_and_its_line(tmp_path: Path) -> None:
    line = ledger(tmp_path).enter("s1", DONE, 2.0)
    assert line == "s1: 1,200 patches; pen found; 2.0 s"
    record = json.loads(record_path(tmp_path / "s1.h5").read_text())
    assert record == {
        "slide_id": "s1",
        "seconds": 2.0,
        "patches": 1200,
        "notes": ["pen found"],
        "recipe": {"mpp": 0.5},
    }


def test_a_failure_lies_there_until_the_slide_is_done_or_was(tmp_path: Path) -> None:
    for ended in (DONE, Result("skipped")):
        book = ledger(tmp_path)
        assert book.enter("s2", FAILED, 0.1) == f"s2: failed: {FAILED.message}"
        failed = json.loads((tmp_path / "s2.failed.json").read_text())
        assert (failed["error"], failed["command"]) == ("SlideError", "tile")
        book.enter("s2", ended, 0.1)
        assert not (tmp_path / "s2.failed.json").exists()


def test_the_summary_is_in_the_order_of_the_input_however_it_ended(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    book.enter("s3", Result("skipped"), 0.0)
    book.enter("s2", FAILED, 0.1)
    book.enter("s1", DONE, 2.0)
    total = book.summary
    assert (total.done, total.failed, total.skipped) == (["s1"], ["s2"], ["s3"])
    assert total.outputs == [tmp_path / "s1.h5", tmp_path / "s3.h5"]
    assert total.patches == 1200
    assert [row["status"] for row in total.rows] == ["done", "failed", "skipped"]
    assert [row["seconds"] for row in total.rows] == [2.0, None, None]
    assert total.exit_code == 1


class Held(dict[str, object]):
    """A dict that can be watched."""


def test_what_a_record_holds_is_not_kept_in_memory_too(tmp_path: Path) -> None:
    recipe, areas = Held(options=[0.5] * 100), Held(tumour=[1.0] * 100)
    watched = [weakref.ref(recipe), weakref.ref(areas)]
    book = ledger(tmp_path)
    book.enter("s1", Result("done", recipe, [], {"patches": 3, "areas": areas}), 1.0)
    book.enter("s2", Result("failed", recipe, traceback="…", message="no"), 1.0)
    del recipe, areas
    assert [each() for each in watched] == [None, None]
    assert [row["patches"] for row in book.summary.rows] == [3, None]


def test_a_slide_to_look_at_is_among_the_failures_without_being_one(tmp_path: Path) -> None:
    entered = ledger(tmp_path)
    (tmp_path / "s1.h5").touch()
    facts = {"patches": 1, "look": ["it has no colour", "tissue is 0.5% of the slide"]}
    entered.enter("s1", Result("done", facts=facts), 1.0)
    entered.close()
    rows = list(csv.DictReader((tmp_path / "failures.csv").read_text().splitlines()))
    assert [(row["slide_id"], row["error"], row["command"]) for row in rows] == [
        ("s1", "look", "tile")
    ]
    assert rows[0]["message"] == "it has no colour; tissue is 0.5% of the slide"
    assert entered.summary.failed == []
    assert "1 to look at (failures.csv)" in entered.closing_lines()[0]


def test_a_slide_that_was_made_again_says_why(tmp_path: Path) -> None:
    again = Result("done", {}, ["mpp", "patch_px"], {"outcome": "empty"})
    line = ledger(tmp_path).enter("s1", again, 0.25)
    assert line == "s1: empty; made again, because mpp and patch_px changed; 0.2 s"


def test_sums_are_of_what_lies_in_the_folder(tmp_path: Path) -> None:
    ledger(tmp_path).enter("earlier", DONE, 1.0)
    (tmp_path / "earlier.h5").touch()
    book = ledger(tmp_path)
    book.enter("s1", DONE, 1.0)  # whose file somebody has removed since
    book.enter("s2", FAILED, 1.0)
    (tmp_path / "s9.failed.json").write_text("{cut short")
    book.close()
    facts = json.loads((tmp_path / "run.json").read_text())
    assert set(facts["slides"]) == {"earlier"}
    assert (facts["done"], facts["failed"], facts["skipped"]) == (1, 1, 0)
    with (tmp_path / "failures.csv").open(newline="") as lines:
        assert [row["slide_id"] for row in csv.DictReader(lines)] == ["s2"]


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"pixels": 2.0, "compute": 1.0, "write": 1.0}, "pixels 50 %, compute 25 %, write 25 %: "
         "pixel-bound"),
        ({"compute": 1.0}, "compute 100 %: compute-bound"),
        ({"pixels": 0.0}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_verdict(shares: dict[str, float], said: str) -> None:
    assert verdict(shares) == said


def failed_slides(out: Path) -> list[str]:
    with (out / "failures.csv").open(newline="") as file:
        return [row["slide_id"] for row in csv.DictReader(file)]


def fail(out: Path, slide_id: str, source: Path, command: str = "tile") -> None:
    book = Ledger(out, ".h5", command, [slide_id], source=source)
    book.enter(slide_id, FAILED, 0.1)
    book.close()


def test_a_failure_goes_when_its_slide_has_left_the_input_or_the_input_is_gone(
    tmp_path: Path,
) -> None:
    out, sheet, other = tmp_path / "out", tmp_path / "slides.csv", tmp_path / "other.csv"
    sheet.touch()
    other.touch()
    fail(out, "typo", sheet)  # a row that is taken out of the sheet later
    fail(out, "gone", tmp_path / "removed.h5")
    fail(out, "others", other)  # a job of one slide, whose failure concerns nobody else
    fail(out, "drawn", sheet, command="heatmap")
    Ledger(out, ".h5", "tile", ["s1"], source=sheet).close()
    assert failed_slides(out) == ["drawn", "others"]
    assert not (out / "typo.failed.json").exists()


def test_a_failure_stays_while_its_slide_is_in_the_input(tmp_path: Path) -> None:
    sheet = tmp_path / "slides.csv"
    sheet.touch()
    fail(tmp_path, "s2", sheet)
    (tmp_path / "s3.failed.json").write_text('{"slide_id": "s3"}')  # of an earlier version
    book = Ledger(tmp_path, ".h5", "tile", ["s1", "s2"], source=sheet)
    book.enter("s1", DONE, 1.0)  # interrupted before it came to s2
    book.close()
    assert failed_slides(tmp_path) == ["s2", "s3"]
