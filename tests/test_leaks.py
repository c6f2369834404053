"""Ways in which a patient of training reaches test: each planted, and refused or reported.

And cohorts without any: none of them is refused.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import h5py
import numpy as np
import pytest

from histocnn.cohort.fingerprints import check_same_slides
from histocnn.cohort.seen import TrainingCohort, Verdict, stored_ids
from histocnn.cohort.sheet import SlideEntry, check_leakage
from histocnn.cohort.splits import split
from histocnn.cohort.whose import owners, patients_of
from histocnn.errors import CohortError, MetricError
from histocnn.models import outcome
from histocnn.models.data import PatchDataModule
from histocnn.models.options import DataOptions
from histocnn.models.outcome import Predictions
from histocnn.models.rows import SPLITS, Rows, check, group, is_given
from histocnn.models.shared import find_shared
from histocnn.models.spec import ModelSpec, cohorts_behind
from histocnn.patches.findings import Findings
from histocnn.patches.kinship import with_kin
from histocnn.patches.patches import Patches
from histocnn.patches.truth import TruthRule
from histocnn.reference.features import load
from histocnn.regions.sections import section
from histocnn.scores.query import seen
from histocnn.scores.scorefile import open_score_file
from histocnn.stages.embed import embed
from histocnn.stages.evaluate import evaluate
from histocnn.stages.knn import knn
from histocnn.stages.predict import predict
from histocnn.stages.probe import probe
from histocnn.storage import store
from tests.feature_files import write_features
from tests.grid_files import write_grid
from tests.models.patch_files import write_csv, write_folder, write_grids
from tests.models.small_networks import write_model

PATTERN = "(p[0-9]+)_"
SHEET = ("slide_id", "slide_path", "patient_id", "split")


def write_sheet(folder: Path, rows: Mapping[str, tuple[str, str]]) -> Path:
    """slides.csv of {slide: (patient, split)}, beside slides that write_grids made."""
    with (folder / "slides.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([SHEET, *((s, f"{s}.tiff", *r) for s, r in rows.items())])
    return folder / "slides.csv"


def without_patients(grids: Path) -> Path:
    for file in grids.glob("*.h5"):
        with h5py.File(file, "r+") as stored:
            stored.attrs.pop("histocnn_patient_id", None)
    return grids


def module(patches: Path, **options: Any) -> PatchDataModule:
    return PatchDataModule(DataOptions(patches, workers=0, augment="none", **options))


def shared_patients(data: PatchDataModule) -> set[str]:
    parts = [set(data.rows[part].patient_ids) - {""} for part in SPLITS]
    return {p for i, own in enumerate(parts) for p in own if any(p in o for o in parts[i + 1 :])}


# --- 1: slides.csv is the authority --------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_grids_without_patients_are_grouped_by_those_of_slides_csv(
    tmp_path: Path, seed: int
) -> None:
    grids = without_patients(write_grids(tmp_path, slides=8))
    sheet = write_sheet(tmp_path, {f"slide{i}": (f"P{i // 2}", "") for i in range(8)})
    options = DataOptions(grids, slides=sheet, workers=0, fractions=(0.5, 0.25, 0.25))
    data = PatchDataModule(options, seed)
    assert set(data.all_rows.patient_ids) == {"P0", "P1", "P2", "P3"}
    assert shared_patients(data) == set()


def test_what_slides_csv_says_comes_before_what_grids_and_lists_say(tmp_path: Path) -> None:
    grids = write_grids(tmp_path, slides=4)  # grids say p0 to p3
    rows = {"slide0": ("P", ""), "slide1": ("P", ""), "slide2": ("Q", ""), "slide3": ("R", "")}
    data = module(grids, slides=write_sheet(tmp_path, rows))
    assert set(data.all_rows.patient_ids) == {"P", "Q", "R"}
    listing = write_csv(tmp_path / "csv", {"train": 8, "val": 8, "test": 8})
    with listing.open(newline="") as lines:
        images = list(csv.DictReader(lines))
    with listing.open("w", newline="") as lines:
        names = ("path", "label", "patient_id", "slide_id", "split")
        table = csv.DictWriter(lines, names)
        table.writeheader()
        # the list has slide0 in test, slides.csv in train
        slides = {"train": "slide1", "val": "slide2", "test": "slide0"}
        table.writerows({**image, "slide_id": slides[image["split"]]} for image in images)
    rows = {"slide0": ("P", "train"), "slide1": ("Q", "val"), "slide2": ("R", "test")}
    data = module(listing, slides=write_sheet(tmp_path, rows))
    assert set(data.rows["train"].slide_ids) == {"slide0"}
    assert set(data.rows["train"].patient_ids) == {"P"}


def test_a_split_that_only_some_slides_have_is_not_guessed_for_the_others(tmp_path: Path) -> None:
    grids = write_grids(tmp_path, slides=4)
    parts = {"slide0": "train", "slide1": "val", "slide2": "test", "slide3": ""}
    sheet = write_sheet(tmp_path, {s: (f"P{s}", p) for s, p in parts.items()})
    with pytest.raises(CohortError, match=r"gives 33 patches a split and 11 none, first slide3"):
        module(grids, slides=sheet)


def test_labels_of_another_background_than_slides_csv_names_are_not_learnt(
    tmp_path: Path,
) -> None:
    grids = write_grids(tmp_path, slides=3)
    for i, file in enumerate(sorted(grids.glob("*.h5"))):
        rule = TruthRule(background="n" if i else None)
        store.write(file, store.read(file), {**store.attributes(file), "truth": rule.stored()})
    sheet = tmp_path / "slides.csv"
    for background, refused in (("n", True), ("", False)):
        rows = [(f"slide{i}", f"slide{i}.tiff", f"P{i}", background) for i in range(3)]
        with sheet.open("w", newline="") as lines:
            csv.writer(lines).writerows([(*SHEET[:3], "background"), *rows])
        if refused:
            with pytest.raises(
                CohortError, match=r"1 grids .* slide0 \(another background\)\. Tile"
            ):
                module(grids, slides=sheet)
        else:
            module(grids, slides=sheet)


def test_neighbours_keep_apart_whom_slides_csv_has_as_one(tmp_path: Path) -> None:
    grids = without_patients(write_grids(tmp_path, slides=3))
    sheet = write_sheet(tmp_path, {f"slide{i}": (p, "") for i, p in enumerate(("P", "P", "Q"))})
    for i in range(3):
        write_features(tmp_path / "features" / f"slide{i}.h5", like=grids / f"slide{i}.h5", seed=i)
    where = tmp_path / "features", tmp_path / "features" / "slide0.h5"
    knn(*where, tmp_path / "apart", k=3, slides=sheet)
    file = open_score_file(tmp_path / "apart" / "slide0.h5")
    nearest = file.read("neighbours", "reference_files")
    used = {nearest["reference_files"][i] for i in np.unique(nearest["neighbours"][..., 0])}
    assert used == {"slide2.h5"}
    assert file.attributes["patient_id"] == "P"
    assert file.attributes["seen"] == "no"


# --- 2: a split by file ---------------------------------------------------------------------------


def test_a_split_by_file_says_that_its_patients_were_trained_on(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", per_patient=3)
    data = module(folder, split_by="file", patient_pattern=PATTERN)
    n = len(data.rows["test"])
    test = Predictions(np.zeros((n, 2), np.float32), np.zeros((n, 6), np.float32))
    seen_ids = {p: {"patients": stored_ids(data.rows[p].patient_ids)} for p in ("train", "val")}
    points = {"a": {"youden": {"threshold": 0.5}}}
    spec = ModelSpec(
        "lenet5", class_names=("a", "b"), seen=seen_ids, temperature=2.0, thresholds=points
    )
    outcome.write_scores(tmp_path, data, test, spec)
    file = open_score_file(tmp_path / "scores.h5")
    trained = set(data.rows["train"].patient_ids)
    said = dict(zip(file.patient_ids(), file.read("seen")["seen"], strict=True))
    assert all(said[patient] == "train" for patient in trained & said.keys())
    assert (file.attributes["temperature"], file.attributes["thresholds"]) == (2.0, points)
    with pytest.raises(MetricError, match="the model saw patients of these"):
        evaluate(tmp_path / "scores.h5", tmp_path / "report", replicates=20)


# --- 3: what a network was trained on, its features know -----------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grids of s1, s2 and s3 (patients p1 to p3), and a model that was trained on s1."""
    folder = tmp_path_factory.mktemp("trained")
    for i in (1, 2, 3):
        write_grid(folder, f"s{i}", patient_id=f"p{i}", size=(300 + 28 * i, 200))
    write_model(
        folder / "model.safetensors",
        mpp=1.0,
        seen={"train": {"patients": ["p1"], "slides": ["s1"]},
              "val": {"patients": ["p2"], "slides": ["s2"]}},
    )  # fmt: skip
    return folder


