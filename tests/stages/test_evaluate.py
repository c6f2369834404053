from __future__ import annotations

import csv
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from histocnn.cli import main
from histocnn.errors import MetricError, UsageError
from histocnn.metrics.report import Report
from histocnn.slides.slide import Slide
from histocnn.stages.evaluate import evaluate
from histocnn.storage import store
from tests.slide_files import position_image, write_pyramid
from tests.stages.judged_cohort import Cohort, write_cohort


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return write_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def report(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    assert evaluate(cohort.scores, out, slides=cohort.slides, replicates=200).exit_code == 0
    return out


@pytest.fixture
def drawn() -> None:
    """Asked for by tests that look at the pictures."""


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest) -> None:
    if "drawn" not in request.fixturenames:
        request.getfixturevalue("without_pictures")


def metrics(out: Path) -> dict[str, Any]:
    return json.loads((out / "metrics.json").read_text(), parse_constant=pytest.fail)


def rewrite(path: Path, change: Any, **attributes: Any) -> None:
    """Change a score file: `change` gets its arrays."""
    arrays, old = store.read(path), store.attributes(path)
    change(arrays)
    store.write(path, arrays, old | attributes)


def everything(cohort: Cohort) -> tuple[np.ndarray, np.ndarray]:
    files = sorted(cohort.scores.glob("*.h5"))
    arrays = [store.read(f, "scores", "labels") for f in files]
    return tuple(np.concatenate([a[name] for a in arrays]) for name in ("scores", "labels"))


def test_figures_are_those_of_all_patches_together(cohort, report):
    scores, labels = everything(cohort)
    patch = metrics(report)["patch"]
    assert patch["n"] == len(labels) == 8 * 300
    assert patch["figures"]["macro_auroc"]["value"] == pytest.approx(
        roc_auc_score(labels, scores[:, 1]), abs=1e-9
    )
    assert patch["figures"]["balanced_accuracy"]["value"] == pytest.approx(
        balanced_accuracy_score(labels, scores.argmax(1))
    )


def test_every_figure_has_an_interval_and_says_of_how_many_patients(report):
    patch = metrics(report)["patch"]
    assert patch["interval"] | {"redrawn": 0} == {
        "level": 0.95, "method": "percentile bootstrap", "unit": "patients", "groups": 8,
        "replicates": 200, "redrawn": 0, "note": "few patients",
    }  # fmt: skip
    for entry in patch["figures"].values():
        assert entry["low"] <= entry["value"] <= entry["high"]


def test_metrics_json_keeps_to_its_published_schema(report):
    schema = Path(__file__).parents[2] / "docs" / "metrics.schema.json"
    jsonschema.validate(metrics(report), json.loads(schema.read_text()))
    assert metrics(report)["schema_version"] == 2


def test_slides_and_lesions_are_judged_by_their_annotations(report):
    found = metrics(report)
    assert (found["slide"]["target"], found["slide"]["positive"], found["slide"]["n"]) == (
        "tumour", 4, 8,
    )  # fmt: skip
    assert (found["froc"]["lesions"], found["froc"]["normal"], found["froc"]["n"]) == (4, 4, 8)
    assert found["froc"]["figures"]["froc"]["value"] > 0.9
    assert found["slide"]["delong"]["low"] is None  # four slides of either class


