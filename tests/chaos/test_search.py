"""A search on a disk that gets full: the worker ends with a line, and no trial is lost."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.test_disk import small_disk
from tests.models.patch_files import write_folder
from tests.stages.test_search import configuration

pytestmark = [pytest.mark.chaos, pytest.mark.usefixtures("root_only")]
TOO_SMALL_KIB = (40, 150, 400)  # the folds fit, a trial's files do, its checkpoints do not
RATES = [1e-3, 2e-3, 4e-3]


def searched(config: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "histocnn.cli", "search", "--config", config, "--out", out]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kib", TOO_SMALL_KIB)
def test_a_search_on_a_full_disk_goes_on_when_there_is_space(tmp_path: Path, kib: int) -> None:
    write_folder(tmp_path / "disc", patients=14, per_patient=2)
    config = configuration(tmp_path, {"model.learning_rate": RATES})
    out = tmp_path / "out"
    with small_disk(out, kib):
        ended = searched(config, out)
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert "the disk is full" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert not (out / "result.json").exists()
        subprocess.run(["mount", "-o", "remount,size=1g", str(out)], check=True)
        again = searched(config, out)
        assert again.returncode == 0, again.stderr
        with (out / "trials.csv").open() as lines:
            rows = [row for row in csv.DictReader(lines) if row["state"] == "complete"]
        assert sorted(float(row["model.learning_rate"]) for row in rows) == RATES
        assert (out / "best" / "model.safetensors").is_file()
        assert not [path for path in out.rglob("*") if path.name.endswith(".part")]