def verdicts(scores: Path) -> list[str]:
    return [store.attributes(file)["seen"] for file in sorted(scores.glob("*.h5"))]


@pytest.mark.usefixtures("without_pictures")
def test_neighbours_on_a_trained_network_s_features_are_refused_on_its_slides(
    trained: Path, tmp_path: Path
) -> None:
    embed(trained / "grids", tmp_path / "features", model=trained / "model.safetensors")
    features = tmp_path / "features", tmp_path / "features"
    knn(*features, tmp_path / "knn", k=3)
    probe(*features, tmp_path / "probe")
    predict(trained / "grids", trained / "model.safetensors", tmp_path / "cnn")
    for stage in ("knn", "probe", "cnn"):
        assert verdicts(tmp_path / stage) == ["train", "val", "no"]
        with pytest.raises(MetricError, match=r"training or validation: s1, s2.*--allow_seen:"):
            evaluate(tmp_path / stage, tmp_path / "report", replicates=20)
        with pytest.raises(MetricError, match="training or validation: s1"):
            # the slides themselves were trained on: no way on by this one
            evaluate(
                tmp_path / stage, tmp_path / "report", replicates=20, allow_shared_patient=True
            )
        result = evaluate(tmp_path / stage / "s3.h5", tmp_path / "report", replicates=20)
        assert (result.report.stamp, result.report.warnings) == ("", ())


