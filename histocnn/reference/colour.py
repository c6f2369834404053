"""Colour alone: six numbers per patch and what they would score, a yardstick for every result."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.errors import FeaturesError
from histocnn.reference.neighbours import UNKNOWN, Float, Knn, Reference
from histocnn.reference.votes import vote

MOST_STORED = 2000  # training patches that a model file holds: 26 kB
STORED_KEYS = ("patients", "colours", "labels")


def colour(pixels: NDArray[np.uint8]) -> Float:
    """RGB mean and deviation of patches uint8 [B, H, W, 3]: float32 [B, 6], in 0 to 255."""
    import cv2

    return np.array(
        [np.concatenate(cv2.meanStdDev(patch)).ravel() for patch in pixels], np.float32
    ).reshape(-1, 6)


def colours_of_squares(image: NDArray[np.uint8], starts: NDArray[np.int64], side: int) -> Float:
    """As `colour`, of squares of one image that may overlap.

    Args:
        image: uint8 [H, W, 3].
        starts: int64 [N, 2], (row, col) of the squares' first pixels; what lies outside of the
            image is left out.
        side: Of the squares, px.

    Returns:
        float32 [N, 6].
    """
    edges = np.clip([starts, starts + side], 0, image.shape[:2])
    (rows, row), (cols, col) = (np.unique(edges[..., axis], return_inverse=True) for axis in (0, 1))
    (top, bottom), (left, right) = row.reshape(2, -1), col.reshape(2, -1)
    count = np.maximum(np.prod(edges[1] - edges[0], axis=1), 1)[:, None]
    mean, square = (
        (table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]) / count
        for table in _sums_before(image, rows, cols)
    )
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return np.concatenate([mean, deviation], axis=1).astype(np.float32)


def _sums_before(
    image: NDArray[np.uint8], rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Sums, and sums of squares, from the first edges to each other: uint64 [2, R, C, 3].

    An integral image of all pixels takes ten times as long, most of it to get the memory.
    """
    sums = np.zeros((2, len(rows), len(cols), 3), np.uint64)
    for index, (first, last) in enumerate(pairwise(rows)):
        strip = image[first:last, : cols[-1]]
        for kind, values in enumerate((strip, np.multiply(strip, strip, dtype=np.uint16))):
            line = values.sum(axis=0, dtype=np.uint64)
            sums[kind, index + 1, 1:] = np.add.reduceat(line, cols[:-1], axis=0)
    return sums.cumsum(axis=1).cumsum(axis=2)


def colour_baseline(
    train_colour: ArrayLike,
    train_labels: ArrayLike,
    test_colour: ArrayLike,
    num_classes: int,
    k: int = 20,
) -> Float:
    """What colour alone would score: k-NN on each patch's RGB mean and deviation.

    Each of the six is standardised by the training rows; votes by distance.

    Args:
        train_colour: [N, 6]; rows with NaN or label -1 are left out.
        train_labels: [N], -1 unknown.
        test_colour: [M, 6]; NaN rows get NaN scores.
        num_classes: C.
        k: Neighbours, at most as many as training rows.

    Returns:
        float32 [M, C].

    Raises:
        FeaturesError: No training row is left.
    """
    train, test = np.asarray(train_colour, np.float32), np.asarray(test_colour, np.float32)
    labels = np.asarray(train_labels, np.int64)
    usable = (labels != UNKNOWN) & np.isfinite(train).all(1)
    train, labels = train[usable], labels[usable]
    if not len(train):
        raise FeaturesError("no labelled patch with a colour", "Give labelled training patches.")
    mean, deviation = train.mean(0), train.std(0)
    deviation[deviation == 0] = 1
    knn = Knn(min(k, len(train)), "euclidean", "distance", center=False)
    reference = Reference((train - mean) / deviation, np.full((len(train), 2), UNKNOWN), knn)
    scores = np.full((len(test), num_classes), np.nan, np.float32)
    readable = np.isfinite(test).all(1)
    ungrouped = np.full((int(readable.sum()), 2), UNKNOWN)
    nearest = reference.search((test[readable] - mean) / deviation, ungrouped)
    scores[readable] = vote(labels[nearest.rows], nearest.distances, num_classes, "distance")
    return scores


def within(
    colours: Float, labels: NDArray[np.int64], patients: NDArray[np.int64], num_classes: int
) -> Float:
    """What colour alone scores of patients by the others, one patient left out after the other.

    Args:
        colours: float32 [N, 6], finite.
        labels: int64 [N], known.
        patients: int64 [N], any numbers, of two patients at least.
        num_classes: C.

    Returns:
        float32 [N, C].
    """
    scores = np.full((len(colours), num_classes), np.nan, np.float32)
    for patient in np.unique(patients):
        own = patients == patient
        scores[own] = colour_baseline(colours[~own], labels[~own], colours[own], num_classes)
    return scores


def drawn(patients: NDArray[np.integer[Any]], limit: int, seed: int = 0) -> NDArray[np.int64]:
    """Rows of as many patches of every patient as there are, at most so many in all.

    A patient's patches are shuffled; everybody's first comes before anybody's second.

    Args:
        patients: int [N], any numbers.
        limit: Rows at most.
        seed: Of the shuffle.

    Returns:
        int64 [min(N, limit)], rising.

    >>> drawn(np.array([0, 0, 0, 0, 1, 1, 2]), 5).tolist() == [
    ...     row for row in range(7) if row in drawn(np.array([0, 0, 0, 0, 1, 1, 2]), 5)]
    True
    >>> np.bincount(np.array([0, 0, 0, 0, 1, 1, 2])[drawn(np.array([0, 0, 0, 0, 1, 1, 2]), 5)])
    array([2, 2, 1])
    """
    order = np.random.default_rng(seed).permutation(len(patients))
    order = order[np.argsort(patients[order], kind="stable")]
    first = np.flatnonzero(np.diff(patients[order], prepend=patients.min(initial=0) - 1))
    place = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
    return np.sort(order[np.argsort(place, kind="stable")[:limit]])


@dataclass(frozen=True, eq=False)
class ColourReference:
    """Colours of the training patches, which travel with a model: the yardstick of its scores.

    Attributes:
        colours: float16 [N, 6], RGB mean and deviation; N at most 2,000.
        labels: int64 [N], index into the model's classes.
        patients: How many these are of; 0 unknown.
    """

    colours: NDArray[np.float16]
    labels: NDArray[np.int64]
    patients: int

    def scores(self, colours: ArrayLike, num_classes: int) -> Float:
        """What colour alone scores, float32 [M, C], of colours [M, 6]."""
        return colour_baseline(self.colours.astype(np.float32), self.labels, colours, num_classes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "patients": self.patients,
            "colours": base64.b64encode(self.colours.astype("<f2").tobytes()).decode(),
            "labels": base64.b64encode(self.labels.astype("<u2").tobytes()).decode(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], num_classes: int) -> ColourReference:
        """Read what `to_dict` made.

        Raises:
            ValueError: It is of another form, or of other classes.
        """
        if set(stored) != set(STORED_KEYS) or not isinstance(stored["patients"], int):
            raise ValueError("no colours of training")
        values, labels = (
            np.frombuffer(base64.b64decode(str(stored[key]), validate=True), kind)
            for key, kind in (("colours", "<f2"), ("labels", "<u2"))
        )
        found = cls(values.reshape(-1, 6), labels.astype(np.int64), stored["patients"])
        fits = 0 < len(found.labels) == len(found.colours) <= MOST_STORED
        if not (fits and np.isfinite(values).all() and found.labels.max() < num_classes):
            raise ValueError("no colours of training")
        return found
