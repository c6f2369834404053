"""Training, validation and test rows: grouped by patient, stratified by label, seeded."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.cohort.sheet import CALIBRATION, GIVEN, SPLITS, check_leakage
from histocnn.cohort.table import read_table
from histocnn.errors import CohortError, UsageError
from histocnn.storage.atomic import write_text

_log = logging.getLogger(__name__)
GIVEN_TYPE = f"<U{max(map(len, GIVEN))}"


def split(
    labels: ArrayLike,
    groups: Sequence[str],
    *,
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    folds: int | None = None,
    fold: int = 0,
    seed: int = 0,
) -> NDArray[np.str_]:
    """Divide rows into "train", "val" and "test" so that no group is in two of them.

    Each split gets its share of every class as nearly as whole groups allow, and a group of every
    class where a class has enough groups; where it has not, a warning is logged. A part of 0 stays
    empty.

    Args:
        labels: [N], the rows' classes, numbers or names; unknown (-1) counts as one more class.
        groups: [N], the rows' patients (or slides or files where those are unknown).
        fractions: The shares of train, val and test; their sum is 1.
        folds: Instead of `fractions` cut k equal folds: `fold` is test, the next one val, the rest
            train. Over all folds each row is tested once and validated once.
        fold: Which of the k folds is tested, from 0; the folds do not depend on it.
        seed: Another seed is another division; the same gives the same, in any order of rows.

    Returns:
        [N] of "train", "val", "test".

    Raises:
        CohortError: Rows without a group, or fewer groups than splits.
        UsageError: Fractions, folds or fold that cannot be meant.
    """
    if folds is None:
        if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
            raise UsageError(
                f"the fractions {tuple(fractions)} are not three shares of 1",
                "Give those of train, val and test, such as 0.7, 0.15, 0.15.",
            )
        part = divide(labels, groups, fractions, seed)
        names = np.array(SPLITS)
    else:
        if folds < 3 or not 0 <= fold < folds:
            raise UsageError(
                f"fold {fold} of {folds} cannot be", "Three folds or more, counted from 0."
            )
        part = divide(labels, groups, [1 / folds] * folds, seed)
        names = np.full(folds, "train", dtype="<U5")
        names[fold], names[(fold + 1) % folds] = "test", "val"
    rows = names[part]
    _warn_of_missing_classes(np.asarray(labels), rows)
    return rows


def set_apart(
    labels: NDArray[Any],
    groups: Sequence[str],
    parts: NDArray[np.str_],
    share: float,
    seed: int = 0,
) -> NDArray[np.str_]:
    """Take a share of training's groups for calibration; the other splits stay as they are.

    Args:
        labels: [N], the rows' classes.
        groups: [N], the rows' patients.
        parts: [N], the split of each.
        share: Of the training rows, in whole groups.
        seed: As for `split`.

    Returns:
        [N] of "train", "val", "test", "calibration".

    Raises:
        CohortError: Training has fewer than two groups.
    """
    train = np.flatnonzero(parts == "train")
    taken = (
        divide(labels[train], [groups[i] for i in train.tolist()], (1 - share, share), seed) == 1
    )
    found = np.array(parts, GIVEN_TYPE)
    found[train[taken]] = CALIBRATION
    return found


def divide(
    labels: ArrayLike, groups: Sequence[str], shares: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Assign whole groups to parts of the given shares, each part like the whole in its classes.

    Greedy, as in scikit-learn's StratifiedGroupKFold, which knows equal folds only and may leave a
    class out: rare classes first reach every part, then the groups, the most uneven first, go where
    the sum of squared deviations from the shares becomes smallest.

    Returns:
        [N], the part of each row.
    """
    classes, class_of = np.unique(np.asarray(labels), return_inverse=True)
    names, group_of = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    parts = np.flatnonzero(np.asarray(shares) > 0)
    if "" in names:
        raise CohortError(
            f"{np.count_nonzero(np.asarray(groups) == '')} rows have no patient",
            "Name their patients, or split by slide or file.",
        )
    if len(names) < len(parts):
        raise CohortError(
            f"{len(names)} patients or slides cannot be divided into {len(parts)} splits",
            "Add patients, or set fewer folds or a fraction of 0.",
        )
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (group_of, class_of), 1)
    assigned = _assign(counts / counts.sum(axis=0), np.asarray(shares)[parts], seed)
    return parts[assigned][group_of]


