from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from histocnn.errors import MetricError
from histocnn.metrics.detections import Detections
from histocnn.metrics.froc import (
    ITC_UM,
    RATES,
    Froc,
    Hits,
    hits,
    lesions,
    major_axes_um,
    slide_auroc,
)
from histocnn.metrics.intervals import bootstrap

MPP = (10.0, 10.0)  # µm per mask pixel
L0 = (40.0, 40.0)  # level-0 pixels per mask pixel


def found(*points: tuple[float, float, float]) -> Detections:
    table = np.array(points, float).reshape(-1, 3)
    return Detections(table[:, 0], table[:, 1:])


def at(column: float, row: float) -> tuple[float, float]:
    """Level-0 point in the middle of a mask pixel."""
    return ((column + 0.5) * L0[0], (row + 0.5) * L0[1])


def two_lesions() -> np.ndarray:
    """A 400 µm square, and far from it a 20 µm speck: isolated tumour cells."""
    mask = np.zeros((100, 120), bool)
    mask[10:50, 10:50] = True
    mask[80:82, 100:102] = True
    return mask


def test_a_lesion_grows_by_less_than_37_5_um():
    mask = np.zeros((30, 30), bool)
    mask[15, 15] = True
    grown = lesions(mask, (12.5, 12.5), (1, 1)).label > 0
    # 37.5 µm are exactly three pixels: "less than" leaves the third out.
    assert grown[15, 11:20].tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0]
    # two diagonal pixels are 35.4 µm away, inside
    assert grown[13, 13]


def test_growing_knows_that_pixels_need_not_be_square():
    mask = np.zeros((31, 31), bool)
    mask[15, 15] = True
    grown = lesions(mask, (5.0, 20.0), (1, 1)).label > 0
    assert grown[15].sum() == 15  # 7 pixels of 5 µm to either side
    assert grown[:, 15].sum() == 3  # 1 pixel of 20 µm


def test_holes_are_filled_and_neighbours_within_75_um_join():
    mask = np.zeros((60, 60), bool)
    mask[5:30, 5:30] = True
    mask[10:25, 10:25] = False  # a hole of 150 µm, more than growing fills
    mask[5:30, 36:40] = True  # six pixels of 10 µm away: growing by three each side meets
    truth = lesions(mask, MPP, L0)
    assert truth.label.max() == 1
    assert truth.label[17, 17] == 1


def test_major_axis_of_a_line_and_of_a_rectangle_worked_out_by_hand():
    label = np.zeros((40, 40), int)
    label[2, 1:4] = 1  # x of 0, 10, 20 µm: variance 200/3
    label[10:20, 10:30] = 2  # 20 columns of 10 µm: variance (20² - 1) / 12 × 100
    expected = [4 * np.sqrt(200 / 3), 4 * np.sqrt(399 / 12 * 100)]
    np.testing.assert_allclose(major_axes_um(label, 2, MPP), expected)


def test_major_axis_does_not_depend_on_direction():
    label = np.zeros((60, 60), int)
    steps = np.arange(50)
    label[steps, steps] = 1
    variance = 2 * np.var(steps * 10.0)
    assert major_axes_um(label, 1, MPP)[0] == pytest.approx(4 * np.sqrt(variance))


def test_small_lesions_are_isolated_tumour_cells():
    truth = lesions(two_lesions(), MPP, L0)
    assert truth.itc.tolist() == [False, False, True]
    assert truth.counted == 1
    assert ITC_UM == 275


def test_what_the_mask_would_lose_is_marked_where_it_was_drawn():
    """A strand between the pixels' centres: touched by the outline, marked by none."""
    sampled, touched = two_lesions(), two_lesions()
    touched[5:25, 90] = True  # 200 µm long, far from any lesion
    touched[50, 10:50] = True  # the big lesion's own border, which growing holds anyway
    grown = lesions(sampled, MPP, L0, touched=touched)
    assert grown.label[15, 90] > 0
    # seven pixels wide; beyond either end 7, 7 and 5 pixels lie within 37.5 µm
    assert np.count_nonzero(grown.label == grown.label[15, 90]) == 7 * 20 + 2 * (7 + 7 + 5)
    without = lesions(sampled, MPP, L0)
    here = grown.label != grown.label[15, 90]
    assert ((grown.label > 0) & here == (without.label > 0)).all()


def test_a_touched_pixel_that_growing_holds_changes_nothing():
    sampled, touched = two_lesions(), two_lesions()
    touched[50:53, 10:50] = True  # up to 30 µm beyond the last marked row
    label = lesions(sampled, MPP, L0, touched=touched).label
    assert (label == lesions(sampled, MPP, L0).label).all()


