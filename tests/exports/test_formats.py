from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import get_args

import pytest

from histocnn.errors import UsageError
from histocnn.exports.formats import KINDS, ExportOptions, Format, export_scores
from tests.exports.test_frames import scores_over
from tests.feature_files import write_features
from tests.grid_files import write_grid


def test_every_format_of_the_flag_is_in_the_table() -> None:
    assert set(KINDS) == set(get_args(Format))


def test_a_recipe_holds_what_changes_the_file_and_nothing_else() -> None:
    """As version 0.1.0 wrote them: else everything would be made again."""
    assert ExportOptions("csv").recipe == {"stage": "export", "to": "csv", "class_name": None}
    assert ExportOptions("asap", merge=0.4).recipe == {
        "stage": "export", "to": "asap", "class_name": None, "merge": 0.4,
    }  # fmt: skip
    assert ExportOptions("geojson").recipe == {
        "stage": "export", "to": "geojson", "class_name": None, "merge": None, "frame": "bounds",
    }  # fmt: skip
    assert ExportOptions("camelyon16", class_name="t").recipe == {
        "stage": "export", "to": "camelyon16", "class_name": "t", "radius_um": 200.0,
        "min_prob": 0.1, "frame": "bounds",
    }  # fmt: skip


@pytest.mark.parametrize(("to", "merge"), [("geojson", None), ("geojson", 0.5), ("asap", None)])
def test_chosen_colours_are_those_of_the_file(
    to: Format, merge: float | None, tmp_path: Path
) -> None:
    """Another colour is another file; a class that is not there fails the slide in a line."""
    out, path = tmp_path / "out", tmp_path / "scores" / "s1.h5"
    scores = scores_over(write_grid(tmp_path, "s1"), path, ("tumour", "normal"))
    wanted = {"geojson": "[1, 2, 3]", "asap": "#010203"}[to]
    for colours, status in (
        ("", "done"),
        ("tumour=#010203", "done"),
        ("tumour=#010203", "skipped"),
    ):
        options = ExportOptions(to, merge=merge, colours=colours)
        (row,) = export_scores(scores, out, options).rows
        assert row["status"] == status
        assert (wanted in row["path"].read_text()) == bool(colours)
    (row,) = export_scores(scores, out, ExportOptions(to, merge=merge, colours="x=#c00")).rows
    assert row["status"] == "failed"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"to": "geojson", "merge": 1.5}, "--merge 1.5 is not a probability"),
        ({"to": "csv", "merge": 0.5}, "--merge has no meaning for csv"),
        ({"to": "csv", "colours": "t=#c00"}, "--colours has no meaning for csv"),
        ({"to": "asap", "colours": "t=red"}, "gives no class its colour"),
        ({"to": "camelyon16"}, "Name it with --class_name"),
        ({"to": "camelyon16", "class_name": "t", "radius_um": -1}, "--radius_um -1 is negative"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_from_python_too(options, said) -> None:
    with pytest.raises(UsageError, match=said):
        ExportOptions(**options)


@pytest.mark.parametrize("to", ["parquet", "anndata"])
def test_a_missing_package_is_named_before_anything_is_done(
    to: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=rf"pip install 'histocnn\[{to}\]'\."):
        export_scores(tmp_path, tmp_path / "out", ExportOptions(to))
    assert not (tmp_path / "out").exists()


def test_tables_take_scores_of_images_and_come_with_their_suffix(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pip install 'histocnn[parquet]'")
    pytest.importorskip("anndata", reason="pip install 'histocnn[anndata]'")
    grid = write_grid(tmp_path, "s1")
    scores = scores_over(grid, tmp_path / "scores" / "s1.h5", ("a", "b"))
    for to, suffix in (("parquet", ".parquet"), ("anndata", ".h5ad")):
        result = export_scores(scores, tmp_path / to, ExportOptions(to))  # type: ignore[arg-type]
        assert result.outputs == [tmp_path / to / f"s1{suffix}"]
        assert result.outputs[0].exists()
        assert export_scores(scores, tmp_path / to, ExportOptions(to)).skipped == ["s1"]  # type: ignore[arg-type]


def test_features_have_no_class_to_choose(tmp_path: Path) -> None:
    pytest.importorskip("anndata", reason="pip install 'histocnn[anndata]'")
    write_features(tmp_path / "f" / "f.h5", n=4)
    with pytest.raises(UsageError, match=r"f\.h5: features, which have no class.*--class_name"):
        export_scores(tmp_path / "f", tmp_path / "out", ExportOptions("anndata", class_name="a"))
    assert not (tmp_path / "out").exists()
