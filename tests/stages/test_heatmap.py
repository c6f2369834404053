"""`histocnn heatmap`: pictures that line up with the slide, slide-level scores, and bad input."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely

import histocnn.pages.heatmaps as heatmaps
import histocnn.stages.heatmap as stage
from histocnn.cli import main
from histocnn.errors import UsageError
from histocnn.patches.grid import build_grid
from histocnn.regions.geojson import Feature, write_geojson
from histocnn.scores.scored import ScoredSlide, most_likely, read_scored, summarise
from histocnn.slides.slide import Slide
from tests.score_files import CLASSES, copy_as, grid_of, random_scores, write_scores
from tests.slide_files import position_image, write_bounds_slide, write_pyramid


def read_png(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def heatmap(scores: Path, out: Path, *options: str) -> int:
    return main(["heatmap", "--scores", str(scores), "--out", str(out), *options])


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `scores` with a.h5 (novelty, three patches not scored), and its slide a.tiff."""
    folder = tmp_path_factory.mktemp("scored")
    slide = Slide(write_pyramid(folder / "a.tiff", position_image(1200, 900)))
    grid = grid_of(slide, 64, 1.0)
    scores = random_scores(len(grid))
    scores[:3] = np.nan
    novelty = np.linspace(0, 100, len(grid), dtype=np.float32)
    write_scores(folder / "scores" / "a.h5", slide, grid, scores, novelty=novelty)
    return folder / "scores"


@pytest.mark.parametrize(
    ("mpp", "patch_px", "overlap_px"),
    [(1.0, 64, 0), (0.73, 97, 0), (0.73, 96, 0), (0.9, 60, 24), (0.9, 60, 48)],
    ids=["integer ratio", "other ratio, odd size", "other ratio", "overlap", "dense"],
)
def test_a_coloured_cell_covers_the_patch_that_was_scored(
    tmp_path: Path, mpp: float, patch_px: int, overlap_px: int
) -> None:
    """The slide is black exactly where one patch lies; only that patch has a score.

    So in the picture black and coloured must be the same pixels: within one level-0 pixel, at one
    picture pixel per level-0 pixel. With overlap the coloured cells are those whose centre the
    patch covers.
    """
    size_l0 = (1400, 1100)
    grid = build_grid(size_l0, (0.5, 0.5), patch_px=patch_px, mpp=mpp, overlap_px=overlap_px)
    row = int(np.flatnonzero((grid.cell == (3, 5)).all(axis=1))[0])
    if overlap_px == 24:  # two cells each way: a patch is 5/3 strides, their centres at 1/2, 3/2
        left, top = 5 * grid.stride_l0[0], 3 * grid.stride_l0[1]
        exact = np.array([left, top, left + 2 * grid.stride_l0[0], top + 2 * grid.stride_l0[1]])
    else:
        exact = grid.boxes_l0()[row]
    left, top, right, bottom = np.rint(exact).astype(int)
    image = np.full((size_l0[1], size_l0[0], 3), 255, np.uint8)
    image[top:bottom, left:right] = 0
    slide = Slide(write_pyramid(tmp_path / "a.tiff", image, mpp=0.5, compression="deflate"))
    scores = np.full((len(grid), 2), np.nan, np.float32)
    scores[row] = (0.0, 1.0)
    write_scores(tmp_path / "scores" / "a.h5", slide, grid, scores)
    assert heatmap(tmp_path / "scores", tmp_path / "out", "--class_name", "tumour") == 0
    sheet = read_png(tmp_path / "out" / "a.png").astype(int)
    colour = 0.45 * np.array([213, 94, 0])  # the tumour's vermillion
    on_black = np.abs(sheet - colour).max(axis=2) <= 4
    on_white = np.abs(sheet - (colour + 0.55 * 255)).max(axis=2) <= 4
    bare_black = sheet.max(axis=2) <= 3
    rows, columns = np.nonzero(on_black)
    height, width = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
    assert abs(width - (exact[2] - exact[0])) <= 1
    assert abs(height - (exact[3] - exact[1])) <= 1
    assert on_black.sum() == width * height
    band = slice(rows.min() - 3, rows.max() + 4), slice(columns.min() - 3, columns.max() + 4)
    # No black is left bare, and no white coloured, but for one line of pixels on each side.
    assert bare_black[band].sum() <= 2 * (width + height)
    assert on_white[band].sum() <= 2 * (width + height)