def test_a_lesion_that_no_centre_saw_is_a_lesion():
    touched = np.zeros((60, 60), bool)
    touched[10:40, 30] = True
    truth = lesions(np.zeros((60, 60), bool), MPP, L0, touched=touched)
    assert truth.counted == 1
    result = hits(found((0.5, *at(31, 20)), (0.4, *at(50, 20))), truth)
    assert (result.found.tolist(), result.false.tolist(), result.normal) == ([0.5], [0.4], False)


def test_lesions_of_an_unannotated_slide_are_none():
    truth = lesions(np.zeros((5, 6), bool), MPP, L0)
    assert (truth.counted, truth.label.shape) == (0, (5, 6))


def test_hits_follow_the_published_rules():
    truth = lesions(two_lesions(), MPP, L0)
    points = found(
        (0.6, *at(20, 20)),  # in the lesion
        (0.9, *at(40, 40)),  # in it again: the lesion counts once, at 0.9
        (0.3, *at(52, 30)),  # in the grown border: three pixels beyond its last, at 49
        (0.8, *at(100, 80)),  # in the isolated tumour cells: ignored
        (0.7, *at(53, 30)),  # four pixels away: false
        (0.4, *at(119.9, 200)),  # below the mask: false
        (0.2, -1, -1),  # above it: false
    )
    result = hits(points, truth)
    assert result.found.tolist() == [0.9]
    assert result.false.tolist() == [0.7, 0.4, 0.2]
    assert (result.lesions, result.normal) == (1, False)


def test_every_detection_on_a_normal_slide_is_false():
    result = hits(found((0.5, 1, 1), (0.4, 2, 2)), None)
    assert result.false.tolist() == [0.5, 0.4]
    assert (result.lesions, result.normal) == (0, True)


def by_hand() -> list[Hits]:
    """Four slides, four lesions, three of them found.

    threshold  0.9  0.8  0.7  0.6  0.5  0.4
    found        1    1    2    2    2    3   of 4
    false        0    1    1    2    3    3   on 4 slides
    """
    return [
        Hits(np.array([0.9, 0.7]), np.array([0.8]), 3, False),
        Hits(np.array([0.4]), np.array([]), 1, False),
        Hits(np.array([]), np.array([0.6, 0.5]), 0, True),
        Hits(np.array([]), np.array([]), 0, True),
    ]


