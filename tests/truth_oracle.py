"""The truth of a slide worked out pixel by pixel: masks at level 0, and no geometry but counting.

Nothing here comes from `histocnn`, shapely or SciPy. All outlines have whole coordinates, so that a
pixel of level 0 lies in a region or does not, and every share and area is a count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from tests.camelyon16_published import RATES, sensitivity_at

Box = tuple[int, int, int, int]  # minx, miny, maxx, maxy in level-0 px
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

MASK_UM, GROWN_UM = 7.8, 75 / 2


@dataclass(frozen=True)
class Drawn:
    """Boxes of tumour, each without the box in it if there is one; those too small; what excludes.

    Each is far enough from the others to stay a lesion of its own once grown.
    """

    tumour: Sequence[tuple[Box, Box | None]] = ()
    itc: Sequence[int] = ()
    exclusion: Sequence[Box] = field(default=())


@dataclass(frozen=True)
class Scene:
    """A slide: its size, the µm of a level-0 pixel, the box that is tissue, what is drawn on it."""

    size: tuple[int, int]
    mpp: float
    tissue: Box
    drawn: Drawn

    def painted(self, *boxes: Box) -> Bools:
        mask = np.zeros(self.size[::-1], bool)
        for x0, y0, x1, y1 in boxes:
            mask[y0:y1, x0:x1] = True
        return mask

    def tumour(self) -> Bools:
        mask = self.painted()
        for outer, hole in self.drawn.tumour:
            mask |= self.painted(outer) & ~self.painted(*filter(None, [hole]))
        return mask


@dataclass(frozen=True)
class Labelled:
    """Of N patches: share of tumour, excluded or not, and -1 unknown, 0 normal, 1 tumour."""

    share: Floats
    excluded: Bools
    label: NDArray[np.int64]
    with_border: NDArray[np.int64]


def labelled(
    scene: Scene, boxes: Sequence[Box], label_coverage: float, max_background_coverage: float
) -> Labelled:
    """Patch by patch; what is not tumour is normal."""
    tumour, exclusion = scene.tumour(), scene.painted(*scene.drawn.exclusion)
    share, excluded, label, with_border = [], [], [], []
    for x0, y0, x1, y1 in boxes:
        share.append(int(tumour[y0:y1, x0:x1].sum()) / ((x1 - x0) * (y1 - y0)))
        excluded.append(bool(exclusion[y0:y1, x0:x1].any()))
        own = -1
        if share[-1] >= label_coverage:
            own = 1
        elif share[-1] <= max_background_coverage:
            own = 0
        larger = int(share[-1] > 0.5) if own == -1 else own
        label.append(-1 if excluded[-1] else own)
        with_border.append(-1 if excluded[-1] else larger)
    return Labelled(np.array(share), np.array(excluded), np.array(label), np.array(with_border))


def areas_um2(scene: Scene, boxes: Sequence[Box]) -> tuple[float, float, float]:
    """Of tumour: drawn, in tissue, in patches."""
    tumour, pixel = scene.tumour(), scene.mpp**2
    parts = (tumour, tumour & scene.painted(scene.tissue), tumour & scene.painted(*boxes))
    return tuple(float(np.count_nonzero(part)) * pixel for part in parts)  # type: ignore[return-value]


def kept(scene: Scene, side: int, stride: int) -> list[Box]:
    """The patches of a grid at least half of which is tissue, row by row."""
    tissue, boxes = scene.painted(scene.tissue), []
    width, height = scene.size
    for y, x in product(range(0, height, stride), range(0, width, stride)):
        if 2 * np.count_nonzero(tissue[y : y + side, x : x + side]) >= side * side:
            boxes.append((x, y, x + side, y + side))
    return boxes


def heat(scene: Scene, boxes: Sequence[Box], scores: Floats, stride: int) -> list[list[float]]:
    """Of each cell: the mean of the scores of the patches that its middle lies in, or NaN."""
    width, height = scene.size
    of_cell: dict[tuple[int, int], list[float]] = {}
    for (x0, y0, x1, y1), score in zip(boxes, scores.tolist(), strict=True):
        if np.isnan(score):
            continue
        for row, col in product(range(y0 // stride, -(-y1 // stride)),
                                range(x0 // stride, -(-x1 // stride))):  # fmt: skip
            middle = (col + 0.5) * stride, (row + 0.5) * stride
            if x0 <= middle[0] < x1 and y0 <= middle[1] < y1:
                of_cell.setdefault((row, col), []).append(score)
    rows, cols = -(-height // stride), -(-width // stride)
    empty = [float("nan")]
    table = [[of_cell.get((row, col), empty) for col in range(cols)] for row in range(rows)]
    return [[float(np.float32(sum(cell) / len(cell))) for cell in row] for row in table]


def detections(
    scene: Scene, cells: list[list[float]], stride: int, radius_um: float, least: float
) -> list[tuple[float, int, int]]:
    """(p, x, y): the most probable cell first, none within the radius of one that is kept."""
    flat = [
        (p, (col + 0.5) * stride, (row + 0.5) * stride)
        for row, line in enumerate(cells)
        for col, p in enumerate(line)
        if p >= least
    ]
    found: list[tuple[float, int, int]] = []
    for p, x, y in sorted(flat, key=lambda point: -point[0]):  # equal ones stay in their order
        apart = [np.hypot(x - a, y - b) * scene.mpp > radius_um * (1 + 1e-9) for _, a, b in found]
        if all(apart):
            found.append((p, int(x), int(y)))
    return found


def lesion_masks(scene: Scene) -> list[Bools]:
    """Each lesion on pixels of 7.8 µm, grown by less than 37.5 µm, its hole filled."""
    pixel = MASK_UM / scene.mpp
    columns, rows = (int(np.ceil(size / pixel)) for size in scene.size)
    x, y = (np.arange(columns) + 0.5) * pixel, (np.arange(rows) + 0.5) * pixel
    reach = range(-5, 6)
    near = [(i, j) for i, j in product(reach, reach) if np.hypot(i, j) * MASK_UM < GROWN_UM]
    masks = []
    for (x0, y0, x1, y1), _ in scene.drawn.tumour:
        asked = ((y0 <= y) & (y < y1))[:, None] & ((x0 <= x) & (x < x1))[None]
        padded = np.pad(asked, 5)
        grown = np.zeros_like(padded)
        for i, j in near:
            grown |= np.roll(padded, (i, j), (0, 1))
        masks.append(grown[5:-5, 5:-5])
    return masks


def froc(
    scenes: Sequence[Scene], points: Sequence[Sequence[tuple[float, int, int]]]
) -> tuple[float, int]:
    """Mean sensitivity at 1/4 to 8 false positives per slide, and excluded detections."""
    true: list[float] = []
    false: list[float] = []
    lesions = left_out = 0
    for scene, found in zip(scenes, points, strict=True):
        masks, best = lesion_masks(scene), {}
        for p, x, y in found:
            if any(a <= x <= c and b <= y <= d for a, b, c, d in scene.drawn.exclusion):
                left_out += 1
                continue
            at = int(y * scene.mpp / MASK_UM), int(x * scene.mpp / MASK_UM)
            hit = [number for number, mask in enumerate(masks) if mask[at]]
            if not hit:
                false.append(p)
            elif hit[0] not in scene.drawn.itc:
                best[hit[0]] = max(p, best.get(hit[0], 0.0))
        true += best.values()
        lesions += len(masks) - len(scene.drawn.itc)
    curve = [(0.0, 0.0)]
    for threshold in sorted({*true, *false}, reverse=True):
        rate = sum(p >= threshold for p in false) / len(scenes)
        curve.append((rate, sum(p >= threshold for p in true) / lesions))
    return sum(sensitivity_at(curve, rate) for rate in RATES) / len(RATES), left_out


def auroc(scores: Floats, positive: Bools) -> float:
    """Share of pairs in which the positive scores higher; equal ones half."""
    gaps = scores[positive][:, None] - scores[~positive][None]
    return float(((gaps > 0) + (gaps == 0) / 2).mean())


def confusion(scores: Floats, label: NDArray[np.int64]) -> list[list[int]]:
    """True (row) against called (column); a score of one half is called normal."""
    called = scores > 0.5
    return [[int(np.sum((label == true) & (called == call))) for call in (0, 1)] for true in (0, 1)]
