"""CAMELYON16's figures: free-response ROC over lesions, and AUROC over slides.

Source: the challenge's published evaluation (github.com/computationalpathologygroup/Camelyon16) and
Ehteshami Bejnordi et al., JAMA 2017. One deliberate difference: that script never evaluates the
lowest distinct probability, which is the 0 of the missed lesions unless every lesion was found;
here a missed lesion has no probability, and every probability is a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histocnn.errors import MetricError
from histocnn.metrics import counts
from histocnn.metrics.detections import Detections

Floats = NDArray[np.float64]

MASK_MPP = 7.8  # about: level 5 of a CAMELYON16 slide
GROW_UM = 75 / 2  # half of 75 µm, five tumour cells
ITC_UM = 200 + 75  # major axis below this, after growing: isolated tumour cells
RATES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # false positives per slide
LEFT_OUT = ("test_049", "test_114")  # by convention: a duplicate, and one not fully annotated


@dataclass(frozen=True, eq=False)
class Lesions:
    """The lesions of one slide, grown as the challenge grows them.

    Attributes:
        label: int32 [h, w]: 0 = none, else the lesion's number.
        itc: bool [L + 1]: which numbers are isolated tumour cells; [0] is False.
        l0_per_px: (x, y) level-0 pixels per mask pixel.
    """

    label: NDArray[np.int32]
    itc: NDArray[np.bool_]
    l0_per_px: tuple[float, float]

    @property
    def counted(self) -> int:
        """Lesions that must be found: those that are no isolated tumour cells."""
        return int(np.count_nonzero(~self.itc[1:]))

    def at(self, xy_l0: ArrayLike) -> NDArray[np.int32]:
        """Number of the lesion at each point (x, y), 0 outside lesions and outside the mask."""
        points = np.asarray(xy_l0, np.float64).reshape(-1, 2)
        column, row = np.floor(points / self.l0_per_px).astype(np.int64).T
        height, width = self.label.shape
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        number = np.zeros(len(points), np.int32)
        number[inside] = self.label[row[inside], column[inside]]
        return number


def lesions(
    mask: ArrayLike,
    mask_mpp: tuple[float, float],
    l0_per_px: tuple[float, float],
    *,
    touched: ArrayLike | None = None,
) -> Lesions:
    """Grow an annotation mask by 37.5 µm, fill its holes and number its 8-connected parts.

    The challenge's masks were made by ASAP, which asks one point per pixel (of level 0, of which
    every lower level keeps each second), so `mask` holds the pixels whose centre is annotated. A
    strand thinner than a pixel can pass between the points; ASAP loses it, and with it the slide's
    only lesion. Here no annotation is lost: a pixel that it touches is marked too, but only where
    the grown mask would not hold it. Whatever the published evaluation sees stays exactly as it is
    there, and every annotated point lies in a lesion. (To mark every touched pixel would grow all
    lesions by half a pixel more than published.)

    Args:
        mask: bool [h, w]: annotated tumour over the whole slide, at about 7.8 µm/px.
        mask_mpp: (x, y) µm per mask pixel.
        l0_per_px: (x, y) level-0 pixels per mask pixel.
        touched: bool [h, w]: every pixel that the annotation touches.

    Returns:
        Lesions.
    """
    from scipy import ndimage

    mask = np.asarray(mask, bool)
    near = _near(mask, mask_mpp)
    if touched is not None and (lost := np.asarray(touched, bool) & ~near).any():
        near = _near(mask | lost, mask_mpp)
    grown = ndimage.binary_fill_holes(near)
    label, number = ndimage.label(grown, structure=np.ones((3, 3)))
    axes_um = major_axes_um(label, number, mask_mpp)
    itc = np.concatenate([[False], axes_um < ITC_UM])
    return Lesions(label.astype(np.int32), itc, l0_per_px)


def _near(mask: NDArray[np.bool_], mask_mpp: tuple[float, float]) -> NDArray[np.bool_]:
    """Mark the pixels less than 37.5 µm from a marked one."""
    from scipy import ndimage

    if not mask.any():
        return mask
    distance_um = ndimage.distance_transform_edt(~mask, sampling=mask_mpp[::-1])
    near: NDArray[np.bool_] = distance_um < GROW_UM
    return near


def major_axes_um(label: NDArray[np.integer], number: int, mpp: tuple[float, float]) -> Floats:
    """Major axis of the ellipse with each part's second moments, as scikit-image defines it.

    Args:
        label: int [h, w], parts 1 .. number.
        number: How many parts.
        mpp: (x, y) µm per pixel.

    Returns:
        float64 [number] in µm.
    """
    rows, columns = np.nonzero(label)
    part = label[rows, columns] - 1
    n = np.bincount(part, minlength=number)
    x, y = columns * mpp[0], rows * mpp[1]
    x -= (np.bincount(part, x, number) / n)[part]
    y -= (np.bincount(part, y, number) / n)[part]
    xx, yy, xy = (np.bincount(part, v, number) / n for v in (x * x, y * y, x * y))
    largest = (xx + yy) / 2 + np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    axes: Floats = 4 * np.sqrt(largest)
    return axes


class Hits(NamedTuple):
    """What one slide's detections found.

    found: Highest probability per counted lesion that was hit, [H].
    false: Probabilities of detections outside every lesion, [F].
    lesions: Counted lesions of the slide.
    normal: No lesion of any size is annotated.
    """

    found: Floats
    false: Floats
    lesions: int
    normal: bool


def hits(points: Detections, truth: Lesions | None) -> Hits:
    """Match a slide's detections with its lesions; None = a slide without any.

    A lesion counts once, at its most probable detection; a detection in isolated tumour cells is
    ignored; one outside every lesion is a false positive.
    """
    if truth is None or len(truth.itc) == 1:
        return Hits(np.empty(0), points.prob, 0, True)
    number = truth.at(points.xy_l0)
    best = np.full(len(truth.itc), -np.inf)
    np.maximum.at(best, number, points.prob)
    hit = np.isfinite(best) & ~truth.itc
    return Hits(best[1:][hit[1:]], points.prob[number == 0], truth.counted, False)


class Froc:
    """The curve of a cohort, under any weighting of its slides.

    Args:
        slides: One Hits per slide.
        mode: Between two points of the curve: a straight line, as published, or the lower one.
        fp_slides: False positives on all slides per slide, as published by the challenge's script;
            or on slides without any lesion per such slide, as in the JAMA paper.

    Raises:
        MetricError: No lesion to find, or no slide to count false positives on.
    """

    def __init__(
        self,
        slides: Sequence[Hits],
        mode: Literal["interp", "step"] = "interp",
        fp_slides: Literal["all", "normal"] = "all",
    ) -> None:
        self.mode = mode
        self.lesions = np.array([slide.lesions for slide in slides], np.float64)
        self.counts_fp = np.array([fp_slides == "all" or s.normal for s in slides], np.float64)
        if not self.lesions.any():
            raise MetricError("FROC has no lesion to find", "Give annotations of lesions ≥ 200 µm.")
        if not self.counts_fp.any():
            raise MetricError("FROC has no normal slide", "Use --fp_slides all.")
        false = [
            s.false if on else s.false[:0] for s, on in zip(slides, self.counts_fp, strict=True)
        ]
        sides = ([s.found for s in slides], false)
        prob = np.concatenate([p for side in sides for p in side])
        order = np.argsort(-prob, kind="stable")
        prob = prob[order]
        self._slide = np.concatenate(
            [np.repeat(np.arange(len(slides)), [len(p) for p in side]) for side in sides]
        )[order]
        self._true = (np.arange(len(prob)) < sum(map(len, sides[0])))[order]
        self._last = np.flatnonzero(np.diff(prob, append=-np.inf))  # of each run of equal values
        self.thresholds = prob[self._last]

    def curve(self, weights: ArrayLike | None = None) -> tuple[Floats, Floats]:
        """False positives per slide and sensitivity at every threshold, from the highest down.

        Args:
            weights: float [S], how often each slide counts; None = once.

        Returns:
            Each float64 [T + 1], starting at (0, 0).
        """
        w = np.ones(len(self.lesions)) if weights is None else np.asarray(weights, np.float64)
        of_point = w[self._slide]
        tp = np.cumsum(of_point * self._true)[self._last]
        fp = np.cumsum(of_point * ~self._true)[self._last]
        with np.errstate(invalid="ignore", divide="ignore"):
            return (
                np.append(0.0, fp) / (w @ self.counts_fp),
                np.append(0.0, tp) / (w @ self.lesions),
            )

    def sensitivity(self, weights: ArrayLike | None = None) -> Floats:
        """Sensitivity at 1/4, 1/2, 1, 2, 4 and 8 false positives per slide, float64 [6]."""
        fp, sensitivity = self.curve(weights)
        if self.mode == "interp":
            return np.interp(RATES, fp, sensitivity)
        # The curve rises, so the last point at no more than the rate is the highest there.
        return sensitivity[np.searchsorted(fp, RATES, side="right") - 1]

    def figures(self, weights: ArrayLike | None = None) -> dict[str, Floats]:
        """The six sensitivities and their mean, the challenge's score, for R weightings [R, S]."""
        rows = np.ones((1, len(self.lesions))) if weights is None else np.asarray(weights)
        at = np.stack([self.sensitivity(row) for row in rows])
        named = {f"sensitivity_at_{rate:g}_fp": at[:, i] for i, rate in enumerate(RATES)}
        return {"froc": at.mean(axis=1)} | named


def slide_auroc(score: ArrayLike, positive: ArrayLike) -> float:
    """AUROC of slides, each scored by its most probable patch; NaN with one class only."""
    _, tp, fp = counts.cumulative(score, positive)
    return float(counts.auroc(tp, fp))
