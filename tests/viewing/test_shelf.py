"""What a path holds, by the files that are there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import CohortError, PatchesError, StoreError, UsageError
from histocnn.slides.slide import Slide
from histocnn.storage import store
from histocnn.viewing import shelf
from histocnn.viewing.facts import of_layers, of_shelf
from histocnn.viewing.opened import open_listed
from histocnn.viewing.shelf import shelve
from tests.score_files import grid_of, random_scores, write_scores
from tests.slide_files import position_image, write_pyramid


def a_slide(folder: Path, name: str = "a") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return write_pyramid(folder / f"{name}.tiff", position_image(300, 200), downsamples=(1,))


def scores_of(path: Path, slide_path: Path) -> Path:
    slide = Slide(slide_path)
    grid = grid_of(slide, 28, 1.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_scores(path, slide, grid, random_scores(len(grid)))


def test_a_slide_and_a_folder_of_slides_are_shown_alone(tmp_path: Path) -> None:
    path = a_slide(tmp_path / "slides")
    a_slide(tmp_path / "slides", "b")
    alone = shelve(path)
    assert [each.slide_id for each in alone.slides] == ["a"]
    assert alone.sources == ()
    both = shelve(tmp_path / "slides")
    assert [each.slide_id for each in both.slides] == ["a", "b"]
    assert both.title == "slides"


def test_a_run_s_folder_has_all_its_sources(tmp_path: Path) -> None:
    out, slide = tmp_path / "out", a_slide(tmp_path)
    scores_of(out / "scores" / "a.h5", slide)
    data, attributes = store.read(out / "scores" / "a.h5"), store.attributes(out / "scores/a.h5")
    del attributes["scores.class_names"]
    coords = {"coords": data["coords"]}
    store.write(out / "grids" / "a.h5", coords, attributes)
    features = coords | {"features": np.zeros((len(data["coords"]), 4), np.float32)}
    store.write(out / "features" / "a.h5", features, attributes)
    (out / "heatmaps").mkdir()
    (out / "heatmaps" / "slides.csv").write_text(
        "slide_id,patches,scored,max_tumour,odd\na,9,9,0.875,x\n"
    )
    found = shelve(out)
    assert [(each.name, each.kind) for each in found.sources] == [
        ("scores", "scores"), ("features", "features"), ("grids", "coords"),
    ]  # fmt: skip
    [listed] = found.slides
    assert {number: file.parent.name for number, file in listed.files.items()} == {
        0: "scores", 1: "features", 2: "grids",
    }  # fmt: skip
    assert listed.scores == {"max_tumour": 0.875}
    assert listed.entry is None


def test_a_slide_that_failed_in_a_stage_is_listed_with_the_reason(tmp_path: Path) -> None:
    out, slide = tmp_path / "out", a_slide(tmp_path)
    scores_of(out / "scores" / "a.h5", slide)
    (out / "grids").mkdir()
    said = {"slide_id": "b", "command": "tile", "message": "b.svs: cannot be opened"}
    (out / "grids" / "b.failed.json").write_text(json.dumps(said))
    (out / "grids" / "a.failed.json").write_text(json.dumps({**said, "slide_id": "a"}))
    sound, broken = shelve(out).slides
    assert (sound.slide_id, sound.failure) == ("a", "")
    assert (broken.slide_id, broken.failure) == ("b", "tile failed: b.svs: cannot be opened")
    with pytest.raises(PatchesError, match=r"b: tile failed: b\.svs: cannot be opened"):
        open_listed(broken)
    table = tmp_path / "slides.csv"
    a_slide(tmp_path, "b")
    table.write_text("slide_id,slide_path\nb,b.tiff\n")
    with_pixels = shelve(out, table)
    assert with_pixels.slides[1].failure == broken.failure
    assert [each["broken"] for each in of_shelf(with_pixels)["slides"]] == ["", ""]
    assert of_layers(open_listed(with_pixels.slides[1]), with_pixels)["failure"] == broken.failure


def test_a_folder_that_may_not_be_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores_of(tmp_path / "out" / "scores" / "a.h5", a_slide(tmp_path))
    (tmp_path / "out" / "private").mkdir()
    real = Path.iterdir

    def listed(folder: Path) -> Iterator[Path]:
        if folder.name == "private":  # root, whom tests may run as, reads all
            raise PermissionError(13, "Permission denied", str(folder))
        return real(folder)

    monkeypatch.setattr(Path, "iterdir", listed)
    assert [each.slide_id for each in shelve(tmp_path / "out").slides] == ["a"]


def test_one_file_is_one_slide(tmp_path: Path) -> None:
    file = scores_of(tmp_path / "scores" / "a.h5", a_slide(tmp_path))
    scores_of(tmp_path / "scores" / "b.h5", a_slide(tmp_path, "b"))
    assert [each.slide_id for each in shelve(file).slides] == ["a"]


def test_the_slides_of_a_table_join_the_files(tmp_path: Path) -> None:
    scores_of(tmp_path / "scores" / "a.h5", a_slide(tmp_path / "slides"))
    a_slide(tmp_path / "slides", "without_scores")
    table = tmp_path / "slides.csv"
    table.write_text(
        "slide_id,slide_path\na,slides/a.tiff\nwithout_scores,slides/without_scores.tiff\n"
    )
    found = shelve(tmp_path / "scores", table)
    assert [each.slide_id for each in found.slides] == ["a", "without_scores"]
    assert [len(each.files) for each in found.slides] == [1, 0]
    assert all(each.entry is not None for each in found.slides)


def test_a_table_within_the_folder_is_taken_only_if_it_leads_nowhere_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    scores_of(out / "scores" / "a.h5", a_slide(out / "cohort"))
    table = out / "cohort" / "slides.csv"
    table.write_text("slide_id,slide_path\na,a.tiff\n")
    assert shelve(out).slides[0].entry is not None
    elsewhere = a_slide(tmp_path / "elsewhere")
    table.write_text(f"slide_id,slide_path\na,{elsewhere}\n")
    assert shelve(out).slides[0].entry is None


def test_labels_of_a_session_are_no_slides(tmp_path: Path) -> None:
    out, name = tmp_path / "out", "a.ana.20250102T030405Z.0123456789abcdef"
    scores_of(out / "scores" / "a.h5", a_slide(tmp_path))
    for folder in ("taught", "scores"):
        scores_of(out / folder / f"{name}.h5", tmp_path / "a.tiff")
    assert [each.slide_id for each in shelve(out).slides] == ["a"]
    assert [each.name for each in shelve(out).sources] == ["scores"]
    assert [each.slide_id for each in shelve(out / "taught").slides] == [name]


def test_what_is_nothing_of_the_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        shelve(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CohortError, match="without slides"):
        shelve(tmp_path / "empty")
    (tmp_path / "odd.h5").write_bytes(b"no HDF5")
    with pytest.raises(StoreError):
        shelve(tmp_path / "odd.h5")


def test_ten_thousand_slides_are_listed_without_opening_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = scores_of(tmp_path / "scores" / "s00000.h5", a_slide(tmp_path))
    for number in range(1, 10_000):
        (tmp_path / "scores" / f"s{number:05}.h5").hardlink_to(file)
    asked = []
    shapes = {"scores": (1,), "coords": (1, 2)}
    monkeypatch.setattr(shelf.store, "shapes", lambda path: asked.append(path) or shapes)
    start = time.perf_counter()
    found = shelve(tmp_path / "scores")
    assert time.perf_counter() - start < 5
    assert len(found.slides) == 10_000
    assert len(asked) == 1  # a folder holds files of one kind
