"""`histocnn probe`: features in; scores of a logistic regression on labelled features out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from histocnn.errors import UsageError
from histocnn.jobs import run as runs
from histocnn.patches.patches import FilePatches, open_files
from histocnn.reference.features import Exclude, Features, feature_files, load, units
from histocnn.reference.linear import Probe
from histocnn.scores.query import open_query, write_query
from histocnn.storage.hashing import sha256


def probe(
    reference: Path,
    query: Path,
    out: Path,
    c: float = 0.01,
    exclude: Exclude = "patient",
) -> int:
    """Label features by a logistic regression on labelled features.

    Writes OUT/<slide_id>.h5 as knn does, so that "k-NN or linear?" is one word apart. Reference
    and query may be the same folder: ten regressions then each leave out a tenth of the patients.

    Args:
        reference: Folder of features with labels, or one such file.
        query: Folder of features to be labelled, or one file.
        out: Folder for the scores.
        c: Inverse strength of the L2 penalty, on standardised features.
        exclude: Never learn from the same patient (slide or patch where unknown), slide, or all.

    Returns:
        0, or 1 if a slide failed.
    """
    if not c > 0:
        raise UsageError(f"--c {c} is no strength", "Give a positive number, such as 0.01.")
    queries = open_files(feature_files(query))
    examples = load(feature_files(reference)).labelled()
    model = Probe(examples.values, examples.labels, units(examples, examples, exclude)[0], c)
    summary = runs.run(
        queries,
        out=out,
        command="probe",
        source=query,
        recipe=partial(recipe_of, examples=examples, c=c, exclude=exclude),
        work=partial(score, examples=examples, model=model, exclude=exclude),
    )
    return summary.exit_code


def recipe_of(query: FilePatches, examples: Features, c: float, exclude: Exclude) -> dict[str, Any]:
    """The settings and the hashes of reference and query."""
    return {
        "stage": "probe",
        "c": c,
        "exclude": exclude,
        "reference": sorted(examples.hashes),
        "query": sha256(query.file),
    }


def score(
    query: FilePatches,
    target: Path,
    recipe: dict[str, Any],
    tick: runs.Tick,
    *,
    examples: Features,
    model: Probe,
    exclude: Exclude,
) -> dict[str, Any]:
    """Write one file's scores."""
    rows = open_query(query, examples)
    _, kept_from = units(rows, examples, exclude)
    scores = model.scores(rows.values, kept_from)
    facts = write_query(target, rows, examples, {"scores": scores}, recipe, exclude)
    tick(facts["patches"], facts["patches"])
    return facts
