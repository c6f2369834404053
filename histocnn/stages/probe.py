"""`histocnn probe`: features in; scores of a logistic regression on labelled features out.

>>> import histocnn
>>> histocnn.probe("reference", "features", "scores").exit_code  # doctest: +SKIP
0
"""

from __future__ import annotations

from pathlib import Path

from histocnn.jobs.ranges import PositiveFloat
from histocnn.jobs.result import StageResult
from histocnn.reference.apart import Exclude
from histocnn.reference.features import feature_files, load
from histocnn.reference.linear import COPIES
from histocnn.reference.memory import check_room
from histocnn.reference.methods import ByRegression
from histocnn.scores.compared import score_features


def probe(
    reference: str | Path,
    query: str | Path,
    out: str | Path,
    c: PositiveFloat | None = None,
    exclude: Exclude = "patient",
    colour: bool = False,
) -> StageResult:
    """Label features by a logistic regression on labelled features.

    Writes OUT/<slide_id>.h5 as knn does, so that "k-NN or linear?" is one word apart. Reference
    and query may be the same folder: ten regressions then each leave out a tenth of the patients.

    Args:
        reference: Folder of features with labels, or one such file.
        query: Folder of features to be labelled, or one file.
        out: Folder for the scores.
        c: Inverse strength of the L2 penalty, on standardised features. Left out, every regression
            chooses its own of 1e-4 to 10 on folds of the patients that it learns from.
        exclude: Never learn from the same patient (slide or patch where unknown), slide, or all.
        colour: Learn from each patch's colour, too, which embed stores beside the features.

    Returns:
        The score files and what failed, with a row per slide.
    """
    queries = feature_files(Path(query))
    files = feature_files(Path(reference))
    check_room(files, COPIES, "Give a smaller reference, or use knn, which leaves it in its files.")
    examples = load(files).labelled()
    method = ByRegression(examples, c, exclude, colour)
    return score_features(queries, Path(out), method, source=Path(query))
