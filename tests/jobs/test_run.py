"""A run over slides: what is done is skipped, what fails is survived, what is killed is resumed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histocnn.errors import StoreError, UsageError
from histocnn.jobs import claims, ledger
from histocnn.jobs import run as runs
from histocnn.jobs.ahead import ReadAhead
from histocnn.jobs.ledger import Summary
from histocnn.storage import store
from tests.jobs.working import TEN, Item, go, items, recipe, work


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".runs")


def run_json(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "run.json").read_text())
    return found


def test_every_slide_has_its_file_and_the_run_its_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = go(tmp_path / "out", "a pen empty [b]")
    assert (summary.done, summary.skipped, summary.failed) == (["a", "pen", "empty", "[b]"], [], [])
    assert summary.exit_code == 0
    assert summary.patches == 400
    assert files(tmp_path / "out") == [
        *("[b].h5", "a.h5", "empty.h5", "failures.csv", "pen.h5", "run.json")
    ]
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0].startswith("a: 100 patches; 0.")
    assert "pen: 100 patches; pen found;" in lines[1]
    assert "empty: empty; 100 patches;" in lines[2]
    assert lines[3].startswith("[b]: ")  # no markup
    assert lines[4].startswith("embed: 4 done in ")
    assert lines[5] == "pixels 31 %, compute 66 %, write 3 %: compute-bound"
    facts = run_json(tmp_path / "out")
    assert facts["verdict"] == lines[5]
    assert facts["command"] == "embed"
    assert facts["patches_per_s"] > 0
    assert set(facts["versions"]) >= {"histocnn", "numpy", "h5py"}
    assert facts["slides"]["pen"]["notes"] == ["pen found"]
    assert facts["slides"]["empty"]["outcome"] == "empty"


def test_what_is_done_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go(tmp_path, "a b")
    before = (tmp_path / "a.h5").stat().st_mtime_ns
    summary = go(tmp_path, "a b c")
    assert (summary.done, summary.skipped) == (["c"], ["a", "b"])
    assert (tmp_path / "a.h5").stat().st_mtime_ns == before
    assert "embed: 1 done, 2 already done in" in capsys.readouterr().err
    assert set(run_json(tmp_path)["slides"]) == {"a", "b", "c"}  # of all that lies there


def test_what_is_to_do_is_what_a_run_makes(tmp_path: Path) -> None:
    everything = "a b bug no_mpp"
    left = runs.to_do(items(everything), tmp_path, recipe)
    assert left == items(everything)
    go(tmp_path, everything)
    assert runs.to_do(items(everything), tmp_path, recipe) == items("bug no_mpp")
    assert runs.to_do(items("a b"), tmp_path, partial(recipe, mpp=1.0)) == items("a b")


def test_a_changed_option_is_named_and_workers_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go(tmp_path, "a b")
    assert go(tmp_path, "a b", workers=2).skipped == ["a", "b"]
    capsys.readouterr()
    assert go(tmp_path, "a b", mpp=1.0, patch_px=256).done == ["a", "b"]
    assert (
        "a: 100 patches; made again, because mpp and patch_px changed;" in capsys.readouterr().err
    )
    assert store.attributes(tmp_path / "a.h5")["recipe"] == {"mpp": 1.0, "patch_px": 256}


@pytest.mark.parametrize("workers", [1, 2])
def test_failures_do_not_stop_the_others(
    tmp_path: Path, workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = go(tmp_path, "a no_mpp broken bug b", workers=workers)
    assert summary.done == ["a", "b"]
    assert summary.failed == ["no_mpp", "broken", "bug"]
    assert summary.exit_code == 1
    with (tmp_path / "failures.csv").open(newline="") as file:
        rows = {row["slide_id"]: row for row in csv.DictReader(file)}
    assert rows["no_mpp"]["message"] == "no_mpp.svs: has no resolution. Set --slide_mpp."
    assert rows["broken"]["error"] == "SlideError"
    assert rows["bug"]["message"] == "ZeroDivisionError: over zero"
    said = capsys.readouterr().err
    assert "broken: failed: broken.svs: is cut short. Copy it again.\n" in said
    assert "Traceback" not in said
    failed = json.loads((tmp_path / "bug.failed.json").read_text())
    assert 'raise ZeroDivisionError("over' in failed["traceback"]
    assert json.loads((tmp_path / "broken.failed.json").read_text())["traceback"] is None


def test_a_success_takes_the_failure_away(tmp_path: Path) -> None:
    assert go(tmp_path, "broken").exit_code == 1
    mended = runs.run(
        items("broken"), out=tmp_path, command="embed", recipe=recipe, work=_mended, workers=1
    )
    assert mended.done == ["broken"]
    assert files(tmp_path) == ["broken.h5", "failures.csv", "run.json"]
    assert (tmp_path / "failures.csv").read_text() == "slide_id,error,message,command,time\n"


def test_a_slide_that_left_the_input_takes_its_failure_along(tmp_path: Path) -> None:
    (tmp_path / "grids").mkdir()

    def again(names: str) -> list[str]:
        runs.run(
            items(names),
            out=tmp_path / "out",
            command="embed",
            recipe=recipe,
            work=work,
            source=tmp_path / "grids",
        )
        return (tmp_path / "out" / "failures.csv").read_text().splitlines()[1:]

    assert len(again("a broken")) == 1
    assert again("a") == []


def _mended(item: Item, target: Path, recipe: dict[str, Any], tick: runs.Tick) -> None:
    store.write(target, {}, {"recipe": recipe})


def test_work_that_writes_nothing_is_a_failure(tmp_path: Path) -> None:
    def nothing(item: Item, target: Path, recipe: dict[str, Any], tick: runs.Tick) -> None:
        tick(1, 1)

    summary = runs.run(items("a"), out=tmp_path, command="tile", recipe=recipe, work=nothing)
    assert summary.failed == ["a"]
    assert "a.h5 was not written" in (tmp_path / "failures.csv").read_text()


def test_a_killed_worker_is_its_slides_failure(tmp_path: Path) -> None:
    summary = go(tmp_path, "a killed b c d", workers=2)
    assert summary.done == ["a", "b", "c", "d"]
    assert summary.failed == ["killed"]
    message = json.loads((tmp_path / "killed.failed.json").read_text())["message"]
    assert message == (
        "its process was killed by SIGKILL. Most often memory ran out: lower --workers."
    )


def test_workers_are_numbered_from_0_and_alone_in_their_number(tmp_path: Path) -> None:
    assert runs.worker_index() == 0
    go(tmp_path, "a b c d e f", workers=3)
    seen = {int(store.read(path, "worker")["worker"][0]) for path in tmp_path.glob("*.h5")}
    assert seen <= {0, 1, 2}
    assert len(seen) > 1


@pytest.mark.parametrize("suffix", [".geojson", ".csv", ""])
def test_other_files_than_hdf5_are_skipped_by_their_record(tmp_path: Path, suffix: str) -> None:
    def export(item: Item, target: Path, recipe: dict[str, Any], tick: runs.Tick) -> None:
        if suffix:
            target.write_text(str(recipe))
        else:
            target.mkdir(exist_ok=True)

    def again(**options: Any) -> Summary:
        return runs.run(
            items("a"),
            out=tmp_path,
            command="export",
            recipe=partial(recipe, **options),
            work=export,
            files=runs.Files(suffix),
        )

    assert again().done == ["a"]
    assert again().skipped == ["a"]
    assert again(mpp=1.0).done == ["a"]
    assert again().done == ["a"]
    target = tmp_path / f"a{suffix}"
    target.unlink() if suffix else target.rmdir()
    assert again().done == ["a"]


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the same slide id: a"):
        go(tmp_path, "a b a")
    with pytest.raises(UsageError, match="--workers 0"):
        go(tmp_path, "a", workers=0)


def test_a_read_only_folder_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (Path("/proc/histocnn"), tmp_path / "file" / "out"):
        with pytest.raises(StoreError, match="cannot be written"):
            go(out, "a")


def test_a_run_of_nothing_is_no_error(tmp_path: Path) -> None:
    assert go(tmp_path, "", workers=4).exit_code == 0


# A run in a process of its own, to be killed.

SCRIPT = """
import json, signal, sys
from pathlib import Path
from tests.jobs.working import go
# Whoever starts the tests in the background has told all below to ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
if __name__ == "__main__":
    summary = go(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    print(json.dumps([summary.done, summary.skipped, summary.failed]))
"""


@dataclass(frozen=True)
class Readable(Item):
    said: list[Callable[[], None]] = field(default_factory=list)

    def when_read(self, call: Callable[[], None]) -> None:
        self.said[:] = [call]

    def close(self) -> None:
        pass


def test_what_a_process_died_amid_is_made_before_the_next_is_begun(tmp_path: Path) -> None:
    began: list[str] = []

    def read(item: Readable, *given: Any) -> dict[str, Any]:
        item.said[0]()
        _wait(lambda: all(thread.name != "ahead" for thread in threading.enumerate()))
        if began == ["a", "b"]:
            raise KeyboardInterrupt  # caught by nobody, as where a decoder ends the process
        return work(item, *given)

    def again() -> None:
        runs.run(
            [Readable("a"), Readable("b")],
            out=tmp_path,
            command="embed",
            recipe=recipe,
            work=ReadAhead(read, lambda item: began.append(item.slide_id)),
        )

    with pytest.raises(KeyboardInterrupt):
        again()
    assert began == ["a", "b"]
    began.clear()
    with pytest.raises(KeyboardInterrupt):
        again()
    assert (tmp_path / "a.h5").exists()
    assert not (tmp_path / "b.h5").exists()


class Process:
    """The script above, with its output folder `<folder>/out`."""

    def __init__(self, folder: Path, names: str, workers: int = 1, hang_at: str = "") -> None:
        script = folder / "script.py"
        script.write_text(SCRIPT)
        root = str(Path(__file__).parents[2])
        self.process = subprocess.Popen(
            [sys.executable, script, folder / "out", names, str(workers)],
            env=os.environ | {"HANG_AT": hang_at, "PYTHONPATH": root},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def result(self) -> Any:
        out, err = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, err
        return json.loads(out)


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_in_the_middle_the_same_command_does_the_rest(tmp_path: Path, workers: int) -> None:
    out = tmp_path / "out"
    killed = Process(tmp_path, TEN, workers, hang_at="s5")
    _wait((tmp_path / "hangs").exists)
    os.killpg(killed.process.pid, signal.SIGKILL)  # the workers too, as a node's death does
    killed.process.communicate()
    (half,) = (name for name in files(out) if name.startswith(".s5.h5."))
    whole = {path.stem for path in out.glob("*.h5")}
    assert "s5" not in whole
    assert {"s0", "s1", "s2", "s3"} <= whole
    for name in whole:
        assert store.read(out / f"{name}.h5")["features"].shape == (100, 4)

    done, skipped, failed = Process(tmp_path, TEN, workers).result()
    assert set(skipped) == whole
    assert set(done) == set(TEN.split()) - whole
    assert failed == []
    assert half not in files(out)
    undisturbed = tmp_path / "undisturbed"
    go(undisturbed, TEN)
    assert files(out) == files(undisturbed)
    for name in TEN.split():
        ours, theirs = (store.read(folder / f"{name}.h5") for folder in (out, undisturbed))
        np.testing.assert_array_equal(ours["features"], theirs["features"])
        assert store.attributes(out / f"{name}.h5") == store.attributes(undisturbed / f"{name}.h5")


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    killed = Process(tmp_path, TEN, workers=2, hang_at="s5")
    _wait((tmp_path / "hangs").exists)
    os.kill(killed.process.pid, signal.SIGKILL)
    killed.process.wait()
    _wait(lambda: len(_living(killed.process.pid, "spawn_main")) == 1)  # the one that hangs
    os.killpg(killed.process.pid, signal.SIGKILL)
    killed.process.communicate()


def _living(session: int, command: str = "") -> list[int]:
    """The processes of a session that are no zombies, and whose command line contains a text."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            line = (stat.parent / "cmdline").read_text()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z" and command in line:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_leaves_whole_files_and_a_summary(tmp_path: Path, workers: int) -> None:
    out = tmp_path / "out"
    run = Process(tmp_path, TEN, workers, hang_at="s5")
    _wait((tmp_path / "hangs").exists)
    os.killpg(run.process.pid, signal.SIGINT)  # as the terminal does to the whole group
    _, err = run.process.communicate(timeout=30)
    assert run.process.returncode in (1, -signal.SIGINT)
    assert err.count("Traceback") == 1, err  # the script's; the command line catches it
    assert not [name for name in files(out) if name.endswith(".tmp")]
    assert "s0" in run_json(out)["slides"]
    assert "s5" not in run_json(out)["slides"]
    assert _living(run.process.pid, "spawn_main") == []


TERMINABLE = """
import sys
from pathlib import Path
from histocnn import cli
from histocnn.jobs.ledger import Summary
from tests.jobs.working import TEN, go
def slow(out: str, workers: int = 1) -> Summary:
    return go(Path(out), TEN, workers)
if __name__ == "__main__":
    cli.COMMANDS["slow"] = cli.Command("__main__", "")
    sys.exit(cli.main(["slow", *sys.argv[1:]]))
"""


@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_ends_the_workers_at_once_and_says_so(
    tmp_path: Path, workers: int, whole_group: bool
) -> None:
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(TERMINABLE)
    run = subprocess.Popen(
        [sys.executable, script, "--out", out, "--workers", str(workers)],
        env=os.environ | {"HANG_AT": "s5", "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _wait((tmp_path / "hangs").exists)
    (os.killpg if whole_group else os.kill)(run.pid, signal.SIGTERM)
    began = time.monotonic()
    _, err = run.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert run.returncode == 143
    assert err.splitlines()[-1] == (
        "histocnn: terminated; the same command again does what is left"
    )
    assert "Traceback" not in err
    assert _living(run.pid, "spawn_main") == []
    assert not [name for name in files(out) if name.endswith((".tmp", ".failed.json"))]
    assert "s0" in run_json(out)["slides"]
    assert go(out, TEN).failed == []


def test_a_signal_while_the_folder_is_summed_up_waits_for_the_summaries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        return write_text(*arguments)

    write_text = ledger.write_text
    monkeypatch.setattr(ledger.Ledger, "_is_past", lambda *_: interrupted(tmp_path / "x", "") or 0)
    (tmp_path / "out").mkdir()
    old = {"slide_id": "gone", "source": None}
    (tmp_path / "out" / "gone.failed.json").write_text(json.dumps(old))
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "out", "s0 s1")
    assert set(run_json(tmp_path / "out")["slides"]) == {"s0", "s1"}


def test_two_processes_on_one_folder_do_no_harm(tmp_path: Path) -> None:
    both = [Process(tmp_path, TEN), Process(tmp_path, " ".join(reversed(TEN.split())))]
    results = [process.result() for process in both]
    for done, skipped, failed in results:
        assert sorted(done + skipped) == sorted(TEN.split())
        assert failed == []
    assert files(tmp_path / "out") == sorted(
        [f"{name}.h5" for name in TEN.split()] + ["failures.csv", "run.json"]
    )
    for name in TEN.split():
        assert not np.isnan(store.read(tmp_path / "out" / f"{name}.h5")["features"]).any()
    assert set(run_json(tmp_path / "out")["slides"]) == set(TEN.split())


def test_who_ends_between_anothers_look_and_its_writing_is_in_the_summaries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text, others = ledger.write_text, ["b", "broken"]

    def write_late(path: Path, text: str) -> None:
        if path.name == "failures.csv" and others:
            go(tmp_path, others.pop())  # begins and ends while we hold what we saw before
        write_text(path, text)

    monkeypatch.setattr(ledger, "write_text", write_late)
    go(tmp_path, "a")
    assert set(run_json(tmp_path)["slides"]) == {"a", "b"}
    assert "broken.svs: is cut short" in (tmp_path / "failures.csv").read_text()


def unmeasured(item: Item, target: Path, recipe: dict[str, Any], tick: runs.Tick) -> dict[str, Any]:
    return work(item, target, recipe, tick) | {"share_in_tissue": float("nan")}


@pytest.mark.timeout(20)
def test_a_fact_that_is_not_a_number_does_not_keep_the_sums_from_ending(tmp_path: Path) -> None:
    runs.run(items("a"), out=tmp_path, command="tile", recipe=recipe, work=unmeasured)
    assert np.isnan(run_json(tmp_path)["slides"]["a"]["share_in_tissue"])


def test_killed_between_the_file_and_its_record_the_slide_is_in_the_summary(tmp_path: Path) -> None:
    go(tmp_path, "b")
    path = claims.record_path(tmp_path / "b.h5")
    path.unlink()
    begun = json.loads(json.dumps(recipe(Item("b"))))
    claims.claim(path, "embed", [tmp_path / "b.h5"], slide_id="b", begun=begun)
    assert go(tmp_path, "b").skipped == ["b"]
    assert run_json(tmp_path)["slides"] == {"b": {"patches": 100, "outcome": "ok"}}
    assert go(tmp_path, "b").skipped == ["b"]
    assert run_json(tmp_path)["slides"] == {"b": {"patches": 100, "outcome": "ok"}}


def test_a_file_of_an_earlier_version_without_a_record_gets_one(tmp_path: Path) -> None:
    def of_stage(item: Item) -> dict[str, Any]:
        return {"stage": "embed"}

    datasets = {"coords": np.zeros((7, 2), np.int64)}
    store.write(tmp_path / "a.h5", datasets, {"recipe": {"stage": "embed"}})
    summary = runs.run(items("a"), out=tmp_path, command="embed", recipe=of_stage, work=work)
    assert summary.skipped == ["a"]
    assert run_json(tmp_path)["slides"]["a"]["patches"] == 7


def draw(item: Item, target: Path, recipe: dict[str, Any], tick: runs.Tick) -> None:
    """A picture, and then its grid; the second of two runs is killed between them."""
    target.with_suffix(".png").write_text(str(recipe["mpp"]))
    if recipe["mpp"] == 1.0:
        raise KeyboardInterrupt
    store.write(target, {}, {"recipe": recipe})


def beside(item: Item, target: Path) -> list[Path]:
    return [target.with_suffix(".png")]


def test_a_picture_of_a_killed_run_does_not_stay_beside_anothers_file(tmp_path: Path) -> None:
    def again(mpp: float) -> Summary:
        return runs.run(
            items("a"),
            out=tmp_path,
            command="tile",
            recipe=partial(recipe, mpp=mpp),
            work=draw,
            files=runs.Files(beside=beside),
        )

    assert again(0.5).done == ["a"]
    assert again(0.5).skipped == ["a"]
    with pytest.raises(KeyboardInterrupt):
        again(1.0)
    assert (tmp_path / "a.png").read_text() == "1.0"
    assert again(0.5).done == ["a"]
    assert (tmp_path / "a.png").read_text() == "0.5"


@pytest.mark.parametrize("name", ["a.h5", "a.png", "b.png", "run.json", "a.failed.json"])
def test_somebody_elses_file_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match=f"{name}: there already, and not made by tile"):
        runs.run(
            items("c a b"),
            out=tmp_path,
            command="tile",
            recipe=recipe,
            work=draw,
            files=runs.Files(beside=beside),
        )
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_two_slides_whose_files_have_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    def both(item: Item, target: Path, recipe: dict[str, Any], tick: runs.Tick) -> None:
        target.write_text(item.slide_id)
        target.with_name(f"{target.stem}_normal.png").write_text(item.slide_id)

    def more(item: Item, target: Path) -> list[Path]:
        return [target.with_name(f"{target.stem}_normal.png")]

    summary = runs.run(
        items("a a_normal"),
        out=tmp_path,
        command="heatmap",
        recipe=recipe,
        work=both,
        files=runs.Files(".png", more),
    )
    assert (summary.done, summary.failed) == (["a"], ["a_normal"])
    assert "a_normal.png: there already" in summary.failures["a_normal"]
    assert (tmp_path / "a_normal.png").read_text() == "a"


@dataclass(frozen=True)
class Held(Item):
    log: Path

    def close(self) -> None:
        with self.log.open("a") as log:
            log.write(f"{self.slide_id} ")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_item_is_closed_when_its_slide_has_ended_well_or_not(
    tmp_path: Path, workers: int
) -> None:
    held = [Held(name, tmp_path / "log") for name in ("a", "broken", "bug")]
    runs.run(held, out=tmp_path / "out", command="embed", recipe=recipe, work=work, workers=workers)
    assert sorted((tmp_path / "log").read_text().split()) == ["a", "broken", "bug"]
