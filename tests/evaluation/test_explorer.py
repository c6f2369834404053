from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from histocnn.evaluation.explorer import COLUMNS, by_slide, explored, write_errors
from histocnn.evaluation.judged import judge
from histocnn.scores.scorefile import open_scores
from histocnn.storage import store


def test_every_error_is_in_the_table_with_its_place(judged, tmp_path: Path) -> None:
    files = write_errors(tmp_path, judged)
    with (tmp_path / "errors.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert tuple(rows[0]) == COLUMNS
    errors = judged.errors()
    assert len(rows) == len(errors)
    wanted = {
        (judged.slide_ids[judged.slide[row]], *file.read("coords")["coords"][judged.row[row]])
        for row in errors
        for file in [judged.files[judged.file[row]]]
    }
    assert {(r["slide_id"], int(r["x_l0"]), int(r["y_l0"])) for r in rows} == wanted
    assert all(r["truth"] != r["called"] for r in rows)
    own = [float(r["probability"]) for r in rows if r["slide_id"] == rows[0]["slide_id"]]
    assert own == sorted(own, reverse=True)
    assert len(files) == 1 + len({r["slide_id"] for r in rows})


def test_qupath_gets_each_slides_errors_and_old_files_go(judged, tmp_path: Path) -> None:
    (tmp_path / "errors").mkdir()
    (tmp_path / "errors" / "gone.geojson").write_text("{}")
    write_errors(tmp_path, judged)
    file, rows = next(by_slide(judged))
    found = json.loads((tmp_path / "errors" / f"{file.slide_id}.geojson").read_text())
    assert len(found["features"]) == len(rows)
    corner = found["features"][0]["geometry"]["coordinates"][0]
    x, y = file.read("coords")["coords"][judged.row[rows[0]]].tolist()
    assert [min(point[i] for point in corner) for i in (0, 1)] == [x, y]
    assert not (tmp_path / "errors" / "gone.geojson").exists()


def test_the_page_lists_the_worst_slides_with_links(judged, tmp_path: Path) -> None:
    heatmaps, out = tmp_path / "heat maps", tmp_path / "report"
    heatmaps.mkdir()
    write_errors(out, judged)
    file, rows = next(by_slide(judged))
    (heatmaps / f"{file.slide_id}.html").write_text("x")
    first, *others = explored(judged, out, heatmaps)
    assert first.page == f"../heat%20maps/{file.slide_id}.html"
    assert first.qupath == f"errors/{file.slide_id}.geojson"
    assert (first.slide, first.errors, first.judged) == (file.slide_id, len(rows), 300)
    assert first.confident == (judged.scores[rows].max(axis=1) >= 0.9).sum()
    assert [own.errors for own in (first, *others)] == sorted(
        (own.errors for own in (first, *others)), reverse=True
    )
    assert all(own.page is None for own in others)
    assert explored(judged, out)[0].page is None


def test_images_have_their_names_and_no_place(tmp_path: Path) -> None:
    scores = np.array([[0.1, 0.9], [0.2, 0.8]], np.float32)
    store.write(
        tmp_path / "images.h5",
        {"paths": ["/home/somebody/a.png", "b.png"], "labels": np.array([0, 1]), "scores": scores},
        {"slide_id": "images", "labels.class_names": ["0", "1"], "scores.class_names": ["0", "1"]},
    )
    judged = judge(open_scores(tmp_path / "images.h5"))
    assert write_errors(tmp_path / "out", judged) == [tmp_path / "out" / "errors.csv"]
    text = (tmp_path / "out" / "errors.csv").read_text()
    assert text.splitlines()[1] == "images,,,a.png,0,1,0.9"
    write_errors(tmp_path / "out", judged, show_ids=True)
    assert "/home/somebody/a.png" in (tmp_path / "out" / "errors.csv").read_text()
    (found,) = explored(judged, tmp_path / "out")
    assert (found.page, found.qupath) == (None, None)


def test_nothing_wrong_leaves_an_empty_table(judged, tmp_path: Path) -> None:
    right = replace(judged, labels=judged.called)
    assert write_errors(tmp_path, right) == [tmp_path / "errors.csv"]
    assert (tmp_path / "errors.csv").read_text() == ",".join(COLUMNS) + "\n"
    assert explored(right, tmp_path) == []
