"""An index of a large reference by faiss: it proposes rows, which are then measured exactly."""

from __future__ import annotations

import hashlib
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from histocnn.errors import UsageError
from histocnn.reference.asked import Asked
from histocnn.reference.features import Features
from histocnn.reference.kept_index import Kind, check_free, keep, kept
from histocnn.reference.large import LargeReference
from histocnn.reference.memory import in_gb
from histocnn.reference.merging import Best
from histocnn.reference.neighbours import UNKNOWN, Float, Int, Knn, Neighbours
from histocnn.reference.points import to_points
from histocnn.reference.stored import StoredRows

_WANTED = 0.99  # recall that the effort is raised for
_TRIED = 200  # rows of the reference that it is measured on
_SAMPLE = 100  # queries of a file whose neighbours are compared with exact ones
_SPARE = 2  # × k, fetched at first: codes of 8 bits, and the mean with the patient, err a little
_LINKS = 32  # of a row of HNSW's graph
_POINTS, _FEWEST = 64, 39  # a centroid, for k-means; faiss warns below


class IndexedReference(LargeReference):
    """Labelled rows in their files, searched through an index that lies beside them.

    Args:
        examples: The reference, whose values stay in their files.
        knn: How neighbours are found.
        kind: Of the index: inverted lists, or a graph.
        memory: Bytes that index, blocks and queries may take.

    Attributes:
        said: What was done to have the index, and how well it did at last.

    Raises:
        UsageError: faiss is not installed; the index is larger than the memory.
    """

    def __init__(self, examples: Features, knn: Knn, kind: Kind, memory: float = 1e9) -> None:
        rows = examples.rows
        if not isinstance(rows, StoredRows):
            raise TypeError("an index is of rows in files")
        needed = len(rows) * (rows.width + 8.0 + (kind == "hnsw") * 8 * _LINKS)
        if needed > memory:
            raise UsageError(
                f"--index {kind} of {len(rows):,} × {rows.width} takes {in_gb(needed)}, and "
                f"{in_gb(memory)} are left",
                "Raise --memory_gb, or leave --index out.",
            )
        super().__init__(rows, examples.groups, knn, memory - needed)
        self.kind: Kind = kind
        self.faiss = _faiss(self.threads)
        self._had = ""
        self._spare = memory - needed
        self._open(_place(examples, knn, kind), self._recipe(examples))

    @cached_property
    def _exact(self) -> LargeReference:
        exact = LargeReference(self.features, self.groups, self.knn)
        exact.means, exact.sizes = self.means, self.sizes
        return exact

    def _open(self, where: Path, recipe: dict[str, Any]) -> None:
        """Read the index, or build and keep it where none fits."""
        found, why = kept(where, recipe)
        if found is not None:
            try:
                self.index, self.effort = self.faiss.read_index(str(where)), found
            except RuntimeError:  # written by another version of faiss
                found, why = None, "this faiss cannot read the index"
            else:
                self._set(found)
        if found is None:
            check_free(where)
            self.index = self._built()
            self.effort = self._tuned()
            self._had = f"{self.kind}: {why}, built" + keep(where, recipe, self._write, self.effort)

    def _recipe(self, examples: Features) -> dict[str, Any]:
        numbers = examples.file.tobytes() + examples.row.tobytes()
        rows = hashlib.sha256("".join(examples.hashes).encode() + numbers).hexdigest()
        return {
            "kind": self.kind,
            "reference": examples.recipe,
            "rows": rows,
            "scaled": self.knn.scaled,
            "center": self.knn.center,
        }

    def _points(self, values: np.ndarray[Any, Any]) -> Float:
        """Rows as the index holds them: with everybody's mean, whoever is left out."""
        points = np.array(values, np.float32, order="C")
        mean = self.means.of_all.astype(np.float32) if self.knn.center else None
        to_points(points, mean, scaled=self.knn.scaled)
        return points

    def _built(self) -> Any:
        count, width = len(self.features), self.features.width
        codes = self.faiss.ScalarQuantizer.QT_8bit
        rng = np.random.default_rng(0)
        held = int(max(1_000, self._spare / (12 * width)))  # read, put in order, centred
        if self.kind == "ivf":
            lists = int(max(1, min(2 * count**0.5, min(count, held) // _FEWEST)))
            coarse = self.faiss.IndexFlatL2(width)
            index = self.faiss.IndexIVFScalarQuantizer(coarse, width, lists, codes)
            index.cp.max_points_per_centroid = _POINTS
            sample = min(count, held, _POINTS * lists)
        else:
            index = self.faiss.IndexHNSWSQ(width, codes, _LINKS // 2)
            sample = min(count, held, 100_000)
        index.train(self._points(self.features[np.sort(rng.permutation(count)[:sample])]))
        for _, block in self.features.blocks(self.sizes.rows):
            index.add(self._points(block))
        return index

    def _write(self, path: Path) -> None:
        self.faiss.write_index(self.index, str(path))

    def _set(self, effort: int) -> None:
        if self.kind == "ivf":
            self.index.nprobe = min(effort, self.index.nlist)
        else:
            self.index.hnsw.efSearch = effort

    def _tuned(self) -> int:
        """The least effort at which rows of other patients are found, doubled until they are."""
        rng = np.random.default_rng(0)
        rows = np.sort(rng.permutation(len(self.features))[:_TRIED])
        queries, groups = self.features[rows], self.groups[rows]
        if len(self.features) - max(map(len, map(self.exclusions.of, groups))) <= self.knn.k:
            groups = np.full_like(groups, UNKNOWN)
        exact = self._exact.search(queries, groups, rows)
        effort = 16
        while True:
            self._set(effort)
            if recall(self.search(queries, groups, rows), exact) >= _WANTED:
                return effort
            if effort >= (self.index.nlist if self.kind == "ivf" else len(self.features)):
                return effort
            effort *= 2

    def _nearest(self, asked: Asked) -> Best:
        """The k nearest of what the index proposes; of all rows where it cannot propose k."""
        best = self.measured(asked, self._fetched(asked))
        lacking = np.flatnonzero((best.rows == UNKNOWN).any(axis=1))
        if len(lacking):
            exact = super()._nearest(asked.only(lacking))
            best.rows[lacking], best.cost[lacking] = exact.rows, exact.cost
        return best

    def _fetched(self, asked: Asked) -> Int:
        """Rows int64 [T, W] that are not left out, -1 none: more are fetched until k remain."""
        points, k, count = self._points(asked.queries), self.knn.k, len(self.features)
        wanted = min(count, (1 + _SPARE) * k)
        rows = np.full((len(asked), wanted), UNKNOWN)
        open_, fetch = np.arange(len(asked)), wanted
        while len(open_):
            _, found = self.index.search(points[open_], fetch)
            found[self._left_out(asked, open_, found)] = UNKNOWN
            enough = (found != UNKNOWN).sum(1) >= wanted - k  # most lose a few to their patient
            if fetch >= min(count, 64 * wanted):
                enough[:] = True
            for own, those in zip(open_[enough], found[enough], strict=True):
                those = those[those != UNKNOWN][:wanted]
                rows[own, : len(those)] = those
            open_, fetch = open_[~enough], min(4 * fetch, count)
        return rows

    def _left_out(self, asked: Asked, chosen: Int, found: Int) -> np.ndarray[Any, Any]:
        dropped = found == asked.own[chosen, None]
        groups = asked.group[chosen]
        for group in np.unique(groups):
            own = groups == group
            dropped[own] |= np.isin(found[own], asked.excluded[group])
        return np.asarray(dropped | (found == UNKNOWN))

    def compare(self, queries: Float, groups: Int, own: Int, nearest: Neighbours) -> None:
        """Search some of the queries exactly, too, and say how many of their rows were found."""
        some = np.sort(np.random.default_rng(0).permutation(len(queries))[:_SAMPLE])
        truth = self._exact.search(queries[some], groups[some], own[some])
        share = recall(Neighbours(nearest.rows[some], nearest.distances[some]), truth)
        line = f"{self.kind}: recall@{self.knn.k} {share:.3f} on {len(some)} patches"
        self.said = (*([self._had] if self._had else []), line)
        self._had = ""


def recall(found: Neighbours, exact: Neighbours) -> float:
    """The share of the exact neighbours that were found; a row as near as the last counts.

    >>> one = Neighbours(np.array([[3, 5]]), np.array([[1, 2]], np.float32))
    >>> recall(one, Neighbours(np.array([[3, 4]]), np.array([[1, 1.5]], np.float32)))
    0.5
    """
    if not len(exact.rows):
        return 1.0
    last = exact.distances[:, -1:] * np.float32(1 + 1e-5)
    return float((found.distances <= last).mean())


def _place(examples: Features, knn: Knn, kind: Kind) -> Path:
    """Where an index lies: one for the folder, or for the only file."""
    first = examples.files[0]
    whose = f"{first.stem}-" * (len(examples.files) == 1)
    how = "-unit" * knn.scaled + "-centred" * knn.center
    return first.parent / ".index" / f"{whose}{kind}{how}.faiss"


def _faiss(threads: int) -> Any:
    """faiss, on as many threads as torch, whose OpenMP is another one.

    Two of these may not both start threads on macOS: the process would crash.
    """
    try:
        import faiss
    except ImportError as error:
        raise UsageError(
            "--index needs faiss, which is not installed", 'Run pip install "histocnn[ann]".'
        ) from error
    faiss.omp_set_num_threads(1 if sys.platform == "darwin" else threads)
    return faiss
