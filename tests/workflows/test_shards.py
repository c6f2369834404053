"""Several slides per job: one that fails fails alone and is tried again alone."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.stand_in import install
from tests.workflows.test_workflow import PATH, ROOT, RUN, jobs
from tests.workflows.test_workflow import pytestmark as needs_snakemake

SHARD = ROOT / "workflows/scripts/shard.py"


class Cohort:
    """Slides that are texts, and a histocnn that writes down what it works on."""

    def __init__(self, folder: Path, slides: int, splits: str = "train test val") -> None:
        self.folder = folder
        self.log = folder / "worked"
        (folder / "slides").mkdir(parents=True)
        rows = ["slide_id,slide_path,split"]
        for i in range(slides):
            (self.slide(i)).write_text(f"slide {i}\n")
            rows.append(f"s{i:05d},slides/s{i:05d}.tif,{splits.split()[i % len(splits.split())]}")
        (folder / "slides.csv").write_text("\n".join(rows) + "\n")
        self.path = f"{install(folder / 'bin')}:{PATH}"

    def slide(self, number: int) -> Path:
        return self.folder / f"slides/s{number:05d}.tif"

    def run(self, *words: str | Path) -> tuple[int, str, Counter[str]]:
        """Exit code, what was said, and what was worked on how often: "tile s00003"."""
        self.log.write_text("")
        environment = os.environ | {"PATH": self.path, "STAND_IN_LOG": str(self.log)}
        done = subprocess.run(
            words, cwd=self.folder, env=environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.returncode, done.stdout, Counter(self.log.read_text().splitlines())


def listing(path: Path) -> dict[str, str]:
    """By slide id its file, or why there is none."""
    with path.open(newline="") as file:
        return {row["slide_id"]: row["file"] or row["problem"] for row in csv.DictReader(file)}


def tile(cohort: Cohort) -> tuple[int, str, Counter[str]]:
    command = ["histocnn", "tile", "--slides", "slides.csv", "--out", "grids"]
    return cohort.run(sys.executable, SHARD, "slides.csv", "grids.csv", "grids", ".h5", *command)


def predict(cohort: Cohort) -> tuple[int, str, Counter[str]]:
    command = ["histocnn", "predict", "--slides", "slides.csv", "--patches", "grids", "--out", "p"]
    (cohort.folder / "grids").rename(cohort.folder / "made")  # links take the folder's name
    text = (cohort.folder / "grids.csv").read_text().replace("grids/", "made/")
    (cohort.folder / "grids.csv").write_text(text)
    return cohort.run(sys.executable, SHARD, "grids.csv", "p.csv", "p", ".h5", *command)


def test_a_failed_slide_is_tried_once_more_alone_and_the_others_go_on(tmp_path: Path) -> None:
    cohort = Cohort(tmp_path, 3)
    cohort.slide(1).write_text("fail-tile\n")
    code, _, worked = tile(cohort)
    assert code == 0
    assert worked == {"tile s00000": 1, "tile s00001": 2, "tile s00002": 1}
    assert listing(tmp_path / "grids.csv") == {
        "s00000": "grids/s00000.h5",
        "s00001": "tile: as was asked",
        "s00002": "grids/s00002.h5",
    }
    code, _, worked = predict(cohort)
    assert (code, worked) == (0, {"predict s00000": 1, "predict s00002": 1})
    assert listing(tmp_path / "p.csv")["s00001"] == "tile: as was asked"
    assert len(listing(tmp_path / "p.csv")) == 3


def test_a_stage_that_fails_itself_fails_the_job(tmp_path: Path) -> None:
    cohort = Cohort(tmp_path, 2)
    for code in (1, 2, 137):
        failing = ["sh", "-c", f"exit {code}"]
        words = [sys.executable, SHARD, "slides.csv", "grids.csv", "grids", ".h5", *failing]
        assert cohort.run(*words)[0] == code
        assert not (tmp_path / "grids.csv").exists()


def test_a_listing_changes_with_the_files_and_not_with_a_second_run(tmp_path: Path) -> None:
    cohort = Cohort(tmp_path, 2)
    tile(cohort)
    before = (tmp_path / "grids.csv").read_text().splitlines()
    tile(cohort)
    assert (tmp_path / "grids.csv").read_text().splitlines() == before
    cohort.slide(1).write_text("another\n")
    tile(cohort)
    after = (tmp_path / "grids.csv").read_text().splitlines()
    assert (after[1] == before[1], after[2] == before[2]) == (True, False)


def test_a_shard_without_usable_slides_has_nothing_to_do(tmp_path: Path) -> None:
    cohort = Cohort(tmp_path, 0)
    assert tile(cohort)[0] == 0
    assert listing(tmp_path / "grids.csv") == {}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(*needs_snakemake.args, **needs_snakemake.kwargs)
def test_many_slides_share_jobs_of_one_split_and_few_have_their_own(tmp_path: Path) -> None:
    cohort = Cohort(tmp_path, 66, "train train train train train train train val test test test")
    for setting, expected in (("slides_per_job=16", 14 + 2 + 6), ("slides_per_job=1", 66)):
        code, said, _ = cohort.run(RUN, "local", "cnn", "-n", "--config", setting)
        assert code == 0, said
        planned = jobs(said)  # 66 slides in shards of 3: of 42, 6 and 18
        assert {planned[stage] for stage in ("sheet", "doctor", "tile", "predict")} == {expected}
    code, said, _ = cohort.run(RUN, "local", "cnn", "-n", "--config", "slides_per_job=0")
    assert (code, "key slides_per_job: 0 is less than the minimum of 1" in said) == (1, True)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(*needs_snakemake.args, **needs_snakemake.kwargs)
def test_unusable_failed_mended_and_changed_slides_in_shards(tmp_path: Path) -> None:
    cohort = Cohort(tmp_path, 36)
    workflow = [RUN, "local", "cnn"]
    cohort.slide(3).write_text("bad\n")  # of train; 4 is of test
    cohort.slide(4).write_text("fail-predict\n")
    code, said, worked = cohort.run(*workflow)
    assert code == 1
    assert re.search(r"^  s00003: it is bad", said, re.MULTILINE)
    assert re.search(r"^  s00004: predict: as was asked", said, re.MULTILINE)
    assert worked == {
        f"{stage} s{i:05d}": 1 + (stage == "predict" and i == 4)
        for stage in ("tile", "predict", "heatmap")
        for i in range(36)
        if i != 3 and not (stage == "heatmap" and i == 4)
    }
    code, said, worked = cohort.run(*workflow)
    assert (code, worked) == (1, {"predict s00004": 2})

    cohort.slide(4).write_text("mended\n")
    code, said, worked = cohort.run(*workflow)
    assert code == 0, said[-3000:]
    once = {"tile s00004": 1, "predict s00004": 1, "heatmap s00004": 1}
    assert worked == once
    assert "rule train" not in said
    code, said, worked = cohort.run(*workflow)
    assert (code, worked, "Nothing to be done" in said) == (0, {}, True)
    assert len(list(tmp_path.glob("results/cnn/heatmaps/*.png"))) == 35
