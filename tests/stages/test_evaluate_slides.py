"""`evaluate` on lesions, slides and patients: what is counted, what is not, and that it says so."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histocnn.errors import MetricError
from histocnn.stages.evaluate import evaluate
from histocnn.storage import store
from tests.stages.judged_cohort import Cohort, square, write_cohort

pytestmark = pytest.mark.usefixtures("without_pictures")


def metrics(out: Path) -> dict[str, Any]:
    return json.loads((out / "metrics.json").read_text(), parse_constant=pytest.fail)


def exclude(cohort: Cohort, slide_id: str, *squares: tuple[float, float, float]) -> None:
    """Draw `Exclusion` on a slide that is annotated."""
    path = cohort.slides.parent / f"{slide_id}.geojson"
    drawn = json.loads(path.read_text())
    drawn["features"] += [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [square(*each)]},
            "properties": {"objectType": "annotation", "classification": {"name": "Exclusion"}},
        }
        for each in squares
    ]
    path.write_text(json.dumps(drawn))


def test_detections_inside_an_exclusion_are_neither_right_nor_wrong(tmp_path):
    cohort = write_cohort(tmp_path / "c", patients=2)  # a lesion at (600, 600) to (1400, 1400)
    folder = tmp_path / "csv"
    folder.mkdir()
    (folder / "slide_00.csv").write_text("")
    found = "0.5,1000,1000\n" + "".join(f"0.9,{3000 + 100 * i},2000\n" for i in range(8))
    (folder / "slide_01.csv").write_text(found)
    options = {"slides": cohort.slides, "detections": folder, "replicates": 1}
    evaluate(cohort.scores, tmp_path / "1", **options)
    # eight false positives on two slides above the lesion: found at four per slide and more
    before = metrics(tmp_path / "1")["froc"]
    assert before["figures"]["froc"]["value"] == pytest.approx(2 / 6)
    assert before["excluded_detections"] == 0
    exclude(cohort, "slide_01", (2950, 1950, 700))  # all but the last
    evaluate(cohort.scores, tmp_path / "2", **options)
    after = metrics(tmp_path / "2")
    # one false positive is left: half a one per slide, so that on the line to it at 1/4
    assert after["froc"]["figures"]["sensitivity_at_0.5_fp"]["value"] == 1
    assert after["froc"]["excluded_detections"] == 7
    assert "7 detections inside Exclusion" in (tmp_path / "2" / "report.html").read_text()
    # the slide's own score is what it was: exclusion is about places
    assert after["slide"]["figures"] == metrics(tmp_path / "1")["slide"]["figures"]


def test_delong_needs_slides_enough(tmp_path):
    cohort = write_cohort(tmp_path / "c", patients=6)
    evaluate(cohort.scores, tmp_path / "out", slides=cohort.slides, replicates=1)
    own = metrics(tmp_path / "out")["slide"]["delong"]
    assert (own["low"], own["high"]) == (None, None)
    assert own["note"].startswith("no interval: 3 positive and 3 negative slides, fewer than 10")
    assert "fewer than 10 of one kind" in (tmp_path / "out" / "report.html").read_text()


def test_delong_of_enough_slides(tmp_path):
    cohort = write_cohort(tmp_path / "c", patients=20, shift=0.8)
    evaluate(cohort.scores, tmp_path / "out", slides=cohort.slides, replicates=1)
    slide = metrics(tmp_path / "out")["slide"]
    low, high = slide["delong"]["low"], slide["delong"]["high"]
    assert low < slide["figures"]["auroc"]["value"] < high
    assert slide["delong"]["note"] == "few slides"


def test_thresholds_of_classes_that_are_added_up_are_dropped(tmp_path):
    """Scores of three classes; truth of two: a threshold of "high" says nothing of low + high."""
    cohort = write_cohort(tmp_path / "c", patients=5)
    thresholds = {
        name: {"youden": {"threshold": t, "sensitivity": 0.9, "specificity": 0.9}}
        for name, t in (("benign", 0.6), ("low", 0.1), ("high", 0.2))
    }
    for path in cohort.scores.glob("*.h5"):
        arrays, attributes = store.read(path), store.attributes(path)
        normal, tumour = arrays["scores"].T
        arrays["scores"] = np.stack([normal, tumour * 0.3, tumour * 0.7], axis=1)
        attributes |= {"thresholds": thresholds, "scores.class_names": ["benign", "low", "high"]}
        store.write(path, arrays, attributes)
    match = "benign=normal,low=tumour,high=tumour"
    evaluate(cohort.scores, tmp_path / "out", match=match, replicates=1)
    found = metrics(tmp_path / "out")
    assert "youden_sensitivity" not in found["patch"]["per_class"]["tumour"]
    # of a class that is only called otherwise the threshold holds
    scores, labels = (
        np.concatenate([store.read(path, name)[name] for path in sorted(cohort.scores.iterdir())])
        for name in ("scores", "labels")
    )
    own = found["patch"]["per_class"]["normal"]["youden_sensitivity"]["value"]
    assert own == pytest.approx((scores[labels == 0, 0] >= 0.6).mean())
    assert ">0.600<" in (tmp_path / "out" / "report.html").read_text()
    assert list(found["model"]["thresholds"]) == ["normal"]
    said = "Operating points of low, high left out: --match adds these classes up."
    assert said in found["notes"]


def test_a_threshold_is_dropped_where_one_class_takes_the_name_of_another(tmp_path):
    cohort = write_cohort(tmp_path / "c", patients=5)
    points = {"tumour": {"youden": {"threshold": 0.5, "sensitivity": 0.9, "specificity": 0.9}}}
    for path in cohort.scores.glob("*.h5"):
        arrays, attributes = store.read(path), store.attributes(path)
        normal, tumour = arrays["scores"].T
        arrays["scores"] = np.stack([normal, tumour * 0.3, tumour * 0.7], axis=1)
        attributes |= {"thresholds": points, "scores.class_names": ["normal", "low", "tumour"]}
        store.write(path, arrays, attributes)
    evaluate(cohort.scores, tmp_path / "out", match="low=tumour", replicates=1)
    found = metrics(tmp_path / "out")
    assert "youden_sensitivity" not in found["patch"]["per_class"]["tumour"]
    assert "Operating points of tumour left out: --match adds these classes up." in found["notes"]


def write_nodes(folder: Path, labels: dict[str, str]) -> Cohort:
    """CAMELYON17's nodes: those that are micro show a tumour, those without label are unknown."""
    cohort = write_cohort(folder, patients=2 * len(labels), shift=6.0)
    old = [f"slide_{2 * i + (label == 'micro'):02d}" for i, label in enumerate(labels.values())]
    with cohort.slides.open() as file:
        rows = {row["slide_id"]: row for row in csv.DictReader(file)}
    kept = []
    for source, (node, label) in zip(old, labels.items(), strict=True):
        arrays = store.read(cohort.scores / f"{source}.h5")
        attributes = store.attributes(cohort.scores / f"{source}.h5")
        changed = {"slide_id": node, "patient_id": None}
        store.write(cohort.scores / f"{node}.h5", arrays, attributes | changed)
        kept.append(
            rows[source] | {"slide_id": node, "patient_id": "", "label": label, "split": ""}
        )
    for path in cohort.scores.glob("slide_*"):
        path.unlink()
    with cohort.slides.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(kept[0]))
        writer.writeheader()
        writer.writerows(kept)
    return cohort


