"""How rows of features get scores from labelled ones: by their neighbours, or by a regression."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import FeaturesError
from histocnn.jobs.ranges import PositiveFloat, check_ranges
from histocnn.reference.apart import Exclude, left_out, own_rows, units
from histocnn.reference.cover import Cover, cover, patients_apart, some, told_apart
from histocnn.reference.features import Features
from histocnn.reference.kept_index import Kind
from histocnn.reference.linear import USUAL, Probe
from histocnn.reference.memory import left
from histocnn.reference.neighbours import UNKNOWN, Knn, Reference, Searched
from histocnn.reference.stored import StoredRows
from histocnn.reference.votes import vote


class Method(Protocol):
    """What knn and probe have in common."""

    @property
    def name(self) -> str:
        """The stage, as recipes call it."""
        ...

    @property
    def examples(self) -> Features:
        """The labelled rows."""
        ...

    @property
    def exclude(self) -> Exclude:
        """Which of them are kept from a query."""
        ...

    @property
    def options(self) -> dict[str, Any]:
        """What decides the scores beside examples and exclusion."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What is to be said of every file."""
        ...

    def arrays(self, rows: Features) -> dict[str, NDArray[Any]]:
        """Datasets with an entry per row, `scores` [N, C] among them."""
        ...

    def cover(self, rows: Features, arrays: Mapping[str, NDArray[Any]]) -> Cover | None:
        """Whether the examples cover what these rows are of; None where it cannot be told."""
        ...


@dataclass(frozen=True, eq=False)
class ByNeighbours:
    """Scores by the votes of the nearest examples.

    Attributes:
        examples: The labelled rows.
        knn: How neighbours are found and counted.
        exclude: Never compare with the same patient (slide or patch where unknown), slide, or all.
        memory_gb: What the process may take where the examples stay in their files; None: half of
            what is free.
        ann: An approximate index of examples that stay in their files; None: exact.
    """

    examples: Features
    knn: Knn
    exclude: Exclude = "patient"
    memory_gb: float | None = None
    ann: Kind | None = None
    name = "knn"

    @cached_property
    def index(self) -> Searched:
        """The examples, ready to be searched.

        Raises:
            UsageError: Too little memory is left for blocks of them; faiss is not installed.
        """
        rows = self.examples.rows
        if not isinstance(rows, StoredRows):
            return Reference(rows, self.examples.groups, self.knn)
        from histocnn.reference.large import LargeReference  # torch, which small data does without

        if self.ann is not None:
            from histocnn.reference.ann import IndexedReference

            return IndexedReference(self.examples, self.knn, self.ann, left(self.memory_gb))
        return LargeReference(rows, self.examples.groups, self.knn, left(self.memory_gb))

    @property
    def options(self) -> dict[str, Any]:
        """What decides the scores beside examples and exclusion."""
        return {**asdict(self.knn), **({"index": self.ann} if self.ann else {})}

    @property
    def notes(self) -> Sequence[str]:
        """Whose distances a novelty is compared with, and how well an index did."""
        index = self.index
        line = f"novelty: reference rows compared without their own {index.calibration[0]}"
        return [line, *index.said]

    def arrays(self, rows: Features) -> dict[str, NDArray[Any]]:
        """Scores [N, C] and what they rest on.

        Returns:
            `scores` float32 [N, C]; `neighbours` int32 [N, k, 2], (file, row) of each;
            `neighbour_labels` int32 and `distances` float32 [N, k]; `novelty` float32 [N], %.

        Raises:
            FeaturesError: Fewer than k examples remain for a row.
        """
        examples, index = self.examples, self.index
        asked = rows.values, left_out(rows, examples, self.exclude), own_rows(rows, examples)
        nearest = index.search(*asked)
        index.compare(*asked, nearest)
        labels = examples.labels[nearest.rows]
        places = np.stack([examples.file[nearest.rows], examples.row[nearest.rows]], axis=-1)
        return {
            "scores": vote(labels, nearest.distances, len(examples.class_names), self.knn.weights),
            "neighbours": places.astype(np.int32),
            "neighbour_labels": labels.astype(np.int32),
            "distances": nearest.distances,
            "novelty": index.novelty(nearest),
        }

    @cached_property
    def _apart(self) -> list[float]:
        patient, slide = self.examples.groups.T
        slides = np.where(slide == UNKNOWN, UNKNOWN, slide + patient.max(initial=0) + 1)
        return patients_apart(self.examples.rows, np.where(patient == UNKNOWN, slides, patient))

    def cover(self, rows: Features, arrays: Mapping[str, NDArray[Any]]) -> Cover | None:
        """How new the rows are, and how far apart from the examples that they are compared with."""
        own, kept_from = self.examples.groups, left_out(rows, self.examples, self.exclude)
        shared = [
            np.isin(own[:, level], kept_from[kept_from[:, level] != UNKNOWN, level])
            for level in (0, 1)
        ]
        others, itself = ~np.any(shared, axis=0), own_rows(rows, self.examples)
        others[itself[itself != UNKNOWN]] = False
        apart = told_apart(rows.values, self.examples.rows[some(others)])
        return cover(arrays["novelty"], apart, self._apart)


@dataclass(frozen=True, eq=False)
class ByRegression:
    """Scores by a logistic regression on the examples.

    Attributes:
        examples: The labelled rows.
        c: Inverse strength of the L2 penalty, on standardised features; None: chosen inside.
        exclude: Never learn from the same patient (slide or patch where unknown), slide, or all.
        colour: Learn from each patch's colour, too.
    """

    examples: Features
    c: PositiveFloat | None = USUAL
    exclude: Exclude = "patient"
    colour: bool = False
    name = "probe"

    def __post_init__(self) -> None:
        check_ranges(self)

    @cached_property
    def _probe(self) -> Probe:
        unit, _ = units(self.examples, self.examples, self.exclude)
        return Probe(self._values(self.examples), self.examples.labels, unit, self.c)

    def _values(self, rows: Features) -> NDArray[np.float32]:
        if not self.colour:
            return rows.values
        unknown = ~np.isfinite(rows.colours).all(axis=1)
        if unknown.any():
            raise FeaturesError(
                f"{rows.files[rows.file[unknown.argmax()]]}: {int(unknown.sum())} patches without "
                "a stored colour",
                "Embed them with histocnn, or leave --colour out.",
            )
        return np.concatenate([rows.values, rows.colours], axis=1)

    @property
    def options(self) -> dict[str, Any]:
        """What decides the scores beside examples and exclusion."""
        c = "chosen inside" if self.c is None else self.c
        return {"c": c, **({"colour": True} if self.colour else {})}

    @property
    def notes(self) -> Sequence[str]:
        """Which C were chosen for the last rows, where they were."""
        if self.c is not None or not self._probe.chosen:
            return ()
        found = sorted(Counter(self._probe.chosen).items())
        return ["C chosen inside: " + ", ".join(f"{c:g} ({times} ×)" for c, times in found)]

    def arrays(self, rows: Features) -> dict[str, NDArray[Any]]:
        """Scores [N, C].

        Raises:
            FeaturesError: A class has no example in the other folds; a colour is not known.
        """
        _, kept_from = units(rows, self.examples, self.exclude)
        return {"scores": self._probe.scores(self._values(rows), kept_from)}

    def cover(self, rows: Features, arrays: Mapping[str, NDArray[Any]]) -> Cover | None:
        """Nothing: a regression measures no distance."""
        return None
