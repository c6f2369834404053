"""What `histocnn search` can be told beside the options of what it searches."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from histocnn.errors import UsageError
from histocnn.jobs.ranges import (
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Probability,
    plain,
)
from histocnn.jobs.words import Parser
from histocnn.metrics.tally import tally
from histocnn.models.parsing import as_words
from histocnn.reference.neighbours import Metric, Weights

T = TypeVar("T")
LESS_IS_BETTER = ("brier", "ece")


@dataclass(frozen=True)
class SearchOptions:
    """The section `search`.

    Attributes:
        space: What is tried: for a key a list, {low, high, log, step}, or {choices}, with `when`
            another key's value it depends on.
        sampler: `grid`: every combination; `random`; `tpe`: where good trials are dense.
        trials: How many; of a grid all, else 20.
        seed: Of what is drawn, and of the folds.
        metric: A figure of the patches of validation, as `evaluate` writes them.
        direction: Whether more or less of it is better; default: as the figure has it.
        folds: So many parts of training and validation take turns as validation; 1: the
            configuration's own validation split.
        prune: Stop a trial that is worse in an epoch than the median of those before it.
        prune_after: Epochs that every trial is given.
        minutes: Each process begins no trial after so many, and stops the one under way.
        refit: Train the best anew on training and validation, but for a tenth of the patients,
            whom early stopping and calibration need.
    """

    space: dict[str, Any] = field(default_factory=dict)
    sampler: Literal["grid", "random", "tpe"] = "tpe"
    trials: PositiveInt | None = None
    seed: NonNegativeInt = 0
    metric: str = "macro_auroc"
    direction: Literal["maximize", "minimize"] | None = None
    folds: PositiveInt = 3
    prune: bool = True
    prune_after: NonNegativeInt = 1
    minutes: PositiveFloat | None = None
    refit: bool = False


@dataclass(frozen=True)
class FeatureOptions:
    """The section `features`: labelled features in the place of patches and a network.

    Attributes:
        sets: A name for each folder of features: of one encoder's layers, of several encoders.
        use: Which of them; default: the first.
        method: `probe`: a logistic regression; or `knn`.
        c: Of the probe: inverse strength of its penalty.
        colour: Of the probe: learn from each patch's colour, too.
        k: Of k-NN: number of neighbours.
        metric: Of k-NN: distance.
        weights: Of k-NN: whether near neighbours count more.
        center: Of k-NN: subtract the mean first.
        fractions: Of train, val and test, in whole patients.
        split_file: A split.csv instead.
        split_seed: Of the split.
    """

    sets: dict[str, Path] = field(default_factory=dict)
    use: str = ""
    method: Literal["probe", "knn"] = "probe"
    c: PositiveFloat = 0.01
    colour: bool = False
    k: PositiveInt = 20
    metric: Metric = "cosine"
    weights: Weights = "distance"
    center: bool = True
    fractions: tuple[Probability, Probability, Probability] = (0.7, 0.15, 0.15)
    split_file: Path | None = None
    split_seed: NonNegativeInt = 0


def section(name: str, kind: type[T], given: Any) -> T:
    """The options of one section, each checked.

    Args:
        name: Of the section.
        kind: Its dataclass.
        given: What the configuration holds.

    Raises:
        UsageError: No mapping, an unknown key (the nearest is offered), a value that cannot be.

    >>> section("search", SearchOptions, {"trails": 5})
    Traceback (most recent call last):
    histocnn.errors.UsageError: search.trails is no option. Did you mean search.trials?
    """
    if not isinstance(given, Mapping):
        raise UsageError(f"{name} {given!r:.60} is no section", f"Write {name}.OPTION.")
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for key in map(str, given):
        if key not in known:
            raise UsageError(f"{name}.{key} is no option", nearest(key, known, f"{name}."))
    parser = Parser(prog="histocnn search")
    parser.add_class_arguments(kind, name)
    whole = {k for k, f in known.items() if f.default_factory is not MISSING}
    words = as_words({f"{name}.{key}": value for key, value in given.items() if key not in whole})
    found = parser.parse_args(words)[name]
    values = {key: plain(getattr(found, key)) for key in known if key not in whole}
    return kind(**values, **{key: given[key] for key in whole if key in given})


def nearest(name: str, known: Iterable[str], before: str = "") -> str:
    """Offer the known name that is most like a wrong one, or all of them.

    >>> nearest("model.droput", ["model.dropout", "model.loss"])
    'Did you mean model.dropout?'
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {before}{close[0]}?"
    return f"There are {', '.join(known)}."


def check_metric(metric: str) -> None:
    """Refuse a figure that does not exist; that of one class is looked at when classes are known.

    Raises:
        UsageError: Offers the nearest.

    >>> check_metric("macro_auroc"), check_metric("auroc:tumour")
    (None, None)
    >>> check_metric("macro_aurok")
    Traceback (most recent call last):
    histocnn.errors.UsageError: search.metric macro_aurok is no figure. Did you mean macro_auroc?
    """
    figures = tally([[0.9, 0.1], [0.2, 0.8]], [0, 1], [0, 0], ["a", "b"]).figures()
    known = list(
        dict.fromkeys(key.partition(":")[0] + (":" if ":" in key else "") for key in figures)
    )
    name, colon, _ = metric.partition(":")
    if name + colon not in known:
        plain_names = [f"{key}CLASS" if key.endswith(":") else key for key in known]
        raise UsageError(f"search.metric {metric} is no figure", nearest(metric, plain_names))


def direction_of(options: SearchOptions) -> Literal["maximize", "minimize"]:
    """Whether more or less of the metric is better.

    >>> direction_of(SearchOptions(metric="brier")), direction_of(SearchOptions())
    ('minimize', 'maximize')
    """
    if options.direction is not None:
        return options.direction
    return "minimize" if options.metric in LESS_IS_BETTER else "maximize"
