"""The page of a run's folder: what it names, what it does not show, whose it is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from histocnn.errors import UsageError
from histocnn.pages.index import MOST_FAILURES, Folder, check, write_index

MARKUP = "<img src=x onerror=alert(1)>"
HEADER = "slide_id,error,message,command,time\n"


def scores(**means: float) -> dict[str, float]:
    found: dict[str, float] = {"patches": 12, "scored": 12}
    for name, mean in means.items():
        found |= {f"top_mean_{name}": mean, f"max_{name}": 1.0, f"area_mm2_{name}": mean * 2}
    return found


def folder_of(out: Path, slides: dict[str, Any], *, files: tuple[str, ...] = ()) -> Folder:
    (out / "heatmaps").mkdir(parents=True)
    (out / "grids").mkdir()
    text = json.dumps({"command": "heatmap", "slides": slides})
    (out / "heatmaps" / "run.json").write_text(text)
    for name in files:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(b"")
    return Folder(out, out / "heatmaps", out / "grids", [out / "scores"], out / "report")


def links(page: str) -> list[str]:
    return [
        unquote(link) for link in re.findall(r'(?:href|src)="([^"]*)"', page) if link[:5] != "data:"
    ]


def test_it_leads_to_what_is_there(tmp_path: Path) -> None:
    slides = {
        "s 1#": {"patches": 1200, "slide_scores": scores(normal=0.25, tumour=0.875)},
        "s2": {"patches": 0, "slide_scores": {"patches": 0, "scored": 0}},
    }
    files = ("heatmaps/s 1#.png", "heatmaps/s 1#.html", "heatmaps/s2.png", "grids/s2.png",
             "report/report.html", "report/errors.csv")  # fmt: skip
    path = write_index(folder_of(tmp_path / "out", slides, files=files), "Slides")
    page = path.read_text()
    assert path == tmp_path / "out" / "index.html"
    assert set(links(page)) == set(files)
    assert all((path.parent / link).is_file() for link in links(page))
    assert "0.88" in page
    assert "1.75 mm²" in page
    assert "1,200 patches" in page
    assert "histocnn view ." in page
    assert page.count('loading="lazy"') == page.count("<img") == 2
    assert "<script" not in page


def test_of_many_classes_the_highest_are_shown_by_name(tmp_path: Path) -> None:
    means = {name: value / 10 for value, name in enumerate("hgfedcba")}  # a is highest
    slides = {"s": {"patches": 3, "slide_scores": scores(**means)}}
    page = write_index(folder_of(tmp_path / "out", slides), "Slides").read_text()
    assert re.findall(r"<span>(\w)\s", page) == list("abcdef")
    assert "2 more classes" in page


def test_names_are_text_and_paths_stay_at_home(tmp_path: Path) -> None:
    slides = {MARKUP: {"patches": 3, "slide_scores": scores(**{MARKUP: 0.5})}}
    folder = folder_of(tmp_path / "out", slides)
    said = f'{MARKUP},ReadError,"/secret/place/{MARKUP}.svs: cannot be read",tile,now\n'
    (tmp_path / "out" / "grids" / "failures.csv").write_text(HEADER + said)
    page = write_index(folder, MARKUP).read_text()
    assert "<img" not in page
    assert page.count("&lt;img src=x") >= 4
    assert "secret" not in page
    assert str(tmp_path) not in page
    assert "cannot be read" in page


def test_failures_of_every_stage_are_told_and_many_are_cut(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "out", {})
    (tmp_path / "out" / "scores").mkdir()
    rows = "".join(f"a{i},ReadError,gone,tile,now\n" for i in range(MOST_FAILURES + 5))
    (tmp_path / "out" / "grids" / "failures.csv").write_text(HEADER + rows)
    (tmp_path / "out" / "scores" / "failures.csv").write_text("something,else\n")
    page = write_index(folder, "Slides").read_text()
    assert f"({MOST_FAILURES + 5})" in page
    assert page.count("<td>gone</td>") == MOST_FAILURES
    assert links(page) == ["grids/failures.csv"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"slides": []}', '{"slides": {"a": 3}}',
     '{"slides": {"a": {"slide_scores": {"top_mean_x": "high"}}}}'],
)  # fmt: skip
def test_a_summary_that_makes_no_sense_gives_a_page_without_it(tmp_path: Path, text: str) -> None:
    folder = folder_of(tmp_path / "out", {})
    (folder.heatmaps / "run.json").write_text(text)
    assert "slides" in write_index(folder, "Slides").read_text()


def test_somebody_elses_page_stays(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "out", {})
    own = tmp_path / "out" / "index.html"
    own.write_text("mine")
    for act in (lambda: check(folder.out), lambda: write_index(folder, "Slides")):
        with pytest.raises(UsageError, match=r"index\.html: there already, and not made by run"):
            act()
    assert own.read_text() == "mine"
    own.unlink()
    write_index(folder, "Slides")
    check(folder.out)
    write_index(folder, "Again")
    assert "Again" in own.read_text()


def test_a_slide_takes_a_thousand_signs_of_the_page(tmp_path: Path) -> None:
    slides = {f"s{i:03d}": {"patches": 9, "slide_scores": scores(a=0.1, b=0.9)} for i in range(500)}
    folder = folder_of(tmp_path / "out", slides, files=("heatmaps/s000.png",))
    page = write_index(folder, "Slides").read_text()
    assert page.count("<article") == 500
    assert len(page) < 500 * 1000
