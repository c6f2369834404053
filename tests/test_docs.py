"""What README and docs tell people to type is what the commands take, and it does what it says."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from histocnn import cli
from histocnn.phantom.cohort import make_cohort
from histocnn.slides.slide import Slide
from tests.feature_files import write_features
from tests.score_files import CLASSES, grid_of, random_scores, write_scores

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# A network that learns in seconds and needs no download, in the place of the documented one.
SMALL = ["--model.backbone", "lenet5", "--model.weights", "null", "--data.input_px", "28"]
SMALL += ["--data.workers", "0", "--data.augment", "none", "--trainer.max_epochs", "1"]
SMALL += ["--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu"]


class Command(NamedTuple):
    page: str
    line: int
    words: list[str]  # after `histocnn`


def fences(page: Path, language: str) -> list[tuple[int, str]]:
    """Line number and text of each block of code in this language."""
    text = page.read_text(encoding="utf-8")
    blocks = re.finditer(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(text[: block.start(1)].count("\n") + 1, block[1]) for block in blocks]


def commands(page: Path) -> list[Command]:
    """Every `histocnn …` of a page's shell blocks, also within torchrun and behind &&."""
    found = []
    for start, block in fences(page, "bash"):
        for number, line in enumerate(block.replace("\\\n", "  ").splitlines()):
            for part in re.split(r"&&|\||;|>", line):
                words = shlex.split(part, comments=True)
                names = [Path(word).name for word in words]
                if names[:1] == ["histocnn"]:
                    found.append(Command(page.name, start + number, words[1:]))
                elif "histocnn.cli" in names:
                    inner = words[names.index("histocnn.cli") + 1 :]
                    found.append(Command(page.name, start + number, inner))
    return found


EVERY = [command for page in PAGES for command in commands(page)]


def test_every_command_of_the_table_is_documented() -> None:
    assert {command.words[0] for command in EVERY} >= set(cli.COMMANDS) - {"probe"}


@pytest.mark.parametrize("command", EVERY, ids=lambda c: f"{c.page}:{c.line} {c.words[0]}")
def test_every_documented_command_is_understood(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    for flag, value in zip(command.words, command.words[1:], strict=False):
        if flag == "--config" and not Path(value).exists():
            Path(value).write_text("{}\n")  # one that the reader makes
    with pytest.raises(SystemExit) as ended:
        cli.main([*command.words, "--print_config"])
    assert ended.value.code in (0, None), capsys.readouterr().err


def test_every_flag_in_running_text_exists() -> None:
    known = {"config", "print_config", "help", "version"}
    known |= {"worker", "model-path"}  # of search; of wsinfer
    for script in (ROOT / "benchmarks").glob("*.py"):
        known |= set(re.findall(r"\"--([a-z_]+)\"", script.read_text()))
    known |= {"data", "model", "trainer", "ckpt_path", "anonymise", "overwrite"}  # of train
    known |= {
        "configfile",
        "cores",
        "dag",
        "touch",
        "default-resources",
        "set-resources",
        "set-threads",
    }
    known |= {"dag", "touch", "slurm-status-command", "slurm-no-account"}  # of Snakemake
    for name in set(cli.COMMANDS) - {"train", "search"}:
        stage = getattr(importlib.import_module(cli.COMMANDS[name].module), name, None)
        known |= set(inspect.signature(stage).parameters) if stage else set()
    for page in PAGES:
        prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        said = {flag for code in re.findall(r"`((?!sbatch)[^`]+)`", prose)
                for flag in re.findall(r"(?:^|\s)--([a-z_-]+)", code)}  # fmt: skip
        assert said <= known, (page.name, said - known)


NAMED = re.compile(r"`(?:tests/)?((?:\w+/)*test_\w+\.py)(?:::(\w+))?`")


def test_every_test_that_the_docs_name_exists() -> None:
    known = {path.relative_to(ROOT / "tests"): path for path in (ROOT / "tests").rglob("test_*.py")}
    named = [
        (page.name, *name) for page in PAGES for name in NAMED.findall(page.read_text("utf-8"))
    ]
    assert len(named) > 60
    missing = [
        name
        for name in named
        if not any(
            path.match(name[1]) and (not name[2] or f"def {name[2]}(" in file.read_text("utf-8"))
            for path, file in known.items()
        )
    ]
    assert missing == []


def test_documented_workflow_settings_are_those_of_the_workflow() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    yaml = pytest.importorskip("yaml")
    defaults = yaml.safe_load((ROOT / "workflows/config.yaml").read_text())
    schema = yaml.safe_load((ROOT / "workflows/schemas/config.schema.yaml").read_text())
    jsonschema.validate(defaults, schema)
    ((_, example),) = fences(ROOT / "docs/configuration.md", "yaml")
    given = yaml.safe_load(example)
    options = defaults["options"] | given.pop("options")
    jsonschema.validate(defaults | given | {"options": options}, schema)
    table = (ROOT / "docs/configuration.md").read_text().partition("## The workflow")[2]
    named = {name for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
             for name in re.findall(r"`(\w+)`", cell)}  # fmt: skip
    assert named == set(defaults)


def test_doctor_and_tile_of_the_docs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = make_cohort(tmp_path, slides=1, patients=1, labs=1, size_px=(1024, 1024))
    monkeypatch.chdir(tmp_path)
    ran = set()
    for number, command in enumerate(EVERY):
        if command.words[0] in ("doctor", "tile") and "--config" not in command.words:
            words = command.words.copy()
            words[words.index("--slides") + 1] = str(sheet)
            if "--out" in words:
                words[words.index("--out") + 1] = f"out{number}"
            if "--print_config" not in words:
                assert cli.main(words) == 0, command
                ran.add(words[0])
    assert ran == {"doctor", "tile"}


def test_the_python_of_the_docs_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_cohort(tmp_path / "demo/cohort", slides=1, patients=1, labs=1, size_px=(2048, 2048))
    slide = Slide(tmp_path / "demo/cohort/slides/phantom_01.tif")
    grid = grid_of(slide, 224, 0.5)
    write_scores(
        tmp_path / "scores/a.h5", slide, grid, random_scores(len(grid)),
        labels=np.arange(len(grid)) % 2, attributes={"labels.class_names": list(CLASSES)},
    )  # fmt: skip
    write_features(tmp_path / "features/a.h5", like=tmp_path / "scores/a.h5")
    monkeypatch.chdir(tmp_path)
    elsewhere = {"lectures.md", "deploy.md"}  # test_lectures.py, test_export_model.py
    pages = [page for page in PAGES if page.name not in elsewhere]
    blocks = [(page.name, *block) for page in pages for block in fences(page, "python")]
    assert {"formats.md", "tutorial.md"} <= {page for page, *_ in blocks}
    for page, line, code in blocks:
        exec(compile(code, f"{page}:{line}", "exec"), {})  # noqa: S102 - our own pages


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_tutorial_runs_from_top_to_bottom(tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    make_cohort(tmp_path / "demo/cohort", slides=6, patients=6, size_px=(2048, 2048))
    told = commands(ROOT / "docs/tutorial.md")
    assert told
    for command in told:
        more = SMALL if command.words[0] == "train" else []
        done = subprocess.run(
            [sys.executable, "-m", "histocnn.cli", *command.words, *more],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout[-1500:], done.stderr[-1500:])
