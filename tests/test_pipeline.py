"""`histocnn run`: every stage in order, on slides small enough for a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import histocnn
from histocnn.cli import main
from histocnn.errors import UsageError
from histocnn.jobs.result import StageResult
from histocnn.phantom.cohort import make_cohort
from histocnn.pipeline import Grids, Scale, Scorer
from histocnn.slides.stain import Normaliser
from histocnn.stages.embed import embed
from histocnn.stages.tile import tile
from histocnn.storage import store
from tests.models.small_networks import write_model, write_weights


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    return make_cohort(folder, slides=2, patients=2, size_px=(1024, 1024))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never trained: what it says is noise, but it says it at its own scale."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    return write_model(path, mpp=2.0, patch_px=28, class_names=("normal", "tumour"))


def run(*words: object) -> int:
    return main(["run", *map(str, words)])


def test_a_model_takes_slides_to_a_report(
    cohort: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("--slides", cohort, "--model", model, "--out", out) == 0
    about = store.attributes(out / "scores" / "phantom_01.h5")
    assert (about["patch_px"], about["mpp"]) == (28, 2.0)
    assert (about["scoring"], about["stride_px"]) == ("dense", 4)
    assert (out / "heatmaps" / "phantom_01_tumour.png").exists()
    metrics = json.loads((out / "report" / "metrics.json").read_text())
    assert metrics["patch"]["n"] > 0
    said = capsys.readouterr().out
    assert str(out / "report" / "report.html") in said
    assert str(out / "index.html") in said
    index = (out / "index.html").read_text()
    assert 'src="heatmaps/phantom_01.png"' in index
    assert 'href="report/report.html"' in index


def test_somebody_elses_index_is_refused_before_anything_is_made(
    cohort: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "index.html").write_text("mine")
    assert run("--slides", cohort, "--model", model, "--out", tmp_path) == 2
    assert "index.html: there already, and not made by run" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


@pytest.mark.parametrize(
    ("words", "spec", "said"),
    [
        (["--dense", "false"], {}, "patch by patch\n"),
        (["--overlap_px", "14"], {}, "patch by patch\n"),
        ([], {"stain": Normaliser(per_patch=True).to_dict()}, "patch by patch: lenet5 takes every"),
    ],
)
def test_patches_are_scored_one_by_one_where_that_is_asked_or_the_model_cannot_slide(
    cohort: Path,
    tmp_path: Path,
    words: list[str],
    spec: dict[str, Any],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    slide = cohort.parent / "slides" / "phantom_01.tif"
    known = {"mpp": 2.0, "patch_px": 28, "class_names": ("normal", "tumour"), **spec}
    model = write_model(tmp_path / "model.safetensors", **known)
    assert run("--slides", slide, "--model", model, "--out", tmp_path / "out", *words) == 0
    assert "scoring" not in store.attributes(tmp_path / "out" / "scores" / "phantom_01.h5")
    assert said in capsys.readouterr().out


@pytest.mark.usefixtures("without_pictures")
def test_heatmaps_are_drawn_with_the_annotations_of_slides_csv(
    cohort: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}
    monkeypatch.setattr(
        "histocnn.pages.heatmaps.draw_heatmaps",
        lambda scores, out, options, **how: asked.update(how) or StageResult(),
    )
    words = ("--model", model, "--dense", "false", "--out", tmp_path / "out")
    run("--slides", cohort, *words)
    assert asked["slides"] == cohort


@pytest.mark.usefixtures("without_pictures")
def test_labelled_features_take_slides_to_a_report(cohort: Path, tmp_path: Path) -> None:
    weights = str(write_weights(tmp_path / "lenet5.safetensors"))
    tile(cohort, tmp_path / "grids", patch_px=28, mpp=2.0)
    embed(tmp_path / "grids", tmp_path / "reference", backbone="lenet5", weights=weights)
    out = tmp_path / "out"
    words = ("--slides", cohort, "--reference", tmp_path / "reference", "--weights", weights)
    assert run(*words, "--k", 5, "--out", out) == 0
    assert "neighbours" in store.read(out / "scores" / "phantom_02.h5")
    assert (out / "report" / "report.html").exists()


def test_without_truth_there_is_no_report(cohort: Path, model: Path, tmp_path: Path) -> None:
    slide = cohort.parent / "slides" / "phantom_01.tif"
    result = histocnn.run(str(slide), str(tmp_path / "out"), model=str(model))
    assert result.exit_code == 0
    assert result.report is None
    assert result.parts["heatmap"].outputs == [tmp_path / "out" / "heatmaps" / "phantom_01.png"]
    assert set(result.parts["heatmap"].outputs) <= set(result.outputs)
    assert all(path.exists() for path in result.outputs)
    assert not (tmp_path / "out" / "report").exists()


def test_python_hears_what_the_command_line_hears() -> None:
    with pytest.raises(UsageError, match="--overlap_px -1"):
        Grids(scale=Scale(28, 2.0), overlap_px=-1)
    with pytest.raises(UsageError, match="--k 0"):
        Scorer(model=Path("m"), k=0)
    with pytest.raises(UsageError, match="run needs --model FILE or --reference FOLDER"):
        Scorer()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "run needs --model FILE or --reference FOLDER"),
        (["--model", "no.safetensors"], "no.safetensors"),
        (["--reference", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    cohort: Path,
    tmp_path: Path,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--slides", cohort, "--out", tmp_path / "out", *words) in (1, 2)
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1


@pytest.mark.usefixtures("without_pictures")
def test_a_model_that_does_not_know_its_scale_asks_for_it(cohort: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.safetensors", mpp=None, class_names=("normal", "tumour"))
    words = ("--slides", cohort, "--model", model, "--out", tmp_path / "out")
    assert run(*words) == 2
    assert run(*words, "--mpp", 2.0) == 0
