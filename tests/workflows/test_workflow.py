"""The Snakemake workflow: what it refuses, what it plans, and (slow) what it makes."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from histocnn.phantom.cohort import make_cohort
from tests.storage.test_yaml import LAUGHS

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "workflows/run"
HERE = Path(sys.executable).parent
PATH = f"{HERE}:{os.environ['PATH']}"
pytestmark = pytest.mark.skipif(
    shutil.which("snakemake", path=PATH) is None,
    reason="snakemake (the extra `workflow`) is absent",
)
TRAINING = """
seed_everything: 0
data: {augment: none, workers: 0, input_px: 28}
model: {backbone: lenet5, weights: null}
trainer: {max_epochs: 2, accelerator: cpu, enable_progress_bar: false}
"""


def call(words: Sequence[str | Path], folder: Path, path: str = PATH) -> tuple[int, str]:
    done = subprocess.run(
        list(words),
        cwd=folder,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


# Snakemake as workflows/run calls it, again and again in one process: its import takes longer than
# a plan.
PLANNING = """
import json, os, sys, tempfile
from snakemake.cli import main
answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    folder, words = json.loads(line)
    os.chdir(folder)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        try:
            code = main(words)
        except SystemExit as end:
            code = end.code
        sys.stdout.flush()
        sys.stderr.flush()
        said.seek(0)
        print(json.dumps([code, said.read().decode()]), file=answers, flush=True)
