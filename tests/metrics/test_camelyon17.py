from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from histocnn.errors import MetricError
from histocnn.metrics.camelyon17 import (
    STAGES,
    fit_rule,
    kappa,
    largest_focus_um,
    patient_stage,
    read_stage_labels,
    slide_class,
    staged_patients,
    write_stage_labels,
)

CELL = (100.0, 100.0)


@pytest.mark.parametrize(
    ("nodes", "stage"),
    [
        # the challenge's rules, line by line
        ("negative negative negative negative negative", "pN0"),
        ("itc negative negative itc itc", "pN0(i+)"),
        ("micro negative negative itc negative", "pN1mi"),
        ("micro micro micro micro micro", "pN1mi"),  # no macro, however many
        ("macro negative negative negative negative", "pN1"),
        ("macro micro micro itc itc", "pN1"),  # three positive: ITC never counts
        ("macro micro micro micro itc", "pN2"),  # four
        ("macro macro macro macro macro", "pN2"),
    ],
)
def test_stage_of_a_patient_by_the_published_rules(nodes, stage):
    assert patient_stage(nodes.split()) == stage


def test_unknown_node_classes_are_refused():
    with pytest.raises(MetricError, match="normal"):
        patient_stage(["normal"])
    with pytest.raises(MetricError, match="missing"):
        patient_stage([])


def test_kappa_worked_out_by_hand_and_equal_to_scikit_learn():
    truth = {"a": "pN0", "b": "pN0", "c": "pN2", "d": "pN2"}
    # One pN2 called pN0, four stages off: 4² = 16. By chance, from margins 2, 2 and 3, 1:
    # (2 × 1 + 2 × 3) / 4 = 2 such patients, 32.
    found = {"a": "pN0", "b": "pN0", "c": "pN2", "d": "pN0"}
    assert kappa(truth, found) == pytest.approx(1 - 16 / 32)
    rng = np.random.default_rng(0)
    a, b = (dict(enumerate(rng.choice(STAGES, 60))) for _ in range(2))
    expected = cohen_kappa_score(
        [STAGES.index(s) for s in a.values()],
        [STAGES.index(s) for s in b.values()],
        labels=range(5),
        weights="quadratic",
    )
    assert kappa(a, b) == pytest.approx(expected)


def test_a_missing_patient_is_an_error_and_so_is_an_unknown_stage():
    with pytest.raises(MetricError, match="no stage predicted for b"):
        kappa({"a": "pN0", "b": "pN1"}, {"a": "pN0"})
    with pytest.raises(MetricError, match="pN3"):
        kappa({"a": "pN0"}, {"a": "pN3"})


def test_stage_labels_are_written_as_the_challenge_reads_them(tmp_path):
    path = tmp_path / "stage_labels.csv"
    slides = {
        "patient_001_node_1": "micro",
        "patient_001_node_0": "macro",
        "patient_000_node_0": "itc",
    }
    written = write_stage_labels(path, slides)
    assert path.read_text().splitlines() == [
        "patient,stage",
        "patient_000.zip,pN0(i+)",
        "patient_000_node_0.tif,itc",
        "patient_001.zip,pN1",
        "patient_001_node_0.tif,macro",
        "patient_001_node_1.tif,micro",
    ]
    assert read_stage_labels(path) == written
    assert written.patients == {"patient_000": "pN0(i+)", "patient_001": "pN1"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("slide,stage\n", "no columns"),
        ("patient,stage\npatient_000.zip,pN9\n", "pN9"),
        ("patient,stage\npatient_000_node_0.tif,pN0\n", "pN0"),
        ("patient,stage\npatient_000.zip\n", "patient_000"),
    ],
)
def test_tables_that_are_no_stage_labels_are_refused(tmp_path, text, what):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(MetricError, match=what):
        read_stage_labels(path)


def test_slides_with_other_names_cannot_be_staged(tmp_path):
    with pytest.raises(MetricError, match="patient_NNN_node_N"):
        write_stage_labels(tmp_path / "x.csv", {"tumor_001": "macro"})


@pytest.mark.parametrize(
    ("diameter", "name"),
    [(0, "negative"), (1, "itc"), (200, "itc"), (200.1, "micro"), (2000, "micro"), (2001, "macro")],
)
def test_size_classes_end_at_200_um_and_2_mm(diameter, name):
    assert slide_class(diameter) == name