NODES = {
    "patient_000_node_0": "negative",
    "patient_000_node_1": "micro",
    "patient_001_node_0": "negative",
    "patient_001_node_1": "",  # nobody labelled it
    "patient_002_node_0": "micro",
    "patient_002_node_1": "negative",
}


def test_patients_are_staged_from_the_same_nodes_on_both_sides(tmp_path):
    nodes = write_nodes(tmp_path / "c", NODES)
    (nodes.scores / "patient_002_node_1.h5").unlink()
    evaluate(nodes.scores, tmp_path / "out", slides=nodes.slides, replicates=1, allow_missing=True)
    found = metrics(tmp_path / "out")["camelyon17"]
    assert found["patients"] == 1
    assert found["patients_left_out"] == ["patient_001", "patient_002"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "patient_001, patient_002" in page
    # what is submitted still holds every scored node
    lines = (tmp_path / "out" / "stage_labels.csv").read_text().splitlines()
    assert "patient_001_node_1.tif,negative" in lines


def test_stages_are_not_fitted_on_other_nodes_of_the_patients_that_are_judged(tmp_path):
    nodes = write_nodes(tmp_path / "c", NODES)
    training = tmp_path / "training"
    training.mkdir()
    for name in ("patient_000_node_0", "patient_000_node_1", "patient_002_node_0"):
        (nodes.scores / f"{name}.h5").rename(training / f"{name}.h5")
    options = {"slides": nodes.slides, "allow_missing": True, "replicates": 1}
    with pytest.raises(
        MetricError, match=r"patients? .*evaluated, too: patient_002_node_0"
    ) as said:
        evaluate(nodes.scores, tmp_path / "out", fit_stages=training, **options)
    assert "patient_000" not in str(said.value)
    (training / "patient_002_node_0.h5").unlink()
    evaluate(nodes.scores, tmp_path / "out", fit_stages=training, **options)
    assert metrics(tmp_path / "out")["camelyon17"]["fitted_kappa"] == 1
