"""Pictures whose patient nobody knows, grouped by their stain.

Slides of one patient are stained and scanned together, so pictures of one stain may be of one
patient and pictures of different stains hardly are. A split that keeps stains apart is harder than
one by patient (a tested stain was never learnt), where one by file is easier: figures are
pessimistic instead of optimistic. docs/benchmarks.md has by how much.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histocnn.patches.copies import find_copies, take_prints
from histocnn.slides.geometry import Pixels
from histocnn.slides.stain import stained

GROUPS = 20  # clusters at most
FEWEST_STAINED_PX = 16  # below it a picture's stain cannot be told
_STARTS = 10  # of k-means, the best is kept
_SEED = 0  # fixed: another seed deals the groups to other splits, but the groups are the same


def stain_features(pixels: Pixels) -> NDArray[np.float64]:
    """Which colours a picture is stained in, not how much of it.

    Amounts of stain follow what the picture shows; the direction of optical density (its colour,
    were it infinitely thin) follows dyes and scanner. Of the stained pixels' optical density: the
    direction of the mean, and that of the largest principal component, both of R, G, B.

    Args:
        pixels: uint8 [H, W, 3].

    Returns:
        float64 [6], two unit vectors; NaN where hardly anything is stained.
    """
    density = stained(pixels)
    if len(density) < FEWEST_STAINED_PX:
        return np.full(6, np.nan)
    mean = density.mean(axis=0)
    main = np.linalg.eigh(np.cov(density.T))[1][:, 2]
    main *= -1 if main.sum() < 0 else 1
    return np.concatenate([mean / np.linalg.norm(mean), main])


def stain_groups(
    read: Callable[[int], Pixels], names: Sequence[str], owners: Sequence[str]
) -> list[str]:
    """Group pictures by stain: k-means on `stain_features`, copies of one another together.

    The groups depend on the pictures alone, not on their order or on a seed, and a group's name
    holds a hash of its pictures' names: of other pictures it is another group.

    Args:
        read: Gives the pixels [H, W, 3] of a picture by its number; PatchesError or SlideError
            where they cannot be had.
        names: [N], of the pictures, no two alike.
        owners: [N], whose they are where it is known, else "": one owner's are not parted.

    Returns:
        [N], the group of each.
    """
    features = np.full((len(names), 6), np.nan)

    def noted(index: int) -> Pixels:
        pixels = read(index)
        features[index] = stain_features(pixels)
        return pixels

    prints = take_prints(noted, len(names))
    pairs = [(copy.first, copy.second) for copy in find_copies(prints, np.arange(len(names)))]
    first = {owner: i for i, owner in reversed(list(enumerate(owners)))}
    pairs += [(first[owner], i) for i, owner in enumerate(owners) if owner]
    return _named(_clusters(features, _joined(pairs, len(names))), names)


def _joined(pairs: Sequence[tuple[int, int]], count: int) -> NDArray[np.int64]:
    """int64 [N]: pictures that a chain of pairs connects have one number."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array(pairs, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(ends.shape[1]), (ends[0], ends[1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _clusters(features: NDArray[np.float64], joined: NDArray[np.int64]) -> NDArray[Any]:
    """The cluster of each picture: of standardised features, the mean of what is joined."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    known = np.isfinite(features).all(axis=1)
    units = np.zeros((joined.max(initial=-1) + 1, features.shape[1]))
    if known.any():
        spread = features[known].std(axis=0)
        values = (features - features[known].mean(axis=0)) / np.where(spread == 0, 1, spread)
        np.add.at(units, joined[known], values[known])
        units /= np.maximum(np.bincount(joined[known], minlength=len(units)), 1)[:, None]
        units = np.round(units, 9)  # sums in another order differ by less
    distinct, unit = np.unique(units, axis=0, return_inverse=True)  # sorted: any order of pictures
    if len(distinct) <= GROUPS:
        return np.asarray(unit.reshape(-1)[joined])
    weights = np.bincount(unit.reshape(-1)[joined])
    with threadpool_limits(1):  # threads add up in any order, and rounding would decide
        found = KMeans(GROUPS, n_init=_STARTS, random_state=_SEED).fit(distinct, None, weights)
    return np.asarray(found.labels_[unit.reshape(-1)][joined])


def _named(clusters: NDArray[Any], names: Sequence[str]) -> list[str]:
    name_of = {}
    for cluster in np.unique(clusters):
        members = sorted(names[int(i)] for i in np.flatnonzero(clusters == cluster))
        name_of[cluster] = "stain-" + hashlib.sha256("\0".join(members).encode()).hexdigest()[:8]
    return [name_of[cluster] for cluster in clusters]