def heat(*cells: tuple[int, int], shape: tuple[int, int] = (30, 30)) -> np.ndarray:
    prob = np.full(shape, np.nan)
    prob[1:, :] = 0.1
    for row, column in cells:
        prob[row, column] = 0.9
    return prob


def test_the_longest_diameter_worked_out_by_hand():
    def of(*cells):
        return largest_focus_um(heat(*cells), CELL, threshold=0.5, merge_um=0)

    assert of() == 0
    assert of((5, 5)) == 100
    assert of((5, 5), (5, 6), (5, 7)) == pytest.approx(300)
    assert of((5, 5), (6, 6), (7, 7)) == pytest.approx(100 + 200 * math.sqrt(2))
    # two foci: the larger one counts
    assert of((5, 5), (20, 20), (20, 21)) == pytest.approx(200)


def test_foci_merge_at_a_gap_up_to_the_merging_distance():
    cells = heat((5, 5), (5, 8))  # two free cells between them: a gap of 200 µm
    for merge_um, diameter in ((0, 100), (199, 100), (200, 400)):
        found = largest_focus_um(cells, CELL, threshold=0.5, merge_um=merge_um)
        assert found == pytest.approx(diameter), merge_um


def test_cells_need_not_be_square_and_big_foci_use_their_hull():
    wide = heat(*((5, c) for c in range(10)))
    assert largest_focus_um(wide, (50.0, 150.0), threshold=0.5, merge_um=0) == pytest.approx(550)
    block = heat(*((r, c) for r in range(3, 23) for c in range(4, 14)))
    expected = 100 + 100 * math.hypot(19, 9)
    assert largest_focus_um(block, CELL, threshold=0.5, merge_um=0) == pytest.approx(expected)
    diagonal = heat(*((i, i) for i in range(1, 60)), shape=(60, 60))
    expected = 100 + 100 * 58 * math.sqrt(2)
    assert largest_focus_um(diagonal, CELL, threshold=0.5, merge_um=0) == pytest.approx(expected)


def test_the_rule_is_fitted_on_nodes():
    # Noise of 0.6 everywhere and broken foci: only a threshold above 0.6 and a merging distance
    # of at least 100 µm give all classes right.
    def node(*cells):
        prob = heat(*cells)
        prob[::7, ::7] = 0.6
        return prob, CELL

    nodes = [
        node(),
        node((10, 10)),
        node((10, 10), (10, 12), (10, 14)),
        node(*((r, 15) for r in range(2, 28, 2))),
    ]
    rule = fit_rule(nodes, ["negative", "itc", "micro", "macro"])
    assert rule.kappa == 1
    assert 0.6 < rule.threshold <= 0.9
    assert rule.merge_um >= 100
    assert [rule.classify(*n) for n in nodes] == ["negative", "itc", "micro", "macro"]


def test_a_rule_fitted_on_one_class_says_that_its_kappa_is_undefined():
    assert math.isnan(fit_rule([(heat(), CELL)], ["negative"]).kappa)


def nodes(patient: str, classes: str) -> dict[str, str]:
    return {f"patient_{patient}_node_{i}": name for i, name in enumerate(classes.split())}


def test_patients_are_compared_where_every_node_is_labelled_and_scored():
    labelled = nodes("000", "negative micro") | nodes("001", "macro") | nodes("003", "itc itc")
    scored = nodes("000", "negative macro") | nodes("001", "macro negative") | nodes("003", "itc")
    listed = [*labelled, *scored, "patient_002_node_0"]
    staged = staged_patients(labelled, scored, listed)
    # of 001 a node has no label, of 002 none has either, of 003 one has no scores
    assert staged.truth == {"patient_000": "pN1mi"}
    assert staged.predicted == {"patient_000": "pN1"}
    assert staged.left_out == ("patient_001", "patient_002", "patient_003")


def test_no_patient_has_all_nodes_labelled():
    staged = staged_patients(nodes("001", "macro"), {}, nodes("001", "macro micro"))
    assert (staged.truth, staged.predicted, staged.left_out) == ({}, {}, ("patient_001",))
    assert np.isnan(kappa(staged.truth, staged.predicted))