def test_a_trained_model_is_known_also_as_mere_weights(trained: Path, tmp_path: Path) -> None:
    model = trained / "model.safetensors"
    embed(trained / "grids", tmp_path / "f", backbone="lenet5", weights=str(model))
    knn(tmp_path / "f", tmp_path / "f", tmp_path / "knn", k=3)
    assert verdicts(tmp_path / "knn") == ["train", "val", "no"]


def test_a_model_knows_whom_its_first_weights_have_seen(trained: Path) -> None:
    behind = cohorts_behind(trained / "model.safetensors")
    assert behind is not None
    earlier = tuple({"parts": cohort.parts, "salt": cohort.salt} for cohort in behind)
    cohort = {"train": {"patients": ["x"]}, "val": {"patients": ["y"]}}
    again = ModelSpec.from_json(ModelSpec("lenet5", seen=cohort, earlier=earlier).to_json())
    assert [again.seen_as("s9", p) for p in ("x", "p1", "p2", "p3")] == [
        "train", "train", "val", "no",
    ]  # fmt: skip
    assert cohorts_behind("imagenet") == ()
    assert cohorts_behind("runs/a/checkpoints/best.ckpt") is None  # nobody recorded it


def test_features_of_an_unknown_network_do_not_say_that_nobody_was_seen(tmp_path: Path) -> None:
    silent = write_features(tmp_path / "f.h5", patients=("p1", "p2"), cohorts=None)
    rows = load([silent]).labelled()
    assert set(seen(rows, rows, "patient")) == {Verdict("unknown")}


# --- 4: copies, near-copies, neighbouring sections (more in tests/**/test_{copies,kinship}.py) ---