"""
Plan = Callable[[Sequence[str], Path], tuple[int, str]]


@pytest.fixture(scope="module")
def plan() -> Iterator[Plan]:
    """`call([RUN, "local", *words], folder)`, but for what workflows/run looks at itself."""
    workflows = ROOT / "workflows"
    local = ["--snakefile", str(workflows / "Snakefile"),
             "--workflow-profile", str(workflows / "profiles/local")]  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", PLANNING], env=os.environ | {"PATH": PATH},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(words: Sequence[str], folder: Path) -> tuple[int, str]:
            print(json.dumps([str(folder), [*local, *words]]), file=process.stdin, flush=True)
            code, said = json.loads(process.stdout.readline())
            return code, said

        yield ask
        process.stdin.close()


def jobs(said: str) -> Counter[str]:
    """Planned jobs by rule, from the table of a dry run."""
    table = said.rpartition("Job stats:")[2].partition("Reasons:")[0]
    return Counter({name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)})


def write_sheet(folder: Path, *rows: str, columns: str = "slide_id,slide_path,split") -> None:
    for name in "abc":
        (folder / f"{name}.tif").touch()
    (folder / "slides.csv").write_text("\n".join([columns, *rows]) + "\n")


def test_lint_finds_nothing(tmp_path: Path, plan: Plan) -> None:
    write_sheet(tmp_path, "a,a.tif,train")
    code, said = plan(["--lint"], tmp_path)
    assert code == 0, said
    assert "good condition" in said


@pytest.mark.parametrize("target", ["cnn", "knn"])
def test_a_dry_run_plans_every_stage_of_every_slide(
    tmp_path: Path, plan: Plan, target: str
) -> None:
    write_sheet(tmp_path, "a,a.tif,train", "b,b.tif,val", "c,c.tif,test")
    code, said = plan([target, "-n"], tmp_path)
    assert code == 0, said
    planned = jobs(said)
    each = {"cnn": ["predict"], "knn": ["embed", "neighbours"]}[target]
    every = dict.fromkeys(["sheet", "doctor", "tile", *each, "heatmap"], 3)
    once = {"usable": 1, "slide_scores": 1, target: 1}
    once |= {"train": 1, "complete": 3} if target == "cnn" else {"complete": 2}
    assert planned == {**every, **once, "total": sum([*every.values(), *once.values()])}
    assert not (tmp_path / "results").exists()


def test_a_dry_run_of_a_search_plans_its_workers_and_one_conclusion(
    tmp_path: Path, plan: Plan
) -> None:
    write_sheet(tmp_path, "a,a.tif,train", "b,b.tif,val", "c,c.tif,test")
    code, said = plan(["search", "-n", "--config", "search_workers=3"], tmp_path)
    assert code == 0, said
    planned = jobs(said)
    assert (planned["worker"], planned["conclude"], planned["search"]) == (3, 1, 1)
    assert planned["tile"] == 3
    assert not planned["predict"]


@pytest.mark.parametrize(
    ("sheet", "config", "words"),
    [
        (["a,a.tif,train", "b,b.tif,trian"], [], "line 3, column split"),
        (["a,a.tif,train", "b,b.tif,val", "c,c.tif,"], [], "slide c, column split is empty"),
        (["a,a.tif,train"], ["patchpx=64"], "'patchpx' was unexpected"),
    ],
)
def test_errors_are_found_before_the_first_job_and_name_row_and_column(
    tmp_path: Path, plan: Plan, sheet: list[str], config: list[str], words: str
) -> None:
    write_sheet(tmp_path, *sheet)
    code, said = plan(["cnn", *(["--config", *config] if config else [])], tmp_path)
    assert code == 1
    assert words in said
    assert "Traceback (most recent call last)" not in said
    assert not (tmp_path / "results").exists()


def test_a_resolution_that_no_scanner_has_is_found_in_the_sheet(tmp_path: Path, plan: Plan) -> None:
    write_sheet(tmp_path, "a,a.tif,0.5", "b,b.tif,352.8", columns="slide_id,slide_path,mpp")
    code, said = plan(["knn", "-n"], tmp_path)
    assert code == 1
    assert "slide b, column mpp: 352.8 is greater than the maximum of 50" in said


@pytest.mark.parametrize("key", ["train_config", "model", "reference", "weights"])
def test_a_file_in_the_settings_that_is_not_there_is_found_before_the_first_job(
    tmp_path: Path, plan: Plan, key: str
) -> None:
    write_sheet(tmp_path, "a,a.tif,train", "b,b.tif,val", "c,c.tif,test")
    code, said = plan(["cnn", "--config", f"{key}=nowhere"], tmp_path)
    assert code == 1
    assert f"workflow config, key {key}: there is no {tmp_path}/nowhere" in said
    assert not (tmp_path / "results").exists()


def test_a_missing_profile_plugin_or_snakemake_says_what_to_do(tmp_path: Path) -> None:
    code, said = call([RUN, "sge", "cnn"], tmp_path)
    assert (code, "there is no profile sge. There are: local slurm" in said) == (2, True)
    profile = tmp_path / "lsf"
    profile.mkdir()
    (profile / "config.yaml").write_text("executor: lsf\n")
    code, said = call([RUN, profile, "cnn"], tmp_path)
    assert (code, "pip install snakemake-executor-plugin-lsf" in said) == (2, True)
    code, said = call([RUN, "local", "cnn"], tmp_path, path="/usr/bin:/bin")
    assert (code, "pip install '.[workflow]'" in said) == (2, True)


def test_a_failed_job_shows_the_end_of_its_log(tmp_path: Path) -> None:
    write_sheet(tmp_path, "a,a.tif,")
    (tmp_path / "wf.yaml").write_text("options: {doctor: --nonsense 1}\n")
    code, said = call([RUN, "local", "knn", "--configfile", "wf.yaml"], tmp_path)
    assert code == 1
    shown = said.partition("results/logs/doctor/slides-00000.log ends with:")[2]
    assert "--nonsense" in shown


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_slides_to_reports_then_nothing_to_do_then_one_slides_jobs_only(tmp_path: Path) -> None:
    sheet = make_cohort(tmp_path, slides=3, patients=3, labs=2, size_px=(1024, 1024))
    with sheet.open(newline="") as file:
        rows = list(csv.DictReader(file))
    (tmp_path / "slides/broken.tif").write_bytes(b"II*\0 and nothing more")
    shutil.copy(tmp_path / "slides/phantom_03.tif", tmp_path / "slides/coarse.tif")
    broken = rows[-1] | {"slide_id": "broken", "slide_path": "slides/broken.tif"}
    coarse = rows[-1] | {"slide_id": "coarse", "slide_path": "slides/coarse.tif", "mpp": "2"}
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(coarse))
        writer.writeheader()
        writer.writerows([*rows, broken, coarse])
    (tmp_path / "train.yaml").write_text(TRAINING)
    words = [RUN, "local", "cnn", "--config", "train_config=train.yaml", "patch_px=64"]
    code, said = call(words, tmp_path)
    assert code == 0, said[-3000:]
    assert "2 of 5 slides are unusable" in said
    assert re.search(r"^  broken: .*broken\.tif", said, re.MULTILINE)
    assert re.search(r"^  coarse: .*Ask for --mpp 2 or more", said, re.MULTILINE)
    out = tmp_path / "results"
    assert (out / "cnn/report/report.html").is_file()
    assert len(list(out.glob("cnn/heatmaps/phantom_0?.png"))) == 3
    assert len((out / "cnn/heatmaps/slides.csv").read_text().splitlines()) == 4

    code, said = call(words, tmp_path)
    assert "Nothing to be done" in said

    slide = tmp_path / "slides/phantom_03.tif"  # of the test split
    slide.write_bytes(slide.read_bytes() + b"\0")
    model = (out / "cnn/train/model.safetensors").stat().st_mtime_ns
    code, said = call(words, tmp_path)
    assert code == 0, said[-3000:]
    ran = re.findall(r"^local(?:rule|checkpoint) (\w+):", said, re.MULTILINE)
    its_own = ["doctor", "tile", "predict", "heatmap"]
    of_all = ["usable", "complete", "complete", "slide_scores", "evaluate", "cnn"]
    assert sorted(ran) == sorted([*its_own, *of_all])
    (shard,) = set(re.findall(r"shard=([\w-]+)", said))
    assert "phantom_03," in (out / f"shards/{shard}/sheet.csv").read_text()
    assert (out / "cnn/train/model.safetensors").stat().st_mtime_ns == model


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_colorectal_slides_compared_with_labelled_images(shared: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared / "data/patches/colorectal-5class-224px.zip") as images:
        for kind in ("AC", "H"):
            names = sorted(n for n in images.namelist() if f"/{kind}/" in n and n.endswith(".jpg"))
            for name in names[:100]:
                images.extract(name, tmp_path)
    (reference,) = (folder.parent for folder in tmp_path.rglob("AC"))
    rows = [
        f"{name},{shared}/data/slides/{name}.tiff,CRC01,{shared}/data/annotations/{name}.geojson"
        for name in ("CRC01-west", "CRC01-middle")
    ]
    header = "slide_id,slide_path,patient_id,annotation_path"
    (tmp_path / "slides.csv").write_text("\n".join([header, *rows]) + "\n")
    (tmp_path / "wf.yaml").write_text(
        f"mpp: 1.3\nreference: {reference}\nbackbone: squeezenet1_1\n"
        f"weights: {shared}/weights/squeezenet1_1-imagenet.safetensors\n"
        "options: {evaluate: '--match AC=Tumor,H=Normal --target Tumor', reference: --mpp 1.3}\n"
    )
    code, said = call([RUN, "local", "knn", "--configfile", "wf.yaml"], tmp_path)
    assert code == 0, said[-3000:]
    out = tmp_path / "results/knn"
    assert (out / "report/report.html").is_file()
    for name in ("CRC01-west", "CRC01-middle"):
        assert (out / f"heatmaps/{name}_AC.png").is_file()
    figures = json.loads((out / "report/metrics.json").read_text())["patch"]["figures"]
    assert (
        figures["accuracy"]["value"] > 0.5
    )  # annotated is tumour; a coin would call half of it so


def test_options_are_words_and_no_shell(tmp_path: Path, plan: Plan) -> None:
    write_sheet(tmp_path, "a,a.tif,train")
    options = {"doctor": "; touch ran; --match 'a b=c' $(touch ran) --x '"}
    (tmp_path / "mine.yaml").write_text(json.dumps({"options": options}))
    words = ["knn", "--configfile", "mine.yaml", "--dry-run", "--printshellcmds"]
    code, said = plan(words, tmp_path)
    assert code != 0
    assert "key options.doctor: No closing quotation" in said
    options["doctor"] = options["doctor"][: -len(" --x '")]
    (tmp_path / "mine.yaml").write_text(json.dumps({"options": options}))
    code, said = call([RUN, "local", *words], tmp_path)
    assert code == 0, said
    assert "';' touch 'ran;' --match 'a b=c' '$(touch' 'ran)'" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__use_yte__: true\n?open('ran', 'w'):\n  out: a\n", "__use_yte__"),
        ("__use_yte__: true\n__definitions__:\n  - open('ran', 'w')\n", "__use_yte__"),
        (LAUGHS, "once its aliases are followed"),
        ("out: !!python/object/apply:os.mkdir [ran]\n", "code of Python's"),
    ],
)
def test_settings_that_are_code_or_expand_are_refused_before_snakemake_reads_them(
    tmp_path: Path, text: str, message: str
) -> None:
    write_sheet(tmp_path, "a,a.tif,train")
    (tmp_path / "plain.yaml").write_text("out: results\n")
    (tmp_path / "mine.yaml").write_text(text)
    for flag in ("--configfile", "--configfiles"):
        words = [RUN, "local", "knn", flag, "plain.yaml", "mine.yaml", "--dry-run"]
        code, said = call(words, tmp_path)
        assert code == 2, said
        assert said.startswith("workflows/run: mine.yaml: ")
        assert message in said
        assert said.count("\n") == 1
    assert not (tmp_path / "ran").exists()
