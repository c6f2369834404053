"""k-nearest neighbours among rows that stay in their files: block by block, through torch.

Every block is multiplied with all queries at once, whatever patients are left out: with X a row and
m the mean without the patient, both less one mean for all, the cosine to a query q (less its mean,
of length 1) is (q·X - q·m) / |X - m|. What single precision so calls near, and a few more, is
measured anew in double precision from the rows themselves. Where, by the bound of rounding, a row
that was passed over may belong to the k, the blocks are gone through once more for that query.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from histocnn.errors import FeaturesError
from histocnn.reference.asked import Asked, Double
from histocnn.reference.excluded import Part, tiles
from histocnn.reference.means import Means
from histocnn.reference.memory import Sizes
from histocnn.reference.merging import Best
from histocnn.reference.neighbours import UNKNOWN, Float, Int, Knn, Neighbours, Searched
from histocnn.reference.stored import StoredRows

_SPARE = 12  # candidates beyond k, so that rounding costs no second pass
_PIECE = 1_024  # queries that meet a block at a time: 16 MB of scores
_SETTLED = 128  # the same where rows of a whole block may be as near
_CELL = 32  # scores that are looked at together
_NEAR_MEAN = 0.1  # of its square length: rows nearer to a mean are centred on their own
_SAFE = 8 * 2.0**-24  # × √D: a product of two units is off by less in single precision


@dataclass(frozen=True, eq=False)
class _Block:
    """Rows of the reference.

    Attributes:
        start: Number of the first.
        rows: [B, D], as they are stored.
        x: float32 [B', D], less the centre; of length 1 where one mean serves all. B' is a multiple
            of 32.
        square: float32 [B'], square lengths before that.
    """

    start: int
    rows: NDArray[Any]
    x: Tensor
    square: Tensor


class _Multiplied:
    """Queries as single precision multiplies them with blocks; the higher a score, the nearer.

    Args:
        asked: The queries.
        centre: float64 [D], what is subtracted from every row.
        device: Where to multiply.
    """

    def __init__(self, asked: Asked, centre: Double, device: torch.device) -> None:
        self.asked = asked
        self.device = device
        self.shared = asked.scaled and (asked.means is None or len(asked.means) == 1)
        points = asked.points if asked.scaled else asked.queries - centre
        self.square = np.einsum("td,td->t", points, points)
        self.points = self._single(points)
        self.centre = self._single(centre)
        self.rest = self._single(centre - centre.astype(np.float32))  # of its rounding
        if asked.scaled and not self.shared and asked.means is not None:
            shift = asked.means - centre
            self.shift = self._single(shift)
            self.offset = self._single(np.einsum("td,td->t", points, shift[asked.group]))

    def _single(self, values: Double) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self.device)

    def least(self, distances: Float) -> Float:
        """Below this score float32 [T] a row is farther than these distances, whatever rounding."""
        far, width = distances.astype(np.float64), self.points.shape[1]
        safe = _SAFE * np.sqrt(width)
        if self.asked.scaled:
            score = (self.square + 1 - far**2) / 2 - safe * (1 if self.shared else 4)
        else:
            length = np.sqrt(self.square)
            row = length + far  # no row that is so near is longer
            score = (self.square - far**2) / 2 - safe * (length * row + row**2)
        return np.asarray(np.nextafter(score.astype(np.float32), np.float32(-np.inf)), np.float32)

    def block(self, start: int, rows: NDArray[Any]) -> _Block:
        """Make a block ready."""
        spare = -len(rows) % _CELL
        x = torch.from_numpy(rows).to(self.device).float() - self.centre
        x -= self.rest
        x = torch.nn.functional.pad(x, (0, 0, 0, spare)) if spare else x
        square = torch.einsum("nd,nd->n", x, x)
        if self.shared:
            x *= _inverse(square)[:, None]
        return _Block(start, rows, x, square)

    def scores(self, block: _Block, first: int, last: int) -> Tensor:
        """Scores float32 [last - first, B'] of some queries; what is left out has -∞."""
        scores = self.points[first:last] @ block.x.T
        if self.shared:
            scores[:, block.square == 0] = 0.5  # a row without direction: as far as 60°
        elif self.asked.scaled:
            self._turn(scores, block, first, last)
        else:
            scores -= block.square / 2
        self._leave_out(scores, block, first, last)
        return scores

    def _turn(self, scores: Tensor, block: _Block, first: int, last: int) -> None:
        """Make products with rows less the centre cosines with rows less each group's mean."""
        scores -= self.offset[first:last, None]
        groups, edges = self.asked.runs(first, last)
        shift = self.shift[groups]
        own = torch.einsum("gd,gd->g", shift, shift)[:, None] + block.square
        square = own - 2 * (shift @ block.x.T)
        close = square < _NEAR_MEAN * own
        inverse = _inverse(square.clamp(min=0))
        for i, (a, b) in enumerate(pairwise(edges)):
            scores[a:b] *= inverse[i]
            if close[i].any():
                near = close[i].nonzero()[:, 0]
                x = block.x[near] - shift[i]
                square_x = torch.einsum("nd,nd->n", x, x)
                x *= _inverse(square_x)[:, None]
                exact = self.points[first + a : first + b] @ x.T
                exact[:, square_x == 0] = 0.5
                scores[a:b, near] = exact

    def _leave_out(self, scores: Tensor, block: _Block, first: int, last: int) -> None:
        end = block.start + len(block.rows)
        scores[:, len(block.rows) :] = -torch.inf
        groups, edges = self.asked.runs(first, last)
        for group, a, b in zip(groups.tolist(), edges, edges[1:], strict=False):
            excluded = self.asked.excluded[group]
            low, high = np.searchsorted(excluded, [block.start, end])
            if high > low:
                own = torch.from_numpy(excluded[low:high] - block.start).to(self.device)
                scores[a:b].index_fill_(1, own, -torch.inf)
        own_rows = self.asked.own[first:last]
        itself = np.flatnonzero((own_rows >= block.start) & (own_rows < end))
        if len(itself):
            scores[itself, own_rows[itself] - block.start] = -torch.inf


class LargeReference(Searched):
    """Labelled rows in their files, compared with block by block.

    Args:
        rows: N rows.
        groups: int64 [N, 2], codes of (patient, slide); -1 unknown.
        knn: How neighbours are found.
        memory: Bytes that blocks and queries may take.
    """

    def __init__(self, rows: StoredRows, groups: Int, knn: Knn, memory: float = 1e9) -> None:
        self.features: StoredRows = rows
        self.groups = groups
        self.knn = knn
        self.sizes = Sizes.within(memory, rows.width)
        self.means = Means(rows, self.sizes.rows)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.threads = torch.get_num_threads()

    def search(self, queries: Float, groups: Int, own: Int | None = None) -> Neighbours:
        """As `Searched.search`, the same neighbours as `Reference` finds."""
        k = self.knn.k
        parts = self.exclusions.parts(groups, own, k)
        nearest = Neighbours(
            np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
        )
        for tile in tiles(parts, self.sizes.queries):
            numbers = np.concatenate([part.queries for part in tile])
            found = self._nearest(self._ask(queries[numbers], tile, own))
            nearest.rows[numbers], nearest.distances[numbers] = found.rows, found.cost
        if self.knn.metric == "cosine":  # |a - b|² / 2 = 1 - cos of unit vectors
            np.square(nearest.distances, out=nearest.distances)
            np.multiply(nearest.distances, np.float32(0.5), out=nearest.distances)
        return nearest

    def _ask(self, queries: Float, tile: list[Part], own: Int | None) -> Asked:
        numbers = np.concatenate([part.queries for part in tile])
        group = np.repeat(np.arange(len(tile)), [len(part.queries) for part in tile])
        itself = np.full(len(numbers), UNKNOWN) if own is None else own[numbers]
        excluded = [part.excluded for part in tile]
        centred = self.knn.center and self.knn.scaled  # straight lines: wherever the centre is
        means = self.means.without(excluded) if centred else None
        return Asked.of(queries, group, excluded, itself, means, self.knn)

    def _nearest(self, asked: Asked) -> Best:
        """The k nearest of each query, by Euclidean distance as the metric sees it."""
        if asked.means is not None and len(asked.means) == 1:
            centre = asked.means[0]
        elif asked.means is None and asked.scaled:
            centre = np.zeros(self.features.width)
        else:
            centre = self.means.of_all
        product = _Multiplied(asked, centre, self.device)
        near = self._candidates(product)
        found = self.measured(asked, near.rows)
        unsure = -near.cost[:, -1] >= product.least(found.cost[:, -1])
        unsure &= near.rows[:, -1] != UNKNOWN  # else all of them are there
        if unsure.any():
            chosen = np.flatnonzero(unsure)
            again = _Multiplied(asked.only(chosen), centre, self.device)
            settled = self._settled(again, again.least(found.cost[chosen, -1]))
            found.cost[chosen], found.rows[chosen] = settled.cost, settled.rows
        if (found.rows == UNKNOWN).any():
            raise FeaturesError(
                "the features are too large to be multiplied in single precision",
                "Scale them down before they are compared.",
            )
        return found

    def _blocks(self, product: _Multiplied) -> Iterator[_Block]:
        for numbers, rows in self.features.blocks(self.sizes.rows):
            yield product.block(int(numbers[0]), rows)

    def _candidates(self, product: _Multiplied) -> Best:
        """Rows of the highest scores, a few more than k; their cost is the score's negative."""
        count = len(product.asked)
        best = Best(count, self.knn.k + _SPARE)
        width = best.cost.shape[1]
        for block in self._blocks(product):
            for first in range(0, count, _PIECE):
                last = min(first + _PIECE, count)
                scores = product.scores(block, first, last)
                least = torch.from_numpy(-best.cost[first:last, -1]).to(self.device)
                query, column, score = _above(scores, least, min(width, scores.shape[1]))
                best.offer(first + query, block.start + column, -score)
        return best

    def measured(self, asked: Asked, rows: Int) -> Best:
        """The k nearest among candidates int64 [T, W], by their exact distance; -1 is none."""
        best = Best(len(asked), self.knn.k)
        query, _ = np.nonzero(rows != UNKNOWN)
        row = rows[rows != UNKNOWN]
        order = np.argsort(row, kind="stable")
        query, row = query[order], row[order]
        cost = np.empty(len(row), np.float32)
        for numbers, block in self.features.blocks(self.sizes.rows, np.unique(row)):
            low, high = np.searchsorted(row, [numbers[0], numbers[-1] + 1])
            at = np.searchsorted(numbers, row[low:high])
            values = torch.from_numpy(block).float().numpy()
            cost[low:high] = asked.distances(query[low:high], values, at)
        best.offer(query, row, cost)
        return best

    def _settled(self, product: _Multiplied, least: Float) -> Best:
        """The k nearest among all rows of these scores or more: where many are as near."""
        count = len(product.asked)
        best = Best(count, self.knn.k)
        limit = torch.from_numpy(np.nextafter(least, np.float32(-np.inf))).to(self.device)
        for block in self._blocks(product):
            values = torch.from_numpy(block.rows).float().numpy()
            for first in range(0, count, _SETTLED):
                last = min(first + _SETTLED, count)
                scores = product.scores(block, first, last)
                query, column, _ = _above(scores, limit[first:last], None)
                cost = product.asked.distances(first + query, values, column)
                best.offer(first + query, block.start + column, cost)
        return best


def _inverse(square: Tensor) -> Tensor:
    """1 / length; 0 of what has none."""
    return torch.where(square > 0, square.rsqrt(), 0)


def _above(scores: Tensor, least: Tensor, most: int | None) -> tuple[Int, Int, Float]:
    """Query, column and score of what lies above each query's `least`; of the `most` highest.

    Cells of 32 scores are looked at by their highest first: most blocks add little.
    """
    cells = scores.view(len(scores), _CELL, -1)
    query, cell = (cells.amax(1) > least[:, None]).nonzero(as_tuple=True)
    if most is not None and len(query) * _CELL > 4 * most * len(scores):
        values, places = scores.topk(most, dim=1, sorted=False)
        query, place = (values > least[:, None]).nonzero(as_tuple=True)
        found = query, places[query, place], values[query, place]
    else:
        values = cells[query, :, cell]
        which, step = (values > least[query, None]).nonzero(as_tuple=True)
        found = query[which], step * cells.shape[2] + cell[which], values[which, step]
    whose, columns, score = (part.cpu().numpy() for part in found)
    return whose, columns, score
