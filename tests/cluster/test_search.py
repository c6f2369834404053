"""A search by the workflow on a real Slurm, one of whose nodes is lost in mid-trial."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from histocnn.phantom.cohort import make_cohort
from tests.cluster.test_slurm import (
    OF_THIS_CLUSTER,
    PATIENCE_S,
    ROOT,
    TRAINING,
    bring_back,
    lose,
    running,
    wait_for,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(2400),
    pytest.mark.skipif("HISTOCNN_CLUSTER" not in os.environ, reason="tests/cluster/run starts it"),
]
SEARCH = """
search:
  sampler: grid
  folds: 1
  prune: false
  space: {model.learning_rate: [1.0e-3, 2.0e-3, 3.0e-3, 4.0e-3]}
"""
OF_THE_SEARCH = [
    *("--set-threads", "worker=1", "conclude=1"),
    *("--set-resources", "worker:mem_mb=3000", "conclude:mem_mb=3000"),
    *("--config", "search_workers=2"),
]


def under_way(study: Path) -> int:
    """Trials that have told of an epoch and have not ended."""
    begun = study.glob("trials/*/epochs.jsonl")
    return sum(1 for path in begun if not path.with_name("result.json").exists())


def test_a_search_that_loses_a_node_loses_no_trial(tmp_path: Path) -> None:
    slides = make_cohort(tmp_path / "data", slides=3, patients=3, labs=2, size_px=(1024, 1024))
    (tmp_path / "search.yaml").write_text(
        TRAINING.replace("max_epochs: 40", "max_epochs: 20") + SEARCH
    )
    (tmp_path / "wf.yaml").write_text(
        f"slides: {slides}\nout: out\npatch_px: 64\nsearch_config: search.yaml\n"
    )
    bring_back("n0", "n1")
    log, study = tmp_path / "snakemake.log", tmp_path / "out/search/study"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with log.open("w") as said:
        workflow = subprocess.Popen(
            [ROOT / "workflows/run", "slurm", "search", "--configfile", "wf.yaml",
             *OF_THIS_CLUSTER, *OF_THE_SEARCH],
            cwd=tmp_path, env=os.environ | {"PATH": path}, stdout=said, stderr=said,
        )  # fmt: skip
        try:
            wait_for(lambda: under_way(study) == 2 or workflow.poll() is not None, PATIENCE_S)
            assert workflow.poll() is None, log.read_text()[-3000:]
            nodes = {node for _, node in running("%A %N")}
            assert nodes == {"n0", "n1"}, "both workers are at work"
            lose("n1")
            workflow.wait(timeout=PATIENCE_S)
        finally:
            workflow.terminate()
            workflow.wait()
    assert workflow.returncode == 0, log.read_text()[-3000:]
    with (study / "trials.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    done = sorted(row["model.learning_rate"] for row in rows if row["state"] == "complete")
    assert done == ["0.001", "0.002", "0.003", "0.004"]
    assert any(row["state"] == "lost" for row in rows)
    assert (study / "search.html").exists()
    assert (study / "best" / "model.safetensors").exists()
