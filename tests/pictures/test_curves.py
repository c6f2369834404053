from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from histocnn.metrics.sections import ReliabilityBin
from histocnn.pictures import curves
from histocnn.pictures.curves import Curve, save


def lines(figure: Figure) -> list[tuple[list[float], list[float]]]:
    return [tuple(np.asarray(d).tolist() for d in line.get_data()) for line in figure.axes[0].lines]


def test_a_figure_is_saved_as_picture_and_vector_with_its_footnote(tmp_path: Path):
    figure = curves.roc([Curve("tumour: 0.9", [0, 0.1, 1], [0, 0.8, 1])])
    save(figure, tmp_path, "roc", "includes seen patients")
    svg = (tmp_path / "roc.svg").read_text()
    assert "research use only · includes seen patients" in svg
    assert "tumour: 0.9" in svg
    assert cv2.imread(str(tmp_path / "roc.png")).shape[0] > 500


def test_a_dollar_in_a_name_begins_no_formula_but_powers_of_ten_are_one(tmp_path: Path):
    figure = curves.confusion([[9, 1], [0, 5]], ["a$b_$", "c"])
    figure.axes[0].set_title("of $frac$")
    figure.axes[0].set_xlabel("$x_$")
    wide = figure.add_subplot()
    wide.loglog([1, 1e6], [1, 1e6])
    save(figure, tmp_path, "odd")
    svg = (tmp_path / "odd.svg").read_text()
    assert all(f">{name}<" in svg for name in ("a$b_$", "of $frac$", "$x_$"))
    assert "mathdefault" not in "".join(re.findall(r"<text[^>]*>([^<]*)<", svg))


def test_equal_figures_are_equal_files(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save(curves.roc([Curve("x", [0, 1], [0, 1])]), tmp_path / name, "roc")
    assert (tmp_path / "a/roc.svg").read_bytes() == (tmp_path / "b/roc.svg").read_bytes()


def test_a_curve_goes_through_the_points_given():
    found = lines(curves.roc([Curve("x", [0, 0.1, 1], [0, 0.8, 1])]))
    assert ([0, 0.1, 1], [0, 0.8, 1]) in found


def test_long_curves_are_thinned_along_their_length_and_keep_their_ends():
    x = np.linspace(0, 1, 100_001) ** 4  # half of all points lie below 0.0625
    (_, (tx, ty)) = lines(curves.roc([Curve("x", x, np.sqrt(x))]))
    assert len(tx) <= curves.POINTS
    assert (tx[0], tx[-1]) == (0, 1)
    assert np.max(np.hypot(np.diff(tx), np.diff(ty))) < 0.01
    assert ty == pytest.approx(np.sqrt(tx))


def test_froc_marks_the_published_rates_and_ends_at_eight():
    rates = (0.25, 0.5, 1, 2, 4, 8)
    found = lines(curves.froc([0, 0.5, 3], [0, 0.4, 0.9], rates, [0.2, 0.4, 0.5, 0.7, 0.9, 0.9]))
    assert found[0][0][-1] == 8
    assert found[0][1][-1] == 0.9
    assert found[1][0] == list(rates)


def test_confusion_shows_counts_and_shares_of_each_truth():
    figure = curves.confusion([[90, 10], [0, 0]], ["normal", "tumour"])
    assert [text.get_text() for text in figure.axes[0].texts] == [
        "90\n90 %", "10\n10 %", "0\n0 %", "0\n0 %",
    ]  # fmt: skip


def test_reliability_draws_only_bins_that_hold_patches():
    bins = [*[ReliabilityBin(0, None, None)] * 14, ReliabilityBin(5, 0.95, 0.8)]
    figure = curves.reliability(bins, 0.15)
    assert ([0.95], [0.8]) in lines(figure)
    assert "calibration error 0.150" in [text.get_text() for text in figure.axes[0].texts]


def test_the_k_curve_leaves_undefined_figures_open():
    (x, y), *_ = lines(curves.k_curve([1, 2, 5], {"AUROC": [0.7, None, 0.9]}))
    assert x == [1, 2, 5]
    assert np.isnan(y[1])


def test_accuracy_against_epsilon_begins_unattacked():
    drawn = lines(curves.against_epsilon([Curve("PGD", [1, 8], [0.5, 0.1])], 0.9))
    assert drawn == [([0, 1, 8], [0.9, 0.5, 0.1])]


def test_the_strip_shows_rare_classes_and_is_bounded(tmp_path: Path):
    labels = np.array([0] * 5000 + [1] * 30)
    rows = [(f"slide {i}", np.linspace(0, 1, len(labels)), labels, 0.5) for i in range(100)]
    figure = curves.strip(rows, ["normal", "tumour"])
    drawn = [c for c in figure.axes[0].collections if len(c.get_offsets()) > 1]
    assert len(drawn) == curves.SLIDES
    assert len(drawn[0].get_offsets()) == curves.PER_SLIDE
    tumour = curves.class_colours(["normal", "tumour"])[1] / 255
    assert (np.abs(drawn[0].get_facecolor()[:, :3] - tumour).max(axis=1) < 0.01).sum() == 30
    save(figure, tmp_path, "strip")
    assert (tmp_path / "strip.svg").stat().st_size < 2_000_000


def test_the_strip_has_the_density_of_all_patches_of_each_class():
    """A class at 0.25 alone: its hill stands there, on the row's middle, 0.42 of a row high."""
    rows = [("s", np.full(500, 0.25), np.zeros(500, np.int64), 0.0)]
    figure = curves.strip(rows, ["normal", "tumour"], {"normal": (1, 2, 3)})
    (hill,) = [c for c in figure.axes[0].collections if isinstance(c, PolyCollection)]
    x, y = hill.get_paths()[0].vertices.T
    assert x[y.argmin()] == pytest.approx(0.255)  # the middle of the bin from 0.25 to 0.26
    assert (y.min(), y.max()) == pytest.approx((-0.42, 0))
    assert y[np.abs(x - 0.5) < 0.01] == pytest.approx(0, abs=1e-6)
    assert hill.get_facecolor()[0][:3] * 255 == pytest.approx([1, 2, 3])


def test_a_density_at_the_end_of_the_range_keeps_its_height():
    axes = Figure().subplots()
    curves._density(axes, np.zeros(100), 0, "k")
    x, y = axes.collections[0].get_paths()[0].vertices.T
    assert x[y.argmin()] == pytest.approx(0.005)
