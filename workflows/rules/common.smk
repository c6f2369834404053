# The checked settings and sheet, who is left after the doctor, and what is said at the end.
import csv
import io
import os
import re
import sys
from dataclasses import asdict
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


def problems(value, schema):
    """(path of keys, message) of all that the schema of this name does not allow."""
    with open(workflow.source_path(f"../schemas/{schema}.schema.yaml")) as file:
        found = jsonschema.Draft202012Validator(yaml.safe_load(file)).iter_errors(value)
    return [(".".join(map(str, error.absolute_path)), error.message) for error in found]


for key, message in problems(config, "config"):
    raise WorkflowError(f"workflow config, key {key or '(top)'}: {message}")


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


def values_of(entry):
    """What is known of a slide, by column, with paths that hold from anywhere."""
    known = {column: value for column, value in asdict(entry).items() if value is not None}
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
MODEL = file_of("model") or f"{OUT}/cnn/train/model.safetensors"
REFERENCE = file_of("reference")
# Files whose change counts; published weights are none.
WEIGHTS = [] if config["weights"] == "imagenet" else [file_of("weights")]
HAS_TRUTH = any(entry.annotation_path or entry.background for entry in SLIDES.values())


wildcard_constraints:
    slide="|".join(map(re.escape, SLIDES)),
    path="cnn|knn",


def row_of(slide):
    """The slide's row as a sheet of its own: header and values."""
    values = values_of(SLIDES[slide])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([values.keys(), values.values()])
    return text.getvalue().splitlines()


def files_of(slide):
    """The files of a slide whose change redoes its jobs."""
    return [path for column, path in values_of(SLIDES[slide]).items() if column.endswith("_path")]


def usable_slides():
    """The ids of the slides that the doctor found usable."""
    with checkpoints.usable.get().output.slides.open() as sheet:
        return [row["slide_id"] for row in csv.DictReader(sheet)]


def usable(pattern):
    """One file per usable slide."""
    return expand(pattern, slide=usable_slides())


def results_of(path):
    """All that a target ends with."""
    if path == "cnn" and not config["model"]:
        check_splits()
    page = [f"{OUT}/{path}/report/report.html"] if HAS_TRUTH else []
    return [*page, f"{OUT}/{path}/heatmaps/slides.csv"]


def grids_to_learn_from(_):
    return [grid_of(slide) for slide in usable_slides() if SLIDES[slide].split in ("train", "val")]


def grids_to_test_on(_):
    """Their figures end the training, their change does not begin it again."""
    return [ancient(grid_of(s)) for s in usable_slides() if SLIDES[s].split == "test"]


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


def grid_of(slide):
    return f"{OUT}/grids/{slide}.h5"


def reference_features(_):
    """The k-NN's reference: of the images, or of all usable slides."""
    if not REFERENCE:
        return usable(f"{OUT}/knn/features/{{slide}}.h5")
    images = Path(os.path.abspath(REFERENCE))
    return [f"{OUT}/knn/reference/{images.stem if images.is_file() else images.name}.h5"]


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