def test_metrics_csv_holds_every_figure(report):
    with (report / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = metrics(report)
    table = {(r["scope"], r["figure"], r["class"]): r for r in rows}
    assert float(table["patches", "recall", "tumour"]["value"]) == pytest.approx(
        found["patch"]["per_class"]["tumour"]["recall"]["value"]
    )
    assert table["patches", "accuracy", ""]["n"] == "2400"
    assert table["patches", "accuracy", ""]["groups"] == "8"
    assert {r["scope"] for r in rows} == {
        "patches", "colour only", "slides", "lesions", "centre A", "centre B",
    }  # fmt: skip


def test_python_gets_the_figures_as_objects(cohort, tmp_path):
    result = evaluate(str(cohort.scores), str(tmp_path), slides=str(cohort.slides), replicates=20)
    auroc = result.report.patch.figures["macro_auroc"]
    assert auroc.low <= auroc.value <= auroc.high
    assert Report.from_json((tmp_path / "metrics.json").read_text()) == result.report
    table = result.to_dataframe()
    assert table.equals(result.report.to_dataframe())
    assert len(table) == len((tmp_path / "metrics.csv").read_text().splitlines()) - 1
    names = [path.name for path in result.outputs if path.suffix != ".geojson"]
    assert names == ["errors.csv", "report.html", "metrics.csv", "metrics.json"]


def test_figures_are_pictures_and_vectors(report):
    names = {path.name for path in (report / "figures").iterdir()}
    stems = ("roc", "precision_recall", "reliability", "confusion", "strip", "froc")
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    assert "research use only" in (report / "figures" / "roc.svg").read_text()


def test_the_report_needs_nothing_else_and_shows_no_patient(report):
    page = (report / "report.html").read_text()
    links = re.findall(r"(?:src|href)=\"(?!data:)[^\"]*|https?://[^\s\"<]+|url\((?!data:)", page)
    # What is asked for: nothing. What people may click on: files that lie beside the page.
    assert {link.rpartition("/")[0] for link in links} == {'href="errors'}
    assert all((report / link.partition('"')[2]).is_file() for link in links)
    assert "<script" not in page
    assert "slide_03" in page
    assert "research use only" in page
    for text in (page, (report / "metrics.json").read_text()):
        assert "patient_0" not in text
        assert "/home/somebody" not in text
        assert "model.safetensors" in text


def test_patients_and_paths_are_shown_when_asked(cohort, tmp_path):
    evaluate(cohort.scores, tmp_path, slides=cohort.slides, show_ids=True, replicates=50)
    text = (tmp_path / "metrics.json").read_text()
    assert "patient_03" in text
    assert "/home/somebody/model.safetensors" in text


def test_colour_alone_is_reported_beside_the_scores(report):
    colour = metrics(report)["colour_within"]
    assert colour["n"] == 2400
    # the tumour patches of the cohort are 40 grey levels darker, so colour alone tells them
    assert colour["figures"]["macro_auroc"]["value"] > 0.9
    assert "Colour alone" in (report / "report.html").read_text()


def test_truth_may_come_from_annotations_alone(tmp_path, report):
    bare = write_cohort(tmp_path / "c", drop=("labels", "coverage", "colour"))
    evaluate(bare.scores, tmp_path / "out", slides=bare.slides, replicates=50)
    found, expected = metrics(tmp_path / "out"), metrics(report)
    assert found["patch"]["confusion"] == expected["patch"]["confusion"]
    assert found["colour_within"] == "the score files hold no colours of the patches"


def test_a_second_folder_is_compared_patient_by_patient(cohort, tmp_path):
    worse = write_cohort(tmp_path / "worse", shift=0.5, seed=3, class_names=("normal", "tumour"))
    evaluate(
        cohort.scores, tmp_path, slides=cohort.slides, compare=worse.scores, replicates=300
    )  # fmt: skip
    gap = metrics(tmp_path)["comparison"]["figures"]["auroc:tumour"]
    assert gap["difference"] == pytest.approx(gap["first"] - gap["second"])
    assert 0 < gap["low"] < gap["difference"] < gap["high"]
    assert gap["p"] < 0.05
    assert "Comparison" in (tmp_path / "report.html").read_text()


def test_classes_of_other_names_are_matched(tmp_path, report):
    other = write_cohort(tmp_path / "c", class_names=("H", "AC"))
    with pytest.raises(MetricError, match=r"truth has normal, the scores have H, AC.*=normal"):
        evaluate(other.scores, tmp_path / "out", slides=other.slides)
    evaluate(
        other.scores, tmp_path / "out", slides=other.slides, match="AC=tumour,H=normal",
        replicates=50,
    )  # fmt: skip
    found = metrics(tmp_path / "out")
    assert found["class_names"] == ["normal", "tumour"]
    assert found["patch"]["confusion"] == metrics(report)["patch"]["confusion"]


def test_unknown_classes_in_match_and_target_are_offered_the_known(cohort, tmp_path):
    with pytest.raises(UsageError, match=r"no class 'AC'\. They have normal, tumour"):
        evaluate(cohort.scores, tmp_path, match="AC=Tumor")
    with pytest.raises(UsageError, match="They have normal, tumour"):
        evaluate(cohort.scores, tmp_path, slides=cohort.slides, target="Tumor")
    with pytest.raises(UsageError, match="SCORES=TRUTH"):
        evaluate(cohort.scores, tmp_path, match="AC:Tumor")


def test_seen_patients_are_refused_or_said_in_every_figure(tmp_path, drawn):
    seen = write_cohort(tmp_path / "c", seen="train", patients=6)
    with pytest.raises(MetricError, match=r"slide_00, slide_01, slide_02 and 3 more.*--allow_seen"):
        evaluate(seen.scores, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    evaluate(seen.scores, tmp_path / "out", allow_seen=True, replicates=50)
    assert metrics(tmp_path / "out")["seen"]["train"] == 1800
    assert "optimistic" in (tmp_path / "out" / "report.html").read_text()
    for path in (tmp_path / "out" / "figures").glob("*.svg"):
        assert "includes seen patients" in path.read_text(), path


def test_one_class_only_has_no_auroc_and_null_in_json(tmp_path, capsys, drawn):
    few = write_cohort(tmp_path / "c", patients=2)
    (few.scores / "slide_01.h5").unlink()
    rewrite(few.scores / "slide_00.h5", lambda arrays: arrays["labels"].fill(0))
    evaluate(few.scores, tmp_path / "out")
    patch = metrics(tmp_path / "out")["patch"]
    assert patch["figures"]["macro_auroc"] == {"value": None, "low": None, "high": None}
    assert metrics(tmp_path / "out")["notes"] == [
        "All that is judged is normal: "
        "accuracy does not say whether other classes are told from it."
    ]
    assert patch["figures"]["accuracy"]["value"] is not None
    assert "undefined" in (tmp_path / "out" / "report.html").read_text()
    said = capsys.readouterr().out
    assert "macro_auroc undefined" in said
    assert "300 patches of 1 patient\n" in said
    assert not (tmp_path / "out" / "figures" / "roc.png").exists()


def test_truth_missing_for_some_slides_is_said(tmp_path):
    some = write_cohort(tmp_path / "c", patients=6)
    rewrite(some.scores / "slide_02.h5", lambda arrays: arrays["labels"].fill(-1))
    evaluate(some.scores, tmp_path / "out", replicates=50)
    found = metrics(tmp_path / "out")
    assert found["notes"] == ["Without truth for their patches: slide_02."]
    assert found["patch"]["n"] == 5 * 300
    assert found["patch"]["n_unlabelled"] == 300
    assert (
        "Without truth for their patches: slide_02."
        in (tmp_path / "out" / "report.html").read_text()
    )


def test_scores_that_are_nan_are_counted_left_out_and_said(tmp_path):
    some = write_cohort(tmp_path / "c", patients=5)

    def lose(arrays: dict[str, np.ndarray]) -> None:
        arrays["scores"][:7] = np.nan

    rewrite(some.scores / "slide_01.h5", lose)
    evaluate(some.scores, tmp_path / "out", slides=some.slides, replicates=50)
    found = metrics(tmp_path / "out")
    assert (found["patch"]["n"], found["patch"]["n_unscored"]) == (1493, 7)
    assert "7 patches without score (unreadable)." in found["notes"]


def test_slides_without_scores_are_an_error_unless_allowed(cohort, tmp_path):
    part = write_cohort(tmp_path / "c")
    (part.scores / "slide_03.h5").unlink()
    with pytest.raises(MetricError, match=r"1 slide of slides\.csv without scores: slide_03"):
        evaluate(part.scores, tmp_path / "out", slides=part.slides)
    evaluate(
        part.scores, tmp_path / "out", slides=part.slides, allow_missing=True, replicates=50
    )  # fmt: skip
    found = metrics(tmp_path / "out")
    assert found["notes"] == ["Without scores, and without part in any figure: slide_03."]
    assert found["froc"]["lesions"] == 3


def test_fewer_than_five_patients_have_no_interval(tmp_path):
    few = write_cohort(tmp_path / "c", patients=4)
    evaluate(few.scores, tmp_path / "out")
    patch = metrics(tmp_path / "out")["patch"]
    assert patch["interval"]["note"] == "no interval: 4 patients, fewer than 5"
    assert {entry["low"] for entry in patch["figures"].values()} == {None}
    assert "no interval: 4 patients" in (tmp_path / "out" / "report.html").read_text()


def test_only_the_slides_of_a_split(cohort, tmp_path):
    evaluate(cohort.scores, tmp_path, slides=cohort.slides, split="test", replicates=50)
    assert metrics(tmp_path)["score_files"] == 7
    with pytest.raises(UsageError, match="needs slides"):
        evaluate(cohort.scores, tmp_path, split="test")
    with pytest.raises(UsageError, match="no slide in split val"):
        evaluate(cohort.scores, tmp_path, slides=cohort.slides, split="val")


def test_patches_at_outlines_are_reported_without_and_with(tmp_path):
    crossed = write_cohort(tmp_path / "c", patients=5)

    def cut(arrays: dict[str, np.ndarray]) -> None:
        arrays["labels"][:3] = -1
        arrays["coverage"][:3, 1] = 0.3, 0.4, 0.2

    rewrite(crossed.scores / "slide_01.h5", cut)
    evaluate(crossed.scores, tmp_path / "out", slides=crossed.slides, replicates=50)
    found = metrics(tmp_path / "out")
    assert (found["patch"]["n"], found["with_border"]["n"]) == (1497, 1500)


def test_annotated_area_that_tissue_or_patches_lose_is_shown(tmp_path):
    areas = {"tumour": {"annotated_um2": 2e5, "in_tissue_um2": 1.9e5, "in_patches_um2": 1e5}}
    lost = write_cohort(tmp_path / "c", patients=5, annotation_areas=areas)
    evaluate(lost.scores, tmp_path / "out", replicates=50)
    assert metrics(tmp_path / "out")["areas"]["tumour"]["annotated_um2"] == pytest.approx(1e6)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "95.0 %" in page
    assert "50.0 %" in page


def test_image_files_know_patients_and_seen_row_by_row(tmp_path):
    rng = np.random.default_rng(0)
    n = 600
    (tmp_path / "scores").mkdir()
    labels = rng.integers(0, 2, n)
    p = 1 / (1 + np.exp(-rng.normal(size=n) - 2 * labels + 1))
    store.write(
        tmp_path / "scores" / "idc.h5",
        {
            "paths": [f"{i}.png" for i in range(n)],
            "patient_ids": [f"p{i % 12}" for i in range(n)],
            "slide_ids": [""] * n,
            "labels": labels,
            "scores": np.stack([1 - p, p], 1).astype(np.float32),
            "seen": ["no"] * n,
        },
        {"slide_id": "idc", "labels.class_names": ["0", "1"], "scores.class_names": ["0", "1"]},
    )
    evaluate(tmp_path / "scores", tmp_path / "out", replicates=50)
    found = metrics(tmp_path / "out")
    assert found["patch"]["interval"]["groups"] == 12
    assert found["seen"]["no"] == n
    assert "cannot be shown" in (tmp_path / "out" / "report.html").read_text()


def test_the_k_curve_follows_from_the_stored_neighbours(tmp_path, drawn):
    near = write_cohort(tmp_path / "c", patients=5)
    rng = np.random.default_rng(0)
    for path in near.scores.glob("*.h5"):

        def vote(arrays: dict[str, np.ndarray]) -> None:
            n = len(arrays["labels"])
            right = rng.random((n, 20)) < 0.8
            arrays["neighbour_labels"] = np.where(right, arrays["labels"][:, None], 0).astype("i4")
            arrays["distances"] = np.sort(rng.random((n, 20)), axis=1).astype(np.float32)

        rewrite(path, vote, recipe={"stage": "knn", "weights": "uniform"})
    evaluate(near.scores, tmp_path / "out", replicates=50)
    curve = metrics(tmp_path / "out")["k_curve"]
    assert [point["k"] for point in curve] == [1, 2, 5, 10, 20]
    arrays = [store.read(p, "neighbour_labels", "labels") for p in near.scores.glob("*.h5")]
    first = np.concatenate([a["neighbour_labels"][:, 0] for a in arrays])
    labels = np.concatenate([a["labels"] for a in arrays])
    assert curve[0]["accuracy"] == pytest.approx((first == labels).mean())
    assert curve[-1]["accuracy"] > curve[0]["accuracy"]
    assert (tmp_path / "out" / "figures" / "k_curve.svg").is_file()


def test_stored_operating_points_are_applied(tmp_path):
    points = {"tumour": {"youden": {"threshold": 0.7, "sensitivity": 0.9, "specificity": 0.9}}}
    with_points = write_cohort(tmp_path / "c", patients=5, thresholds=points)
    evaluate(with_points.scores, tmp_path / "out", replicates=50)
    scores, labels = everything(with_points)
    own = metrics(tmp_path / "out")["patch"]["per_class"]["tumour"]
    assert own["youden_sensitivity"]["value"] == pytest.approx(
        (scores[labels == 1, 1] >= 0.7).mean()
    )


def test_other_peoples_detections_take_the_place_of_the_heatmap(cohort, tmp_path):
    folder = tmp_path / "csv"
    folder.mkdir()
    with pytest.raises(MetricError, match=r"slide_00\.csv is missing"):
        evaluate(cohort.scores, tmp_path, slides=cohort.slides, detections=folder)
    for i in range(8):
        # one detection per slide, in the lesion of every tumour slide but the first
        x, y = (400 + 200 * (i % 3) + 400, 1000) if i > 1 else (3900, 100)
        (folder / f"slide_{i:02d}.csv").write_text(f"{0.5 + i / 100},{x},{y}\n")
    evaluate(cohort.scores, tmp_path, slides=cohort.slides, detections=folder, replicates=50)
    froc = metrics(tmp_path)["froc"]
    # three of four lesions found; five false positives on eight slides
    assert froc["figures"]["sensitivity_at_8_fp"]["value"] == pytest.approx(0.75)
    assert "radius_um" not in froc


def test_a_strand_thinner_than_the_lesion_mask_is_a_lesion(tmp_path):
    own = write_cohort(tmp_path / "c", patients=4)
    # 7 × 200 µm between the centres of two columns of 7.8 µm, at 1567.8 and 1583.4 px
    strand = [[1568, 600], [1582, 600], [1582, 1000], [1568, 1000], [1568, 600]]
    path = tmp_path / "c" / "slide_01.geojson"
    drawn = json.loads(path.read_text())
    drawn["features"][0]["geometry"]["coordinates"] = [strand]
    path.write_text(json.dumps(drawn))
    evaluate(own.scores, tmp_path / "out", slides=own.slides, replicates=50)
    found = metrics(tmp_path / "out")
    assert (found["froc"]["lesions"], found["froc"]["normal"]) == (2, 2)
    assert found["slide"]["positive"] == 2


def test_camelyon17_classes_are_staged(tmp_path):
    nodes = write_cohort(tmp_path / "c", shift=6.0)
    rename_as_nodes(nodes)
    evaluate(nodes.scores, tmp_path / "out", slides=nodes.slides, replicates=50)
    found = metrics(tmp_path / "out")["camelyon17"]
    # a tumour of 4 × 4 cells of 100 µm is a micro-metastasis, found on every slide that has one
    assert found["patients"] == 2
    assert found["slide_kappa"] == found["patient_kappa"] == 1
    lines = (tmp_path / "out" / "stage_labels.csv").read_text().splitlines()
    assert lines[:3] == [
        "patient,stage", "patient_000.zip,pN1mi", "patient_000_node_0.tif,negative",
    ]  # fmt: skip


def test_the_staging_rule_is_fitted_on_other_nodes(tmp_path):
    nodes = write_cohort(tmp_path / "c", shift=6.0)
    rename_as_nodes(nodes)
    training = tmp_path / "training"
    training.mkdir()
    for path in nodes.scores.glob("patient_000*"):
        path.rename(training / path.name)
    options = {"slides": nodes.slides, "allow_missing": True, "replicates": 50}
    evaluate(nodes.scores, tmp_path / "out", fit_stages=training, **options)
    found = metrics(tmp_path / "out")["camelyon17"]
    assert found["fitted_kappa"] == 1
    assert 0.3 <= found["threshold"] <= 0.95
    with pytest.raises(MetricError, match=r"evaluated, too: patient_001_node_0"):
        evaluate(nodes.scores, tmp_path / "out", fit_stages=nodes.scores, **options)


def test_fitting_stages_needs_the_challenges_classes(cohort, tmp_path):
    with pytest.raises(UsageError, match="negative, itc, micro or macro"):
        evaluate(cohort.scores, tmp_path, slides=cohort.slides, fit_stages=cohort.scores)


def test_images_without_any_ids_have_no_interval_and_no_colours_within(tmp_path):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 200)
    p = rng.random(200)
    (tmp_path / "scores").mkdir()
    store.write(
        tmp_path / "scores" / "images.h5",
        {
            "paths": [f"{i}.png" for i in range(200)],
            "labels": labels,
            "scores": np.stack([1 - p, p], 1).astype(np.float32),
            "colour": rng.normal(size=(200, 6)).astype(np.float32),
        },
        {"slide_id": "images", "labels.class_names": ["0", "1"], "scores.class_names": ["0", "1"]},
    )
    evaluate(tmp_path / "scores", tmp_path / "out", replicates=50)
    found = metrics(tmp_path / "out")
    assert found["patch"]["interval"]["note"].startswith("no interval: some patches")
    assert found["colour_within"] == "of some patches no patient is known"
    assert "unknown whether they were seen" in found["notes"][0]


def rename_as_nodes(cohort: Cohort) -> None:
    """Nodes of two patients, labelled as CAMELYON17 does; the second patient has no tumour."""
    with cohort.slides.open() as file:
        rows = list(csv.DictReader(file))
    kept = []
    for i, row in enumerate(rows):
        old, tumour = row["slide_id"], i % 2 == 1
        if i >= 4 and tumour:
            (cohort.scores / f"{old}.h5").unlink()
            continue
        row["slide_id"] = f"patient_{i // 4:03d}_node_{i % 4}"
        row["patient_id"] = f"patient_{i // 4:03d}"
        row |= {"label": "micro" if tumour else "negative", "split": ""}
        path = cohort.scores / f"{old}.h5"
        rewrite(path, lambda arrays: None, slide_id=row["slide_id"], patient_id=row["patient_id"])
        path.rename(cohort.scores / f"{row['slide_id']}.h5")
        kept.append(row)
    with cohort.slides.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(kept[0]))
        writer.writeheader()
        writer.writerows(kept)