def test_froc_of_a_case_worked_out_by_hand():
    froc = Froc(by_hand())
    fp, sensitivity = froc.curve()
    assert froc.thresholds.tolist() == [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert fp.tolist() == [0, 0, 0.25, 0.25, 0.5, 0.75, 0.75]
    assert sensitivity.tolist() == [0, 0.25, 0.25, 0.5, 0.5, 0.5, 0.75]
    # at 1/4: 0.5; at 1/2: 0.5; from 1 on: 0.75
    assert froc.sensitivity().tolist() == [0.5, 0.5, 0.75, 0.75, 0.75, 0.75]
    assert froc.figures()["froc"][0] == pytest.approx(4 / 6)


def test_interpolation_and_steps_differ_between_two_points():
    slides = [Hits(np.array([0.9, 0.2]), np.array([0.5, 0.4, 0.3]), 2, False), by_hand()[3]]
    # points (0, 1/2), (1/2, 1/2), (1, 1/2), (3/2, 1/2), (3/2, 1)
    assert Froc(slides).sensitivity().tolist() == [0.5, 0.5, 0.5, 1, 1, 1]
    tied = [Hits(np.array([0.9, 0.2]), np.array([0.2, 0.2]), 2, False)]
    # points (0, 1/2) and (2, 1): on the line at 1/4, 1/2 and 1
    assert Froc(tied).sensitivity().tolist() == [0.5625, 0.625, 0.75, 1, 1, 1]
    assert Froc(tied, mode="step").sensitivity().tolist() == [0.5, 0.5, 0.5, 1, 1, 1]


def test_false_positives_of_normal_slides_only():
    fp, sensitivity = Froc(by_hand(), fp_slides="normal").curve()
    # two false positives on two slides without lesions; 0.8 on a tumour slide is not counted
    assert fp.tolist() == [0, 0, 0, 0.5, 1, 1]
    assert sensitivity.tolist() == [0, 0.25, 0.5, 0.5, 0.5, 0.75]


def recomputed(slides: list[tuple[Detections, np.ndarray]]) -> float:
    """The score once more, from the definition's words and by the slowest means."""
    found_at, false_at, total = [], [], 0
    for points, mask in slides:
        inside = np.argwhere(mask) * MPP[1]
        pixels = np.argwhere(np.ones_like(mask)) * MPP[1]
        near = np.zeros(len(pixels), bool)
        for pixel in inside:
            near |= ((pixels - pixel) ** 2).sum(axis=1) < 37.5**2
        near = near.reshape(mask.shape)  # the case has no holes
        seen, parts = np.zeros_like(near), []
        for start in map(tuple, np.argwhere(near)):
            if seen[start]:
                continue
            part, stack = [], [start]
            seen[start] = True
            while stack:
                r, c = stack.pop()
                part.append((r, c))
                for q in ((r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
                    on = 0 <= q[0] < near.shape[0] and 0 <= q[1] < near.shape[1]
                    if on and near[q] and not seen[q]:
                        seen[q] = True
                        stack.append(q)
            spread = np.linalg.eigvalsh(np.cov(np.array(part).T * 10.0, bias=True))
            parts.append((set(part), 4 * np.sqrt(spread[-1]) < 275))
        best = {i: [] for i, (_, itc) in enumerate(parts) if not itc}
        total += len(best)
        for p, (x, y) in zip(*points, strict=True):
            pixel = (int(y // L0[1]), int(x // L0[0]))
            where = [i for i, (part, _) in enumerate(parts) if pixel in part]
            if not where:
                false_at.append(p)
            elif where[0] in best:
                best[where[0]].append(p)
        found_at += [max(p) for p in best.values() if p]
    curve = [(0.0, 0.0)] + [
        (
            sum(p >= threshold for p in false_at) / len(slides),
            sum(p >= threshold for p in found_at) / total,
        )
        for threshold in sorted({*found_at, *false_at}, reverse=True)
    ]
    sensitivities = []
    for rate in RATES:
        left = max(i for i, (fp, _) in enumerate(curve) if fp <= rate)
        (x0, y0) = curve[left]
        if left + 1 < len(curve):
            x1, y1 = curve[left + 1]
            y0 += (y1 - y0) * (rate - x0) / (x1 - x0)
        sensitivities.append(y0)
    return sum(sensitivities) / 6


def test_froc_equals_an_independent_computation_from_the_definition():
    rng = np.random.default_rng(4)
    slides = []
    for _ in range(5):
        mask = np.zeros((64, 80), bool)
        for _ in range(rng.integers(0, 4)):
            r, c, h, w = *rng.integers(0, 50, 2), *rng.integers(1, 35, 2)
            mask[r : r + h, c : c + w] = True
        n = 14
        xy = rng.uniform(0, (80 * L0[0], 64 * L0[1]), size=(n, 2))
        slides.append((Detections(rng.integers(1, 20, n) / 20, xy), mask))
    truth = [lesions(mask, MPP, L0) for _, mask in slides]
    assert any(t.itc.any() for t in truth)
    assert sum(t.counted for t in truth) >= 4
    froc = Froc([hits(points, t) for (points, _), t in zip(slides, truth, strict=True)])
    assert froc.figures()["froc"][0] == pytest.approx(recomputed(slides), abs=1e-12)
    assert 0.1 < froc.figures()["froc"][0] < 0.95


def test_froc_under_weights_is_that_of_the_repeated_slides():
    slides = by_hand()
    weighted = Froc(slides).figures([[2, 0, 1, 3]])
    repeated = Froc([slides[i] for i in (0, 0, 2, 3, 3, 3)]).figures()
    for figure, value in repeated.items():
        assert weighted[figure] == pytest.approx(value), figure


def test_froc_has_an_interval_over_patients():
    rng = np.random.default_rng(0)
    slides = [
        Hits(rng.random(2), rng.random(rng.integers(0, 4)), 3, False) if i % 2 else by_hand()[2]
        for i in range(30)
    ]
    froc = Froc(slides)
    presence = np.stack([froc.lesions, froc.counts_fp], 1)
    low, high = bootstrap(froc.figures, presence).bounds["froc"]
    assert low < froc.figures()["froc"][0] < high


def test_froc_without_lesions_or_without_normal_slides_is_an_error():
    with pytest.raises(MetricError, match="no lesion to find"):
        Froc(by_hand()[2:])
    with pytest.raises(MetricError, match="no normal slide"):
        Froc(by_hand()[:2], fp_slides="normal")


def test_froc_of_no_detections_is_zero():
    assert Froc([Hits(np.empty(0), np.empty(0), 2, False)]).figures()["froc"][0] == 0


def test_slide_auroc_equals_scikit_learn():
    rng = np.random.default_rng(1)
    positive = rng.random(60) < 0.4
    score = np.round(rng.random(60) + 0.3 * positive, 1)
    assert slide_auroc(score, positive) == pytest.approx(roc_auc_score(positive, score))
    assert np.isnan(slide_auroc([0.1, 0.2], [True, True]))