def test_a_slide_under_two_ids_is_refused(tmp_path: Path) -> None:
    grids = write_grids(tmp_path, slides=3)
    shutil.copy(grids / "slide0.h5", grids / "slide3.h5")
    shutil.copy(tmp_path / "slide0.tiff", tmp_path / "slide3.tiff")
    with h5py.File(grids / "slide3.h5", "r+") as file:
        file.attrs["histocnn_slide_id"], file.attrs["histocnn_patient_id"] = "slide3", "p3"
    parts = {"slide0": "train", "slide1": "val", "slide2": "test", "slide3": "test"}
    sheet = write_sheet(tmp_path, {s: (f"P{s}", p) for s, p in parts.items()})
    with pytest.raises(CohortError, match="are the same slide"):
        module(grids, slides=sheet)


def test_a_mirrored_image_of_another_patient_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", patients=10, per_patient=2, side_px=48)
    for file in folder.glob("*/*.png"):  # each a structure of its own
        rng = np.random.default_rng([ord(file.parent.name), *file.stem.encode()])
        blobs = cv2.resize(rng.integers(0, 255, (6, 6, 3), np.uint8), (48, 48))
        cv2.imwrite(str(file), blobs)
    rows = module(folder, patient_pattern=PATTERN).rows
    source, patient = folder / rows["train"].name(0), rows["test"].patient_ids[0]
    image = cv2.flip(cv2.imread(str(source)), 1)
    cv2.imwrite(str(source.with_name(f"{patient}_9.jpg")), image)
    data = module(folder, patient_pattern=PATTERN)
    shared = find_shared(data.all_rows, data.parts)
    with pytest.raises(CohortError, match="show the same"):
        shared.admit(allowed=False)


def test_neighbouring_sections_of_two_patients_are_reported() -> None:
    density = np.random.default_rng(0).uniform(0, 1, (32, 32)).astype(np.float32)
    looks = section(density, np.ones_like(density), 1e6)
    entries = [SlideEntry(f"s{i}", Path(f"s{i}"), patient_id=f"P{i}") for i in range(2)]
    findings = [
        Findings(slide_id=f"s{i}", slide_path="", fingerprint=f"f{i}", section=looks)
        for i in range(2)
    ]
    assert any("section of the same tissue" in r for r in with_kin(entries, findings)[1].remarks)


