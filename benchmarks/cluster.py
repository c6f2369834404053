"""The workflow on a Slurm whose stages sleep as long as real ones take, a factor faster.

tests/cluster/slurm python benchmarks/cluster.py --out FOLDER [--slides 512 --faster 200 --lose]

Two slides fail at a stage, one is unusable, and with --lose a node is lost after a third of the
jobs and is there again a minute later. By the controller's log: what a job costs beside its sleep.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.stand_in import install
from tests.cluster.test_slurm import OF_THIS_CLUSTER, lose

RUN = Path(__file__).resolve().parents[1] / "workflows/run"
LOG = Path(os.environ.get("HISTOCNN_CLUSTER", ".")) / "slurmctld.log"
# Of a slide of 10,000 patches, docs/scale.md.
SLIDE_S = {"doctor": 1.0, "tile": 4.0, "predict": 115.0, "heatmap": 4.0}
EVENT = re.compile(
    r"\[(?P<at>\S+)\] .*?(?P<what>submit_batch_job: JobId|Allocate JobId|Started JobId"
    r"|_job_complete: JobId)=(?P<job>\d+)(?: .*?(?:NodeList=|on )(?P<node>n\d))?"
)


class Job(NamedTuple):
    """When it was asked for, began and ended, seconds of the log's clock, and where it ran."""

    asked: float
    began: float
    ended: float
    node: str


def main() -> None:
    """Run the target `cnn`, and print what jobs took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--slides", type=int, default=512)
    parser.add_argument("--faster", type=float, default=200)
    parser.add_argument("--lose", action="store_true")
    given = parser.parse_args()
    out: Path = given.out.resolve()
    cohort(out, given.slides)
    sleeps = {stage: seconds / given.faster for stage, seconds in SLIDE_S.items()}
    path = f"{install(out / 'bin')}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "STAND_IN_S": json.dumps(sleeps)}
    words = [str(RUN), "slurm", "cnn", "--config", "model=model", *OF_THIS_CLUSTER]
    asked = time.time()
    with (out / "snakemake.log").open("w") as said:
        workflow = subprocess.Popen(words, cwd=out, env=environment, stdout=said, stderr=said)
        if given.lose:
            lose_for_a_minute(workflow, "n1", after=planned(given.slides) // 3)
        code = workflow.wait()
    (out / "slurmctld.log").write_text(LOG.read_text())
    print(f"exit code {code}, of which three slides are to blame")
    show(list(jobs(LOG.read_text()).values()), asked, given.slides * sum(sleeps.values()))


def cohort(out: Path, count: int) -> None:
    """Slides that are texts, and a model that is one."""
    (out / "slides").mkdir(parents=True)
    (out / "model").write_text("model")
    fate = {5: "fail-tile", 6: "fail-predict", 7: "bad"}
    rows = ["slide_id,slide_path"]
    for i in range(count):
        (out / f"slides/s{i:06d}.tif").write_text(fate.get(i, f"slide {i}"))
        rows.append(f"s{i:06d},slides/s{i:06d}.tif")
    (out / "slides.csv").write_text("\n".join(rows) + "\n")


def planned(slides: int) -> int:
    """Jobs that the queue gets: four stages over shards of 16, and what follows them."""
    return 4 * -(-slides // 16) + 1


def lose_for_a_minute(workflow: subprocess.Popen[bytes], node: str, after: int) -> None:
    """Take a node away once so many jobs have ended, and start it again."""
    while sum(job.ended > 0 for job in jobs(LOG.read_text()).values()) < after:
        if workflow.poll() is not None:
            return
        time.sleep(2)
    print(f"{node} is lost", flush=True)
    lose(node)
    time.sleep(60)
    subprocess.run(["slurmd", "-N", node], check=True)


def jobs(log: str) -> dict[str, Job]:
    """The jobs of a controller's log; 0 for what has not happened."""
    found: dict[str, Job] = {}
    for event in EVENT.finditer(log):
        at = datetime.fromisoformat(event["at"]).timestamp()
        job = found.get(event["job"], Job(0, 0, 0, ""))
        if event["what"].startswith("submit"):
            job = job._replace(asked=at)
        elif event["what"].startswith("_job"):
            job = job._replace(ended=at)
        else:
            job = job._replace(began=at, node=event["node"] or "")
        found[event["job"]] = job
    return found


def show(found: list[Job], asked: float, slept: float) -> None:
    """Print throughput, and where a job's time went beside the sleep."""
    whole = [job for job in found if job.ended and job.began]
    first, last = min(job.began for job in whole), max(job.ended for job in whole)
    on_node = sorted(job.ended - job.began for job in whole)
    gaps = []
    for node in {job.node for job in whole}:
        own = sorted((job for job in whole if job.node == node), key=lambda job: job.began)
        gaps += [b.began - max(a.ended, b.asked) for a, b in pairwise(own)]
    beside = (sum(on_node) - slept) / len(whole)
    print(
        f"{len(found)} jobs, {len(whole)} of them begun and ended; the first began"
        f" {first - asked:.0f} s after the command, the last ended {last - first:.0f} s later:"
        f" {60 * len(whole) / (last - first):.1f} jobs a minute\n"
        f"on the node {median(on_node):.1f} s, nine in ten under"
        f" {on_node[len(whole) * 9 // 10]:.1f} s; asleep {slept / len(whole):.1f} s,"
        f" {beside:.1f} s beside; until a node's next begins {median(gaps):.1f} s"
    )


if __name__ == "__main__":
    main()