def _assign(
    groups: NDArray[np.float64], shares: NDArray[np.float64], seed: int
) -> NDArray[np.int64]:
    """The part of each group; `groups` [G, C] holds its share of each class's rows."""
    part = np.full(len(groups), -1)
    have = np.zeros((len(shares), groups.shape[1]))
    shuffled = np.random.default_rng(seed).permutation(len(groups))

    def costs(group: Any, to: Any) -> NDArray[np.float64]:
        """How the sum of squared deviations changes when the group comes to the part."""
        deviation = have[to] - shares[to, None]
        return np.asarray((groups[group] * (groups[group] + 2 * deviation)).sum(axis=-1))

    def give(group: int, to: int) -> None:
        part[group] = to
        have[to] += groups[group]

    def can_spare(to: int) -> bool:
        """Whether, once this part has one more group, every part without any can still have one."""
        left = int(np.count_nonzero(part < 0))
        return left > len(set(range(len(shares))) - {to, *part.tolist()})

    for rare in np.argsort((groups > 0).sum(axis=0), kind="stable"):
        for to in np.argsort(shares, kind="stable"):  # the smallest part is the hardest to please
            free = shuffled[(part[shuffled] < 0) & (groups[shuffled, rare] > 0)]
            if have[to, rare] == 0 and len(free) and can_spare(int(to)):
                give(int(free[np.argmin(costs(free, [to]))]), int(to))
    empty = [to for to in range(len(shares)) if to not in part]
    for group in shuffled[np.argsort(-groups.std(axis=1)[shuffled], kind="stable")]:
        if part[group] < 0:
            to = empty.pop() if empty else np.argmin(costs(group, slice(None)))
            give(int(group), int(to))
    return part


def _warn_of_missing_classes(labels: NDArray[Any], rows: NDArray[np.str_]) -> None:
    classes = np.unique(labels)
    for name in np.unique(rows):
        missing = np.setdiff1d(classes, labels[rows == name])
        if len(missing):
            listed = ", ".join(str(label) for label in missing)
            _log.warning("the %s split has no row of class %s: too few patients", name, listed)


def write_split(path: str | Path, groups: Sequence[str], splits: Sequence[str]) -> None:
    """Write split.csv: `group,split,rows`, a line per group.

    Raises:
        CohortError: A group is in two splits.
        StoreError: The file cannot be written.
    """
    check_leakage(groups, splits, path)
    split_of = dict(zip(groups, splits, strict=True))
    names, rows = np.unique(np.asarray(groups, dtype=np.str_), return_counts=True)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("group", "split", "rows"))
    table.writerows((name, split_of[name], count) for name, count in zip(names, rows, strict=True))
    write_text(path, text.getvalue())


def read_split(path: str | Path, groups: Sequence[str]) -> NDArray[np.str_]:
    """Read split.csv for these rows.

    Args:
        path: A file with the columns `group` and `split`.
        groups: [N], the rows' groups.

    Returns:
        [N] of "train", "val", "test", "calibration".

    Raises:
        CohortError: Not such a file, an unknown split, a group in two splits or in none.
    """
    rows = read_table(Path(path), ("group", "split"))
    for line, row in rows:
        if row["split"] not in GIVEN:
            raise CohortError(
                f'{path}: line {line}: "{row["split"]}" is no split',
                f"Write {' or '.join(GIVEN)}.",
            )
    check_leakage([row["group"] for _, row in rows], [row["split"] for _, row in rows], path)
    split_of = {row["group"]: row["split"] for _, row in rows}
    absent = sorted(set(groups) - split_of.keys())
    if absent:
        raise CohortError(
            f"{path}: does not name {', '.join(absent[:3])} ({len(absent)} in all)",
            "Make the split anew for these patches.",
        )
    return np.array([split_of[group] for group in groups], dtype=GIVEN_TYPE)