# --- 5: whole slides, and patients that nobody knows ---------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_patient_known_for_half_of_a_slide_s_rows_is_in_one_split(
    tmp_path: Path, seed: int
) -> None:
    listing = write_csv(tmp_path, {"train": 40})
    with listing.open(newline="") as lines:
        images = list(csv.DictReader(lines))
    with listing.open("w", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(("path", "label", "patient_id", "slide_id"))
        for i, image in enumerate(images):  # ten slides of four images, the last two nameless
            patient = f"P{i // 4}" if i % 4 < 2 else ""
            table.writerow((image["path"], image["label"], patient, f"s{i // 4}"))
    data = PatchDataModule(DataOptions(listing, workers=0), seed)
    part_of = {}
    for slide, part in zip(data.all_rows.slide_ids, data.parts, strict=True):
        assert part_of.setdefault(slide, part) == part
    assert "" not in data.all_rows.patient_ids


def test_a_slide_of_no_known_patient_is_in_one_given_split(tmp_path: Path) -> None:
    listing = write_csv(tmp_path, {"train": 8, "val": 8, "test": 8})
    text = listing.read_text().replace("patient_id", "slide_id")
    listing.write_text(text.replace("val0,val", "train0,val"))
    with pytest.raises(CohortError, match=r"the same slide is in two splits: train0 \(train and"):
        module(listing)


def test_a_model_without_patients_knows_nobody_as_unseen() -> None:
    cohort = {"train": {"patients": [], "slides": ["s1"]}, "val": {"patients": [], "slides": []}}
    spec = ModelSpec("lenet5", seen=cohort)
    assert spec.seen_as("s9", "P1") == "unknown"
    assert spec.seen_as("s1", "P1") == "train"


def test_thinning_leaves_validation_at_natural_prevalence(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", patients=10, per_patient=4)
    for file in sorted((folder / "b").iterdir())[::2]:
        file.unlink()
    whole, thin = (
        module(folder, patient_pattern=PATTERN, max_per_class=most) for most in (None, 6)
    )
    assert thin.prior("train") == {"a": 0.5, "b": 0.5}
    assert thin.prior("val") == whole.prior("val")
    assert whole.prior("val")["a"] > 0.6


# --- one patient alone ----------------------------------------------------------------------------


def test_one_patient_is_trained_and_judged_on_only_when_asked_and_with_a_stamp(
    tmp_path: Path,
) -> None:
    grids = without_patients(write_grids(tmp_path, slides=3))
    parts = dict(zip(("slide0", "slide1", "slide2"), SPLITS, strict=True))
    leaky = write_sheet(tmp_path, {slide: ("P", part) for slide, part in parts.items()})
    with pytest.raises(CohortError, match=r"the same patient is in two splits"):
        module(grids, slides=leaky)
    given = module(grids, slides=leaky, allow_shared_patient=True)
    assert given.rows["test"].slide_ids[0] == "slide2"
    sheet = write_sheet(tmp_path, dict.fromkeys(parts, ("P", "")))
    with pytest.raises(CohortError, match="1 patients or slides cannot be divided"):
        module(grids, slides=sheet)
    data = module(grids, slides=sheet, allow_shared_patient=True)
    assert all(len(set(rows.slide_ids)) == 1 for rows in data.rows.values())

    cohort = {
        part: {"patients": ["P"], "slides": stored_ids(data.rows[part].slide_ids)}
        for part in ("train", "val")
    }
    spec = ModelSpec("lenet5", class_names=("n", "t"), seen=cohort)
    n = len(data.rows["test"])
    test = Predictions(np.zeros((n, 2), np.float32), np.zeros((n, 6), np.float32))
    scores = outcome.write_scores(tmp_path, data, test, spec)
    assert outcome.report(data, scores, scores, spec).stamp == "same patient in training"
    where = tmp_path / "scores", tmp_path / "report"
    with pytest.raises(MetricError, match=r"or --allow_shared_patient: every figure will say"):
        evaluate(*where, replicates=20)
    found = evaluate(*where, replicates=20, allow_shared_patient=True).report
    assert found.stamp == "same patient in training"
    assert found.warnings[0].startswith("Same patient in training: optimistic (slide")
    assert all("same patient in training" in str(row["note"]) for row in found.rows())
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "<h2>Patches (same patient in training)</h2>" in page
    assert "<h2>Curves (same patient in training)</h2>" in page
    drawn = (tmp_path / "report" / "figures" / "confusion.svg").read_text(encoding="utf-8")
    assert "same patient in training" in drawn


@pytest.mark.usefixtures("without_pictures")
def test_with_the_id_left_out_sister_sections_are_unknown_not_unseen(tmp_path: Path) -> None:
    data = module(without_patients(write_grids(tmp_path, slides=3)))
    cohort = {p: {"slides": data.rows[p].slide_ids, "patients": [""]} for p in ("train", "val")}
    spec = ModelSpec("lenet5", class_names=("n", "t"), seen=cohort)
    n = len(data.rows["test"])
    test = Predictions(np.zeros((n, 2), np.float32), np.zeros((n, 6), np.float32))
    outcome.write_scores(tmp_path, data, test, spec)
    evaluate(tmp_path / "scores", tmp_path / "report", replicates=20)
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "unknown whether seen in training" in page
    assert "not seen in training" not in page


# --- clean cohorts --------------------------------------------------------------------------------


def clean_cohort(seed: int) -> tuple[Rows, dict[str, SlideEntry]]:
    """Rows in which no patient or slide is in two splits, by one of many ways to be complete.

    Patients from the rows, from slides.csv or unknown; one slide or several each, some of them
    tissue arrays; splits by slides.csv, by the rows, or none; ids that collide in name only.
    """
    rng = np.random.default_rng(seed)
    patients, given = int(rng.integers(6, 25)), rng.choice(["sheet", "rows", "none"])
    known = rng.choice(["all", "some rows", "sheet", "none", "some patients"])
    columns: dict[str, list[Any]] = {n: [] for n in ("slide", "patient", "split", "label", "true")}
    entries, fingerprints = {}, {}
    for i in range(patients):
        patient, part = f"{i}", SPLITS[i if i < 3 else int(rng.integers(3))]
        nameless = known == "none" or (known == "some patients" and rng.random() < 0.5)
        # an unknown patient's slides cannot be kept together: such a one has a single slide
        for j in range(1 if nameless else int(rng.integers(1, 4))):
            slide = f"{i * 3 + j}"  # as patients are called, too
            fingerprints[slide] = f"{seed}-{slide}"
            entries[slide] = SlideEntry(
                slide, Path(slide),
                patient_id=patient if known == "sheet" else None,
                split=part if given == "sheet" else None,
            )  # fmt: skip
            for row in range(int(rng.integers(2, 6))):
                said = known in ("all", "some patients") or (known == "some rows" and row == 0)
                columns["slide"].append(slide)
                columns["patient"].append(patient if said and not nameless else "")
                columns["split"].append(part if given == "rows" else "")
                columns["label"].append(int(rng.integers(2)))
                columns["true"].append(patient)
    if known == "all":  # an array: cores of patients that have nothing else, in one split
        for core in range(3):
            columns["slide"].append("array")
            columns["patient"].append(f"core {core}")
            columns["split"].append("train" if given == "rows" else "")
            columns["label"].append(core % 2)
            columns["true"].append(f"core {core}")
        entries["array"] = SlideEntry(
            "array", Path("array"), split="train" if given == "sheet" else None
        )
        fingerprints["array"] = f"{seed}-array"
    names = list(fingerprints)
    sources = [
        SimpleNamespace(name=n, paths=None, slide_fingerprint=fingerprints[n]) for n in names
    ]
    rows = Rows(
        cast(list[Patches], sources),
        np.array([names.index(slide) for slide in columns["slide"]]),
        np.arange(len(columns["slide"])),
        np.array(columns["label"]),
        ("a", "b"),
        patients_of(columns["slide"], columns["patient"], entries),
        columns["slide"],
        [entries[s].split or p for s, p in zip(columns["slide"], columns["split"], strict=True)],
        "slides.csv",
    )
    return rows, entries


def admit(seed: int) -> None:
    """Everything that refuses a leak, on a cohort that has none."""
    rows, entries = clean_cohort(seed)
    check_leakage(
        [e.patient_id for e in entries.values()], [e.split for e in entries.values()], "slides.csv"
    )
    given = is_given(rows)
    groups = group(rows, "given" if given else "patient")
    parts = np.array(rows.splits) if given else split(rows.labels, groups, seed=seed)
    check(rows, parts, "--data.fractions")
    check_same_slides(
        (rows.slide_ids[i], rows.sources[rows.source[i]].slide_fingerprint, parts[i])
        for i in range(len(rows))
    )
    taken = {part: rows.take(np.flatnonzero(parts == part)) for part in SPLITS}
    cohort = TrainingCohort(
        {
            part: {
                "patients": stored_ids(taken[part].patient_ids, "salt"),
                "slides": stored_ids(
                    [s for s, p in zip(taken[part].slide_ids, taken[part].patient_ids, strict=True)
                     if s != "array"], "salt"),
                "fingerprints": stored_ids(
                    taken[part].sources[i].slide_fingerprint for i in set(taken[part].source)
                    if taken[part].sources[i].name != "array"),
            }
            for part in ("train", "val")
        },
        "salt",
    )  # fmt: skip
    test = taken["test"]
    for slide, patient in set(zip(test.slide_ids, test.patient_ids, strict=True)):
        said = cohort.verdict(slide, patient).seen
        assert said in ("no", "unknown")
        everybody_known = "" not in (*taken["train"].patient_ids, *taken["val"].patient_ids)
        assert said == ("no" if patient and everybody_known else "unknown")
    owned = owners(test.slide_ids, test.patient_ids)
    assert (owned.of_row >= 0).all()


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_clean_cohorts_are_not_refused(first: int) -> None:
    for seed in range(first, first + 50):
        admit(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(200, 1000, 50))
def test_more_clean_cohorts_are_not_refused(first: int) -> None:
    for seed in range(first, first + 50):
        admit(seed)