def test_the_worst_patches_are_shown_from_the_slide(tmp_path):
    small = write_cohort(tmp_path / "c", patients=2, shift=0.2)
    slide = tmp_path / "c" / "real.tif"
    write_pyramid(slide, position_image(2000, 1500), mpp=1.0)
    for path in small.scores.glob("*.h5"):
        rewrite(path, lambda arrays: None, slide_path=str(slide), slide_mpp=(1.0, 1.0))
    evaluate(small.scores, tmp_path / "strange")
    page = (tmp_path / "strange" / "report.html").read_text()
    assert "data:image/jpeg;base64," not in page  # whoever made the file did not know the slide
    assert "cannot be shown" in page
    for path in small.scores.glob("*.h5"):
        rewrite(path, lambda arrays: None, fingerprint=Slide(slide).fingerprint)
    evaluate(small.scores, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") >= 4
    assert "cannot be shown" not in page


def test_the_command_line_says_what_is_wrong_on_one_line(tmp_path, capsys):
    assert main(["evaluate", "--scores", str(tmp_path), "--out", str(tmp_path / "o")]) == 1
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    assert "no score files" in said


@pytest.mark.browser
def test_the_report_opens_without_error_or_request(report, tmp_path):
    done = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr",
            f"--log-net-log={tmp_path / 'net.json'}", f"--screenshot={tmp_path / 'page.png'}",
            f"file://{report / 'report.html'}",
        ],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    assert (tmp_path / "page.png").stat().st_size > 10_000
    urls = re.findall(r'"url":"(https?:[^"]*)"', (tmp_path / "net.json").read_text())
    # Chromium itself asks its maker for the time and for updates.
    assert [url for url in urls if ".google" not in url] == []
