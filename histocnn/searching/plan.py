"""A search as it was asked for: what is searched, how, and what a trial's values make of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from histocnn.errors import UsageError
from histocnn.models.options import SECTIONS, RunOptions, TrainOptions
from histocnn.models.parsing import as_words, parse
from histocnn.models.run_folder import ASIDE
from histocnn.searching.options import (
    FeatureOptions,
    SearchOptions,
    check_metric,
    direction_of,
    nearest,
    section,
)
from histocnn.searching.space import Parameter, grid
from histocnn.searching.space_words import parse_space
from histocnn.storage.yaml import load_yaml, read_yaml

USUAL_TRIALS = 20
NOT_OURS = ("out", "ckpt_path", "overwrite")  # a trial's own
CHANGE_NOTHING = {"search.minutes", "search.refit", *ASIDE}


@dataclass(frozen=True)
class Plan:
    """A search.

    Attributes:
        search: How it goes.
        space: What is tried.
        base: Every key that the configuration sets, with its value.
        of_features: Whether features are searched, and no training.
    """

    search: SearchOptions
    space: tuple[Parameter, ...]
    base: Mapping[str, Any]
    of_features: bool

    @property
    def fixed(self) -> list[dict[str, Any]] | None:
        """The values of every trial of a grid; None where a sampler draws them."""
        return grid(self.space) if self.search.sampler == "grid" else None

    @property
    def trials(self) -> int:
        """How many there are."""
        fixed = self.fixed
        return len(fixed) if fixed is not None else self.search.trials or USUAL_TRIALS

    @property
    def maximize(self) -> bool:
        """Whether more of the metric is better."""
        return direction_of(self.search) == "maximize"

    def words(self, values: Mapping[str, Any]) -> list[str]:
        """The words of `train` that these values make of the configuration."""
        return as_words({**self.base, **values})

    def training(self, values: Mapping[str, Any]) -> TrainOptions:
        """The training that these values make of the configuration.

        Raises:
            UsageError: One cannot be.
        """
        return parse(self.words(values))

    def features(self, values: Mapping[str, Any]) -> FeatureOptions:
        """The same of a search over features.

        Raises:
            UsageError: One cannot be, or no set bears the name that is used.
        """
        given = {k.partition(".")[2]: v for k, v in {**self.base, **values}.items()}
        found = section("features", FeatureOptions, given)
        if not isinstance(found.sets, Mapping) or not found.sets:
            raise UsageError("features.sets names no folder", "Write sets: {NAME: FOLDER}.")
        sets = {str(name): Path(str(path)) for name, path in found.sets.items()}
        if found.use and found.use not in sets:
            raise UsageError(
                f"features.use {found.use} is none of the sets", nearest(found.use, sets)
            )
        absent = [path for path in sets.values() if not path.exists()]
        if absent:
            raise UsageError(
                f"features.sets: there is no {absent[0]}", "Give a folder that embed wrote."
            )
        values_ = {f.name: getattr(found, f.name) for f in fields(found)}
        return FeatureOptions(**values_ | {"sets": sets, "use": found.use or next(iter(sets))})

    def check(self) -> None:
        """Parse each value that may be tried once, so that nothing is found wrong in mid-search.

        Raises:
            UsageError: One cannot be, or a file that is named is not there.
        """
        make = self.features if self.of_features else self.training
        make({})
        for parameter in self.space:
            ends = (parameter.low, parameter.high)
            for value in parameter.choices or ends:
                make({parameter.key: int(value) if parameter.whole else value})

    def described(self) -> dict[str, Any]:
        """What makes it this search and no other, by key."""
        search = {
            f"search.{f.name}": getattr(self.search, f.name)
            for f in fields(self.search)
            if f.name != "space"
        }
        spaces = {f"search.space.{key}": spec for key, spec in self.search.space.items()}
        whole = {**self.base, **search, **spaces}
        return {key: value for key, value in whole.items() if key not in CHANGE_NOTHING}


def read_plan(config: Path, more: Sequence[str] = ()) -> Plan:
    """Read a configuration; see `Plan.check` for its values.

    Args:
        config: A YAML of `train`, or one with a section `features`; with a section `search`.
        more: Words as `--data.patches=grids` that come before it.

    Raises:
        UsageError: See `section`, `parse_space` and `check_metric`; a key that there is not.
    """
    whole = read_yaml(config)
    if not isinstance(whole, Mapping):
        raise UsageError(f"{config}: holds no options", "Give a configuration of train.")
    if "search" not in whole:
        raise UsageError(f"{config}: has no section search", "Say there what is to be tried.")
    found = dict(_flat({k: v for k, v in whole.items() if k != "search"}))
    found |= dict(map(_pair, more))
    of_features = any(key.startswith("features.") for key in found)
    _check_keys(config, found, of_features)
    search = section("search", SearchOptions, whole["search"])
    check_metric(search.metric)
    space = parse_space(search.space, of_features)
    plan = Plan(search, space, {k: v for k, v in found.items() if k not in NOT_OURS}, of_features)
    if plan.fixed is not None and search.trials not in (None, len(plan.fixed)):
        raise UsageError(
            f"search.trials {search.trials}, but the grid has {len(plan.fixed)} combinations",
            "Leave trials out, or use sampler random.",
        )
    return plan


def _flat(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in given.items():
        if key in (*SECTIONS, "features"):
            if not isinstance(value, Mapping):
                raise UsageError(f"{key} {value!r:.60} is no section", f"Write {key}.OPTION.")
            yield from ((f"{key}.{name}", one) for name, one in value.items())
        else:
            yield str(key), value


def _pair(word: str) -> tuple[str, Any]:
    key, _, value = word.removeprefix("--").partition("=")
    return key, load_yaml(value, word)


def _check_keys(config: Path, found: Mapping[str, Any], of_features: bool) -> None:
    own = {f"features.{f.name}" for f in fields(FeatureOptions)}
    if not of_features:
        own = {f.name for f in fields(RunOptions)}
        own |= {f"{name}.{f.name}" for name, kind in SECTIONS.items() for f in fields(kind)}
    for key in found:
        lightning = key.startswith("trainer.") and not of_features
        if key not in own and not lightning:  # train's parser knows the rest of the Trainer
            raise UsageError(f"{config}: {key} is no key", nearest(key, own))
