# The checked settings and sheet, who is left after the doctor, and what is said at the end.
import csv
import io
import math
import os
import re
import shlex
import sys
from functools import cache
from pathlib import Path

import jsonschema
import yaml
from snakemake.exceptions import WorkflowError

try:
    from histocnn.cohort.sheet import read_cohort
    from histocnn.errors import HistocnnError
except ImportError:
    raise WorkflowError(
        f"histocnn is not installed beside {sys.executable}. In a clone: pip install '.[workflow]'"
    ) from None


@cache
def validator(schema):
    """Of the schema of this name."""
    with open(workflow.source_path(f"../schemas/{schema}.schema.yaml")) as file:
        return jsonschema.Draft202012Validator(yaml.safe_load(file))


def problems(value, schema):
    """(path of keys, message) of all that the schema of this name does not allow."""
    found = validator(schema).iter_errors(value)
    return [(".".join(map(str, error.absolute_path)), error.message) for error in found]


for key, message in problems(config, "config"):
    raise WorkflowError(f"workflow config, key {key or '(top)'}: {message}")

for stage, options in config["options"].items():  # words, whatever a shell would make of them
    try:
        config["options"][stage] = shlex.join(shlex.split(options))
    except ValueError as error:
        raise WorkflowError(f"workflow config, key options.{stage}: {error}") from None


def read_sheet(path):
    """The rows of the sheet by slide id; what is wrong is named by row and column."""
    try:
        entries = {entry.slide_id: entry for entry in read_cohort(path)}
    except HistocnnError as error:
        raise WorkflowError(str(error)) from None
    for slide in entries:
        for column, message in problems(values_of(entries[slide]), "slides"):
            raise WorkflowError(f"{path}: slide {slide}, column {column}: {message}")
    return entries


@cache
def values_of(entry):
    """What is known of a slide, by column, with paths that hold from anywhere."""
    known = {column: value for column, value in vars(entry).items() if value is not None}
    return {
        column: os.path.abspath(value) if column.endswith("_path") else value
        for column, value in known.items()
    }


def file_of(key):
    """A setting that names a file or folder, or none; a wrong name is found before any job runs."""
    path = config[key]
    if path and not os.path.exists(path):
        raise WorkflowError(f"workflow config, key {key}: there is no {os.path.abspath(path)}")
    return path


SLIDES = read_sheet(config["slides"])
OUT = config["out"]
PATCH = f"--patch_px {config['patch_px']} --mpp {config['mpp']}"
TRAINING = file_of("train_config") or workflow.source_path("../../configs/train.yaml")
SEARCHING = file_of("search_config") or workflow.source_path("../../configs/search.yaml")
MODEL = file_of("model") or f"{OUT}/cnn/train/model.safetensors"
REFERENCE = file_of("reference")
# Files whose change counts; published weights are none.
WEIGHTS = [] if config["weights"] == "imagenet" else [file_of("weights")]
HAS_TRUTH = any(entry.annotation_path or entry.background for entry in SLIDES.values())
SCRIPTS = os.path.join(workflow.basedir, "scripts")  # the same path in every run and on every node
RUNNER = os.path.join(SCRIPTS, "shard.py")
SPLIT_BY_DOCTOR = os.path.join(SCRIPTS, "usable.py")
SPREAD = 32  # jobs a stage where there are so many slides: a few slides keep many cores busy
SIZE = max(1, min(config["slides_per_job"], math.ceil(len(SLIDES) / SPREAD)))


wildcard_constraints:
    shard="[a-z]+-[0-9]+",
    worker="[0-9]+",
    path="cnn|knn",


def shards_of(slides):
    """Slide ids by shard: of one split each, so that a test slide's change trains nothing again."""
    by_split = {}
    for slide in slides:
        by_split.setdefault(SLIDES[slide].split or "slides", []).append(slide)
    return {
        f"{split}-{first // SIZE:05d}": ids[first : first + SIZE]
        for split, ids in by_split.items()
        for first in range(0, len(ids), SIZE)
    }


