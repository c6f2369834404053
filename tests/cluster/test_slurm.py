"""The workflow on a real Slurm of two nodes; `tests/cluster/run` starts it and calls this."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from histocnn.phantom.cohort import make_cohort

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 1000  # on a machine that others keep busy, too
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(2400),
    pytest.mark.skipif("HISTOCNN_CLUSTER" not in os.environ, reason="tests/cluster/run starts it"),
]
TRAINING = """
seed_everything: 0
data: {augment: none, workers: 0, input_px: 28}
model: {backbone: lenet5, weights: null}
trainer: {max_epochs: 40, accelerator: cpu, enable_progress_bar: false}
early_stopping: {patience: 100}
"""
# What the machine has, and a cluster without accounting, asked often.
OF_THIS_CLUSTER = [
    *("--set-threads", "train=1", "predict=1"),
    *("--set-resources", "train:mem_mb=3000", "predict:mem_mb=3000", "evaluate:mem_mb=3000"),
    *("--default-resources", "slurm_partition=main"),
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "4"),
    *("--slurm-no-account", "--latency-wait", "10"),
]


def wait_for(what: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


def running(columns: str) -> list[list[str]]:
    out = subprocess.run(
        ["squeue", "-h", "-t", "R", "-o", columns], capture_output=True, text=True, check=True
    ).stdout
    return [line.split() for line in out.splitlines()]


def descendants(pid: int) -> list[int]:
    """A process and all below it, which any of its threads may have begun."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return [pid, *(d for child in children for d in descendants(child))]


def lose(node: str) -> None:
    """End a node with all that runs on it, as pulling its plug does."""
    jobs = [job for job, where in running("%A %N") if where == node]
    steps = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit()
        and any(f"slurmstepd: [{job}." in _command_line(entry) for job in jobs)
    ]
    daemon = int((Path(os.environ["HISTOCNN_CLUSTER"]) / "pids" / node).read_text())
    for pid in [daemon, *(d for step in steps for d in descendants(step))]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""


def test_a_training_lost_with_its_node_goes_on_elsewhere(tmp_path: Path) -> None:
    bring_back("n0", "n1")
    slides = make_cohort(tmp_path / "data", slides=3, patients=3, labs=2, size_px=(1024, 1024))
    (tmp_path / "train.yaml").write_text(TRAINING)
    (tmp_path / "wf.yaml").write_text(
        f"slides: {slides}\nout: out\npatch_px: 64\ntrain_config: train.yaml\n"
    )
    log = tmp_path / "snakemake.log"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with log.open("w") as said:
        workflow = subprocess.Popen(
            [ROOT / "workflows/run", "slurm", "cnn", "--configfile", "wf.yaml", *OF_THIS_CLUSTER],
            cwd=tmp_path, env=os.environ | {"PATH": path}, stdout=said, stderr=said,
        )  # fmt: skip
        try:
            training = tmp_path / "out/cnn/train/checkpoints/last.ckpt"
            wait_for(lambda: training.exists() or workflow.poll() is not None, PATIENCE_S)
            assert workflow.poll() is None, log.read_text()[-3000:]
            ((_, node),) = running("%A %N")  # training waits for all grids, and all for it
            lose(node)
            workflow.wait(timeout=PATIENCE_S)
        finally:
            workflow.terminate()
            workflow.wait()
    text = log.read_text()
    assert workflow.returncode == 0, text[-3000:]
    assert (tmp_path / "out/cnn/report/report.html").exists()
    assert len(list((tmp_path / "out/cnn/heatmaps").glob("phantom_0?.png"))) == 3
    assert text.count("Trying to restart job") == 1  # the training alone
    # It went on from a checkpoint, so the second run's log begins after the first epoch.
    assert "training begins at the start" not in (tmp_path / "out/logs/train.log").read_text()
    controller = (Path(os.environ["HISTOCNN_CLUSTER"]) / "slurmctld.log").read_text()
    assert set(re.findall(r"Allocate JobId=\d+ NodeList=(n\d)", controller)) == {"n0", "n1"}


def test_one_training_over_two_nodes(tmp_path: Path) -> None:
    slides = make_cohort(tmp_path / "data", slides=3, patients=3, labs=2, size_px=(1024, 1024))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        ["histocnn", "tile", "--slides", slides, "--patch_px", "64", "--out", tmp_path / "grids"],
        env=os.environ | {"PATH": path}, check=True,
    )  # fmt: skip
    small = tmp_path / "train.yaml"
    small.write_text(TRAINING.replace("max_epochs: 40", "max_epochs: 1"))
    bring_back("n0", "n1")
    out, log = tmp_path / "out", tmp_path / "sbatch.log"
    done = subprocess.run(
        [
            *("sbatch", "--wait", "--partition=main", "--gpus-per-node=0", "--cpus-per-task=1"),
            *("--mem=2500M", "--chdir", ROOT, "--output", log, ROOT / "workflows/train.sbatch"),
            *("--config", small, "--data.patches", tmp_path / "grids", "--data.slides", slides),
            *("--out", out),
        ],
        env=os.environ | {"PATH": path}, check=False, timeout=PATIENCE_S,
    )  # fmt: skip
    said = log.read_text()
    assert done.returncode == 0, said[-3000:]
    assert "MEMBER: 2/2" in said
    assert (out / "model.safetensors").exists()


def bring_back(*nodes: str) -> None:
    """Start the daemons of nodes that an earlier test lost, and wait until all are idle."""
    for node in nodes:
        pid = (Path(os.environ["HISTOCNN_CLUSTER"]) / "pids" / node).read_text().strip()
        if not Path("/proc", pid).exists():
            subprocess.run(["slurmd", "-N", node], check=True)
    ask = ["sinfo", "-h", "-t", "idle", "-o", "%D"]
    wanted = f"{len(nodes)}\n"
    wait_for(lambda: subprocess.run(ask, capture_output=True, text=True).stdout == wanted, 90)