def test_all_pictures_are_written_and_slide_scores_are_right(scored: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert heatmap(scored, out, "--top_percent", "2", "--threshold", "0.7") == 0
    names = {"a.png", "a_normal.png", "a_tumour.png", "a_novelty.png"}
    assert {path.name for path in out.glob("*.png")} == names
    for name in names:
        assert read_png(out / name).shape[1] >= 1200
    with (out / "slides.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    slide = read_scored(scored / "a.h5")
    tumour = np.sort(slide.scores[3:, 1])[::-1]
    assert row["slide_id"] == "a"
    assert (row["patches"], row["scored"]) == ("80", "77")
    assert float(row["top_mean_tumour"]) == pytest.approx(tumour[:2].mean(), rel=1e-5)
    assert float(row["max_tumour"]) == pytest.approx(tumour[0], rel=1e-5)
    assert float(row["area_mm2_tumour"]) > 0


def test_pictures_of_other_options_go_and_what_is_anothers_stays(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert heatmap(scored, out, "--html") == 0
    notes = {"a_notes.png", "a_tumour.txt"}
    for name in notes:
        (out / name).write_text("mine")
    assert heatmap(scored, out, "--class_name", "normal") == 0
    pictures = {"a.png", "a_normal.png", "a_novelty.png"}
    assert {path.name for path in out.glob("a*")} == pictures | notes
    (out / "a_tumour.png").write_text("mine")  # what has been given up is free for others
    assert heatmap(scored, out) == 2
    assert "a_tumour.png: there already, and not made by heatmap" in capsys.readouterr().err
    assert (out / "a_tumour.png").read_text() == "mine"


def test_area_counts_only_what_lies_on_the_slide() -> None:
    """Four patches of 100 px at 1 µm/px on a slide of 150 × 120: the last cells are cut."""
    grid = build_grid((150, 120), (1.0, 1.0), patch_px=100, mpp=1.0)
    tumour = np.array([0.9, 0.8, np.nan, 0.5], np.float32)  # row-major: right ones are 50 px wide
    scores = np.stack([1 - tumour, tumour], axis=1)
    found = summarise(ScoredSlide("a", grid, scores, CLASSES), top_percent=50, threshold=0.5)
    assert found["area_mm2_tumour"] == pytest.approx((100 * 100 + 50 * 100 + 50 * 20) / 1e6)
    assert found["area_mm2_normal"] == pytest.approx(50 * 20 / 1e6)
    assert found["top_mean_tumour"] == pytest.approx((0.9 + 0.8) / 2)  # 2 of 3 scored
    assert found["scored"] == 3


def test_nothing_scored_is_said_and_not_zero() -> None:
    grid = build_grid((100, 100), (1.0, 1.0), patch_px=50, mpp=1.0)
    scores = np.full((4, 2), np.nan, np.float32)
    found = summarise(ScoredSlide("a", grid, scores, CLASSES), top_percent=1, threshold=0.5)
    assert found == {"patches": 4, "scored": 0}
    assert most_likely(scores).tolist() == [-1] * 4


@pytest.mark.parametrize(
    ("attributes", "origin"),
    [
        ({}, ""),
        (
            {"training": {"patches": {"train": 12000, "val": 3}}, "seen": "no"},
            "model trained on 12,000 patches",
        ),
        ({"recipe": {"stage": "knn", "reference": ["a"]}}, "knn on 1 reference file"),
        (
            {"recipe": {"stage": "knn", "reference": ["a", "b"]}, "seen": "train"},
            "knn on 2 reference files · this slide's patient was seen in training",
        ),
    ],
)
def test_pictures_can_say_what_they_rest_on(
    tmp_path: Path, attributes: dict[str, object], origin: str
) -> None:
    slide = Slide(write_pyramid(tmp_path / "a.tiff", position_image(128, 128)))
    grid = grid_of(slide, 64, 0.5)
    file = write_scores(
        tmp_path / "a.h5", slide, grid, random_scores(len(grid)), attributes=attributes
    )
    assert read_scored(file).origin == origin


def test_one_class_only_and_names_that_are_no_file_names(tmp_path: Path) -> None:
    slide = Slide(write_pyramid(tmp_path / "a.tiff", position_image(400, 300)))
    grid = grid_of(slide, 64, 0.5)
    scores = random_scores(len(grid))
    names = ("in situ/../x", "tumour")
    write_scores(tmp_path / "scores" / "a.h5", slide, grid, scores, class_names=names)
    out = tmp_path / "out"
    assert heatmap(tmp_path / "scores", out, "--class_name", "in situ/../x") == 0
    assert {path.name for path in out.glob("*.png")} == {"a.png", "a_in-situ-..-x.png"}


def test_one_slide_jobs_share_slides_csv_and_done_slides_are_skipped(
    scored: Path, tmp_path: Path
) -> None:
    scores, out = tmp_path / "scores", tmp_path / "out"
    scores.mkdir()
    one = ("--class_name", "tumour")
    for name in "ab":
        copy_as(name, scored / "a.h5", scores)
        assert heatmap(scores / f"{name}.h5", out, *one) == 0
    with (out / "slides.csv").open(newline="") as file:
        assert [row["slide_id"] for row in csv.DictReader(file)] == ["a", "b"]
    before = (out / "a.png").stat().st_mtime_ns
    assert heatmap(scores, out, *one) == 0
    assert (out / "a.png").stat().st_mtime_ns == before
    assert heatmap(scores / "a.h5", out, *one, "--threshold", "0.6") == 0
    assert (out / "a.png").stat().st_mtime_ns != before


def test_a_job_that_ends_between_anothers_look_and_its_writing_is_in_slides_csv(
    scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, out = tmp_path / "scores", tmp_path / "out"
    scores.mkdir()
    for name in "ab":
        copy_as(name, scored / "a.h5", scores)
    write_text, others = heatmaps.write_text, ["b"]

    def write_late(path: Path, text: str) -> None:
        if others:  # begins and ends while we hold what we saw before
            assert heatmap(scores / f"{others.pop()}.h5", out, "--class_name", "tumour") == 0
        write_text(path, text)

    monkeypatch.setattr(heatmaps, "write_text", write_late)
    assert heatmap(scores / "a.h5", out, "--class_name", "tumour") == 0
    with (out / "slides.csv").open(newline="") as file:
        assert [row["slide_id"] for row in csv.DictReader(file)] == ["a", "b"]


def test_a_slide_with_bounds_and_one_without_patches(tmp_path: Path) -> None:
    slide = Slide(write_bounds_slide(tmp_path / "b.scn"))
    grid = grid_of(slide, 64, 0.5)
    write_scores(tmp_path / "scores" / "b.h5", slide, grid, random_scores(len(grid)))
    empty = grid.select(np.zeros(0, np.int64))
    write_scores(tmp_path / "scores" / "c.h5", slide, empty, np.empty((0, 2), np.float32))
    assert heatmap(tmp_path / "scores", tmp_path / "out", "--html") == 0
    assert (tmp_path / "out" / "c.png").exists()
    with (tmp_path / "out" / "slides.csv").open(newline="") as file:
        assert [row["scored"] for row in csv.DictReader(file)] == [str(len(grid)), "0"]


def test_python_gives_text_and_gets_paths_and_the_table(scored: Path, tmp_path: Path) -> None:
    result = stage.heatmap(str(scored), str(tmp_path), class_name="tumour")
    assert result.outputs == [tmp_path / "a.png"]
    assert result.failures == {}
    (row,) = result.to_dataframe().to_dict("records")
    assert (row["slide_id"], row["patches"], row["scored"]) == ("a", 80, 77)
    with pytest.raises(UsageError, match="--top_percent 101 is no share"):
        stage.heatmap(scored, tmp_path, top_percent=101)


def test_annotations_are_drawn_and_a_changed_one_again(tmp_path: Path) -> None:
    slide = Slide(write_pyramid(tmp_path / "a.tiff", np.full((300, 400, 3), 180, np.uint8)))
    grid = grid_of(slide, 50, 0.5)
    write_scores(
        tmp_path / "scores" / "a.h5", slide, grid, np.full((len(grid), 2), 0.5, np.float32)
    )
    feature = Feature(shapely.box(100, 50, 300, 250), class_name="tumour")
    write_geojson(tmp_path / "a.geojson", [feature], bounds_l0=None)
    sheet = tmp_path / "slides.csv"
    sheet.write_text(f"slide_id,slide_path,annotation_path\na,{slide.path},a.geojson\n")
    words = ("--slides", str(sheet), "--colours", "tumour=#00f")
    assert heatmap(tmp_path / "scores", tmp_path / "out", *words) == 0
    shown = read_png(tmp_path / "out" / "a.png").astype(int)
    blue = np.argwhere(np.abs(shown - (0, 0, 255)).max(axis=2) < 60)
    plain = np.abs(shown - 180).max(axis=2) < 4
    # In the picture, 1000 px wide, the box begins at 250 and 125 px and is 500 px wide and high.
    left, top = (np.flatnonzero(plain.sum(axis=axis) > 300)[0] for axis in (0, 1))
    inside = blue[(blue[:, 1] < left + 1000) & (blue[:, 0] < top + 750)] - (top, left)
    assert inside.min(axis=0) == pytest.approx((125, 250), abs=3)
    assert inside.max(axis=0) == pytest.approx((625, 750), abs=3)
    before = (tmp_path / "out" / "a.png").stat().st_mtime_ns
    assert heatmap(tmp_path / "scores", tmp_path / "out", *words) == 0
    assert (tmp_path / "out" / "a.png").stat().st_mtime_ns == before
    write_geojson(tmp_path / "a.geojson", [feature, feature], bounds_l0=None)
    assert heatmap(tmp_path / "scores", tmp_path / "out", *words) == 0
    assert (tmp_path / "out" / "a.png").stat().st_mtime_ns != before


# What users get wrong


def refused(capsys: pytest.CaptureFixture[str], code: int, *words: str | Path) -> str:
    assert main(["heatmap", *map(str, words)]) == code
    said = " ".join("".join(capsys.readouterr()).split())
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("threshold", ["1.01", "-0.1"])
def test_a_threshold_that_is_no_probability(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], threshold: str
) -> None:
    words = ("--scores", tmp_path, "--out", tmp_path / "out", "--threshold", threshold)
    assert "Give a number between 0 and 1" in refused(capsys, 2, *words)


@pytest.mark.parametrize(
    ("colours", "code", "said"),
    [("tumour=red", 2, "gives no class its colour"), ("cancer=#c00", 1, "no class 'cancer'")],
)
def test_colours_that_are_none_or_nobodys(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    colours: str, code: int, said: str,
) -> None:  # fmt: skip
    words = ("--scores", scored, "--out", tmp_path / "out", "--colours", colours)
    assert said in refused(capsys, code, *words)


def test_a_share_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--scores", tmp_path, "--out", tmp_path / "out", "--top_percent", "0")
    assert "--top_percent 0 is no share" in refused(capsys, 2, *words)


def test_a_class_that_is_not_there(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, 1, "--scores", scored, "--out", tmp_path, "--class_name", "cancer")
    assert re.search(r"no scores for class 'cancer'.*normal, tumour", said)


def test_a_moved_slide_is_found_with_slides_and_another_in_its_place_is_refused(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "old"
    home.mkdir()
    slide = Slide(shutil.copy(scored.parent / "a.tiff", home / "a.tiff"))
    grid = grid_of(slide, 64, 1.0)
    scores = write_scores(tmp_path / "scores" / "a.h5", slide, grid, random_scores(len(grid)))
    moved = tmp_path / "new" / "a.tiff"
    moved.parent.mkdir()
    shutil.move(home / "a.tiff", moved)
    words = ("--scores", scores, "--out", tmp_path / "out")
    said = refused(capsys, 1, *words)
    assert "a.tiff is not there" in said
    assert "--slides" in said
    assert heatmap(scores, tmp_path / "out", "--slides", str(moved.parent)) == 0
    write_pyramid(home / "a.tiff", position_image(1200, 900)[::-1].copy())
    said = refused(capsys, 1, "--scores", scores, "--out", tmp_path / "out2")
    assert "fingerprint differs" in said


def test_output_that_cannot_be_written(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert "--out" in refused(capsys, 1, "--scores", scored, "--out", tmp_path / "file")
