"""`histocnn search`: a space of hyperparameters in; the best configuration, tested once, out.

>>> import histocnn
>>> found = histocnn.search(config="configs/search.yaml", out="search")  # doctest: +SKIP
>>> found.result.trial, str(found.result.best)  # doctest: +SKIP
(14, '0.894 (0.861 to 0.921)')
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histocnn.errors import MetricError
from histocnn.jobs.ownership import check_files, claim_files
from histocnn.jobs.result import StageResult
from histocnn.jobs.words import Parser
from histocnn.metrics.plain import parsed, read_as
from histocnn.models.parsing import as_words
from histocnn.storage.json import to_json

if TYPE_CHECKING:
    from histocnn.metrics.sections import ComparisonReport
    from histocnn.searching.journal import Study
    from histocnn.searching.plan import Plan
    from histocnn.searching.writing import Result

OWN = ("journal.log", "journal.log.lock", "split.csv", "split_refit.csv", "folds", "trials",
       "trials.csv", "result.json", "search.html", "figures", "best.yaml", "default.yaml", "best",
       "default", "best.log", "default.log", "concluding.json")  # fmt: skip
FLAGS = ("--config", "--out", "--worker")
DESCRIPTION = """Search hyperparameters on folds of patients; the test patients are not looked at.

Writes OUT/best.yaml, which train --config takes, trials.csv, search.html, and of the best, trained
in OUT/best, its figures on test. Several processes, also on several machines, work on one OUT."""


@dataclass(frozen=True)
class SearchResult(StageResult):
    """What a search came to; `to_dataframe` gives the trials.

    Attributes:
        result: The best, on validation and on test; None where others go on.
    """

    result: Result | None = None


def search(words: Sequence[str] = (), /, **options: Any) -> SearchResult:
    """Search hyperparameters by grid, at random, or where good trials are dense.

    Args:
        words: Those of the command line, as `histocnn search --help` explains them.
        options: The same by name: `config`, `out`, `worker`; `data`, `model` … as of `train`.

    Returns:
        The files, and what the search came to.

    Raises:
        HistocnnError: What cannot be searched, and why.
        SystemExit: Help or the configuration was asked for and has been printed.
    """
    own, more = _told_apart([*words, *as_words(options)])
    asked = _parser().parse_args([word for word in own if word != "--print_config"])
    from histocnn.searching.journal import open_study
    from histocnn.searching.plan import read_plan
    from histocnn.storage.atomic import sweep

    plan, out = read_plan(Path(asked.config), more), Path(asked.out)
    if "--print_config" in own:
        print(to_json(plan.described(), indent=1))
        raise SystemExit(0)
    plan.check()
    check_files(out, "search", OWN, lambda: False)
    claim_files(out, "search", OWN)
    sweep(out)
    study = open_study(plan, out, before=lambda: _write_folds(plan, out))
    if (out / "result.json").is_file():
        print(f"{out}: searched already; its test patients have been looked at")
        return _stored(study)
    _work(study, wait=not asked.worker)
    return SearchResult() if asked.worker else _conclude(study)


def _parser() -> Parser:
    made = Parser(prog="histocnn search", description=DESCRIPTION)
    made.add_argument(
        "--config", type=str, required=True, help="A YAML of train with a section search."
    )
    made.add_argument(
        "--out", type=str, required=True, help="Folder of the search; several processes share it."
    )
    made.add_argument(
        "--worker", type=bool, default=False,
        help="Take trials until none waits, and conclude nothing: a job among others.",
    )  # fmt: skip
    return made


def _told_apart(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our own words, and keys of the configuration as `--data.patches=grids`.

    >>> _told_apart(["--out", "o", "--data.patches", "grids", "--worker"])
    (['--out', 'o', '--worker=true'], ['--data.patches=grids'])
    """
    own: list[str] = []
    more: list[str] = []
    takes = own
    for word in words:
        flag = word.partition("=")[0]
        if word == "--worker":
            own.append("--worker=true")
        elif flag in (*FLAGS, "--help", "-h", "--print_config") or not word.startswith("--"):
            takes = own if flag in FLAGS or takes is own or "=" in more[-1] else more
            if takes is more:
                more[-1] += f"={word}"
            else:
                own.append(word)
        else:
            more.append(word)
            takes = more
    return own, more


def _write_folds(plan: Plan, out: Path) -> None:
    from histocnn.searching import feature_trial
    from histocnn.searching.folds import division_of, write_folds

    if plan.of_features:
        labels, groups, parts = feature_trial.divided(plan.features({}))
    else:
        labels, groups, parts = division_of(plan.training({}))
    chosen = plan.search
    write_folds(out, labels, groups, parts, folds=chosen.folds, seed=chosen.seed)


def _work(study: Study, *, wait: bool) -> None:
    from functools import partial

    from histocnn.searching.feature_trial import FeatureTrials
    from histocnn.searching.training_trial import run_training
    from histocnn.searching.worker import Worker

    plan = study.plan
    run = FeatureTrials(plan, study.out).run if plan.of_features else partial(run_training, plan)
    Worker(study, run).work(wait=wait)


def _conclude(study: Study) -> SearchResult:
    from histocnn.searching.conclusion import alone, tested, write_configurations
    from histocnn.searching.results import best_of, rows_of
    from histocnn.searching.writing import result_of, write
    from histocnn.searching.writing import words as told

    plan, out = study.plan, study.out
    with alone(out) as mine:
        if (out / "result.json").is_file():
            return _stored(study)
        if not mine:
            print(f"{out}: another process looks at the test patients")
            return SearchResult()
        rows = rows_of(study)
        best = best_of(rows, maximize=plan.maximize)
        write_configurations(plan, out, best)
        judged = tested(plan, out, best, _compare)
        result = result_of(plan, rows, best, judged)
        write(study, rows, result, judged)
    for line in told(result, rows, [parameter.key for parameter in plan.space]):
        print(line)
    return _stored(study)


def _compare(first: Path, second: Path) -> ComparisonReport:
    from histocnn.evaluation.comparison import compare
    from histocnn.evaluation.judged import judge
    from histocnn.evaluation.options import Resampling
    from histocnn.scores.scorefile import open_scores

    judged = [judge(open_scores(place)) for place in (first, second)]
    return compare(judged[0], judged[1], Resampling(), ("best", "default"))


def _stored(study: Study) -> SearchResult:
    from histocnn.searching.results import rows_of
    from histocnn.searching.writing import PAGE, RESULT, TABLE, Result

    out = study.out
    try:
        result: Result = read_as(Result, parsed((out / RESULT).read_text(encoding="utf-8")))
    except MetricError as error:
        raise MetricError(f"{out / RESULT}: {error.message}", "Give another --out.") from error
    files = [out / name for name in ("best.yaml", RESULT, TABLE, PAGE)]
    rows = [vars(row) for row in rows_of(study)]
    return SearchResult(outputs=[f for f in files if f.is_file()], rows=rows, result=result)