SHARDS = shards_of(SLIDES)


def sheet_of(shard):
    """The shard's rows as a sheet of their own, line by line."""
    rows = [values_of(SLIDES[slide]) for slide in SHARDS[shard]]
    text = io.StringIO()
    columns = dict.fromkeys(column for row in rows for column in row)
    sheet = csv.DictWriter(text, columns, lineterminator="\n")
    sheet.writeheader()
    sheet.writerows(rows)
    return text.getvalue().splitlines()


def files_of(shard):
    """The files of a shard's slides whose change redoes its jobs."""
    return [
        path
        for slide in SHARDS[shard]
        for column, path in values_of(SLIDES[slide]).items()
        if column.endswith("_path")
    ]


def minutes(first, each):
    """A job's time: of one slide, and of each one more; what ran out of time goes on with more."""
    return lambda wildcards, attempt: (first + each * (SIZE - 1)) * attempt


def listings(what, splits=None):
    """What each shard's job has made, and what of it failed."""
    shards = [s for s in SHARDS if splits is None or s.partition("-")[0] in splits]
    return [f"{OUT}/shards/{shard}/{what}.csv" for shard in shards]


def listings_of(wildcards):
    """The shards' listings that one list is made of."""
    what, _, part = wildcards.what.partition("-to-")
    return listings(what, {"learn": ("train", "val"), "test": ("test",)}.get(part))


def results_of(path):
    """All that a target ends with, with the lists: one that is not there has slides to try again."""
    lists = [f"{path}-heatmaps"]
    if path == "cnn" and not config["model"]:
        check_splits()
        lists += ["grids-to-learn", "grids-to-test"]
    if path == "knn" and not REFERENCE:
        lists.append("features")
    page = [f"{OUT}/{path}/report/report.html"] if HAS_TRUTH else []
    tables = [f"{OUT}/complete/{name}.csv" for name in lists]
    return [*page, f"{OUT}/{path}/heatmaps/slides.csv", *tables]


def search_results():
    """What target search ends with."""
    check_splits()
    return [f"{OUT}/search/study/search.html"]


def check_splits():
    """Refuse a sheet that nothing can be trained on."""
    empty = [slide for slide, entry in SLIDES.items() if not entry.split]
    absent = {"train", "val", "test"} - {entry.split for entry in SLIDES.values()}
    if empty or absent:
        what = f"slide {empty[0]}, column split is empty" if empty else f"no slide is {min(absent)}"
        raise WorkflowError(
            f"{config['slides']}: {what}. To train, every slide has a split (train, val, test); "
            "to apply a model, name it with --config model=FILE"
        )


def reference_features(_):
    """The k-NN's reference: of the images, or of all usable slides."""
    if not REFERENCE:
        return f"{OUT}/complete/features.csv"
    images = Path(os.path.abspath(REFERENCE))
    return f"{OUT}/knn/reference/{images.stem if images.is_file() else images.name}.h5"


def say_unusable():
    """Name on the screen the slides that the doctor took out."""
    path = f"{OUT}/unusable.csv"
    if not os.path.exists(path):
        return
    with open(path) as table:
        rows = list(csv.DictReader(table))
    if rows:
        said = f"{len(rows)} of {len(SLIDES)} slides are unusable, left out ({path}):"
        print(said, file=sys.stderr)
    for row in rows:
        print(f"  {row['slide_id']}: {row['problem']}", file=sys.stderr)


def say_failures(logs, lines=15):
    """Show the end of each failed job's log, so that nobody has to look for it."""
    text = "".join(Path(log).read_text() for log in logs)
    failed = re.findall(r"^\s*log: (.+) \(check log file", text, re.MULTILINE)
    for path in dict.fromkeys(failed):
        if os.path.exists(path):
            last = Path(path).read_text(errors="replace").splitlines()[-lines:]
            print(f"\n{path} ends with:", *last, sep="\n  ", file=sys.stderr)
