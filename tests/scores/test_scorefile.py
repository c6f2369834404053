"""Score files read: what fits is told as it is, what does not is refused when it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histocnn import cli
from histocnn.cohort.seen import SEEN
from histocnn.errors import StoreError
from histocnn.patches.grid import build_grid
from histocnn.scores.scorefile import open_score_file, open_scores, score_files
from histocnn.storage import store

SIZE_L0, MPP = (400, 300), (0.5, 0.5)
GRID = build_grid(SIZE_L0, MPP, patch_px=50, mpp=1.0)  # 100 level-0 px: 3 rows of 4

PREVIOUS = Path(__file__).parents[1] / "previous" / "0.1.0"


def write(path: Path, *, drop: tuple[str, ...] = (), said: Any = (), **datasets: Any) -> Path:
    """A slide's score file of 12 patches; arrays and attributes may be changed or left out."""
    scores = np.random.default_rng(0).dirichlet(np.ones(2), len(GRID)).astype(np.float32)
    arrays = {"coords": GRID.coords, "cell": GRID.cell, "scores": scores} | datasets
    attributes = GRID.attributes() | {"slide_id": "s", "scores.class_names": ["n", "t"]}
    attributes |= {"recipe": {"stage": "predict"}} | dict(said)
    store.write(
        path,
        {name: array for name, array in arrays.items() if name not in drop},
        {name: value for name, value in attributes.items() if name not in drop},
    )
    return path


def test_a_slide_says_what_it_was_given(tmp_path):
    colour = np.arange(72, dtype=np.float32).reshape(12, 6)
    path = write(
        tmp_path / "x.h5",
        labels=np.arange(12) % 3 - 1,
        colour=colour,
        novelty=np.linspace(0, 100, 12, dtype=np.float32),
        said={"labels.class_names": ["t", "n"], "seen": "val", "patient_id": "p"},
    )
    file = open_score_file(path)
    assert (len(file), file.slide_id, file.class_names) == (12, "s", ("n", "t"))
    assert file.is_slide
    assert file.scores().dtype == np.float32
    assert np.array_equal(file.scores(), store.read(path, "scores")["scores"])
    assert file.label_names == ("t", "n")
    assert file.labels().tolist() == [-1, 0, 1] * 4
    assert np.array_equal(file.colour(), colour)
    assert file.novelty()[-1] == 100
    assert [SEEN[i] for i in file.seen()] == ["val"] * 12
    assert file.slide_ids() == ["s"] * 12
    assert file.patient_ids() == ["p"] * 12
    assert file.patient_ids("q") == ["q"] * 12
    assert np.array_equal(file.grid().coords, GRID.coords)
    assert np.array_equal(file.boxes_l0(), GRID.boxes_l0())


def test_what_nobody_said_is_unknown(tmp_path):
    file = open_score_file(write(tmp_path / "x.h5", drop=("cell",)))
    assert file.label_names is None
    assert file.labels().tolist() == [-1] * 12
    assert np.isnan(file.colour()).all()
    assert file.colour().shape == (12, 6)
    assert file.novelty() is None
    assert [SEEN[i] for i in file.seen()] == ["unknown"] * 12
    assert file.patient_ids() == [""] * 12
    assert np.array_equal(file.grid().cell, GRID.cell)  # from the coordinates


def test_image_files_are_known_row_by_row(tmp_path):
    path = write(
        tmp_path / "x.h5",
        drop=("coords", "cell"),
        paths=[f"{i}.png" for i in range(12)],
        slide_ids=[""] * 6 + ["w"] * 6,
        patient_ids=["p"] * 12,
        seen=["no", "train", "val", "unknown", "?"] + ["no"] * 7,
    )
    file = open_score_file(path)
    assert not file.is_slide
    assert file.slide_ids() == [""] * 6 + ["w"] * 6
    assert file.patient_ids("q") == ["p"] * 12
    assert [SEEN[i] for i in file.seen()[:5]] == ["no", "train", "val", "unknown", "unknown"]
    with pytest.raises(StoreError, match=r"x\.h5: its patches are image files"):
        file.grid()
    with pytest.raises(StoreError, match=r"image files"):
        file.boxes_l0()


def test_patches_off_a_grid_have_boxes_but_no_grid(tmp_path):
    coords = GRID.coords + np.array([50, 0])  # half a patch to the right
    file = open_score_file(write(tmp_path / "x.h5", drop=("cell",), coords=coords))
    with pytest.raises(StoreError, match="lie up to 50 level-0 pixels off a grid") as error:
        file.grid()
    assert error.value.remedy.startswith("Tile the slide with histocnn and score these patches")
    assert file.boxes_l0()[1].tolist() == [150, 0, 250, 100]
    # A foreign file's footprint was measured; its µm/px are nominal.
    file = open_score_file(
        write(tmp_path / "y.h5", drop=("cell",), coords=coords, said={"footprint_l0": (90.0, 80.0)})
    )
    assert file.boxes_l0()[1].tolist() == [150, 0, 240, 80]


def test_foreign_files_know_their_footprint_without_a_scale(tmp_path):
    said = {"footprint_l0": (90.0, 80.0)}
    file = open_score_file(
        write(tmp_path / "x.h5", drop=("cell", "mpp", "slide_mpp", "size_l0"), said=said)
    )
    assert file.boxes_l0()[1].tolist() == [100, 0, 190, 80]
    with pytest.raises(StoreError, match="does not say its size_l0, slide_mpp, mpp"):
        file.grid()
    with pytest.raises(StoreError, match=r"x\.h5: does not say its size_l0"):
        _ = file.size_l0


def test_a_pixel_of_rounding_is_no_offset(tmp_path):
    file = open_score_file(write(tmp_path / "x.h5", coords=GRID.coords + 1))
    assert np.array_equal(file.grid().coords, GRID.coords)


def test_two_patches_in_one_cell_are_refused(tmp_path):
    coords = GRID.coords.copy()
    coords[5] = coords[4]
    with pytest.raises(StoreError, match="1 patches lie in the cell of another one"):
        open_score_file(write(tmp_path / "x.h5", drop=("cell",), coords=coords)).grid()


@pytest.mark.parametrize("cell", [(-1, 0), (3, 0), (0, 4)])
def test_patches_outside_the_slide_are_refused(tmp_path, cell):
    cells, coords = GRID.cell.copy(), GRID.coords.copy()
    cells[0], coords[0] = cell, (100 * cell[1], 100 * cell[0])
    with pytest.raises(StoreError, match="outside the slide's 400 × 300 level-0 pixels"):
        open_score_file(write(tmp_path / "x.h5", cell=cells, coords=coords)).grid()


def test_a_grid_needs_its_scale(tmp_path):
    file = open_score_file(write(tmp_path / "x.h5", drop=("slide_mpp", "mpp")))
    for asked in (file.grid, file.boxes_l0):
        with pytest.raises(StoreError, match="does not say its slide_mpp, mpp"):
            asked()


def test_a_slide_without_patches_is_a_slide(tmp_path):
    path = write(
        tmp_path / "x.h5",
        coords=np.zeros((0, 2), int),
        cell=np.zeros((0, 2), int),
        scores=np.zeros((0, 2), np.float32),
    )
    file = open_score_file(path)
    assert len(file) == len(file.grid()) == len(file.boxes_l0()) == 0
    assert file.scores().shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drop": ("scores", "scores.class_names")}, "holds no scores"),
        ({"drop": ("scores.class_names",)}, "holds no scores"),
        (
            {"scores": np.zeros((11, 2), np.float32)},
            r"scores \(11, 2\) do not fit 12 patches and 2",
        ),
        (
            {"scores": np.zeros((12, 3), np.float32)},
            r"scores \(12, 3\) do not fit 12 patches and 2",
        ),
        ({"scores": np.zeros(12, np.float32)}, r"scores \(12,\) do not fit 12 patches and 2"),
        ({"said": {"scores.class_names": ["t", "t"]}}, "two of its classes bear one name"),
        ({"labels": np.zeros(3, int)}, r"labels \(3,\) do not fit 12 patches"),
        ({"colour": np.zeros((12, 3))}, r"colour \(12, 3\) do not fit 12 patches"),
        ({"novelty": np.zeros((12, 1))}, r"novelty \(12, 1\) do not fit 12 patches"),
        ({"coords": np.zeros((12, 3), int)}, r"coords \(12, 3\) do not fit 12 patches"),
        ({"seen": ["no"]}, r"seen \(1,\) do not fit 12 patches"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_opened(tmp_path, change, message):
    with pytest.raises(StoreError, match=message) as error:
        open_score_file(write(tmp_path / "x.h5", **change))
    assert "x.h5" in error.value.message
    assert error.value.remedy.endswith(".")


@pytest.mark.parametrize("label", [-2, 2])
def test_a_label_of_no_class_is_refused(tmp_path, label):
    labels = np.zeros(12, int)
    labels[7] = label
    file = open_score_file(
        write(tmp_path / "x.h5", labels=labels, said={"labels.class_names": ["n", "t"]})
    )
    with pytest.raises(StoreError, match="of 2 classes"):
        file.labels()


def test_a_folder_or_one_file(tmp_path):
    with pytest.raises(StoreError, match="no score files"):
        score_files(tmp_path)
    second = write(tmp_path / "b.h5", said={"slide_id": "t"})
    first = write(tmp_path / "a.h5")
    assert score_files(tmp_path) == [first, second]
    assert [file.path for file in open_scores(tmp_path)] == [first, second]
    assert [file.path for file in open_scores(second)] == [second]
    write(tmp_path / "c.h5", said={"slide_id": "t"})
    with pytest.raises(StoreError, match=r"c\.h5: scores of t, as b\.h5 beside it"):
        open_scores(tmp_path)
    (tmp_path / "c.h5").write_bytes(b"no HDF5")
    with pytest.raises(StoreError, match=r"c\.h5: not an HDF5 file"):
        open_scores(tmp_path)


@pytest.mark.parametrize(
    ("named", "expected"),
    [("case7", "case7"), (None, "x_patches"), ("../case7", "x_patches"), ("..", "x_patches")],
)
def test_the_slide_is_the_one_that_the_file_names(tmp_path, named, expected):
    path = write(tmp_path / "x_patches.h5", said={"slide_id": named})
    assert open_score_file(path).slide_id == expected


def test_files_of_training_by_version_0_1_0_are_read(tmp_path):
    """Their recipe says `command`, and they know neither temperature nor thresholds."""
    files = open_scores(PREVIOUS / "model" / "scores")
    assert [file.slide_id for file in files] == ["phantom_05", "phantom_07"]
    for file in files:
        stored = store.read(file.path)
        assert file.attributes["recipe"]["command"] == "train"
        assert np.array_equal(file.scores(), stored["scores"])
        assert np.array_equal(file.labels(), stored["labels"])
        assert np.array_equal(file.grid().coords, stored["coords"])
        assert [SEEN[i] for i in file.seen()] == ["no"] * len(file)


@pytest.mark.parametrize("command", ["export", "heatmap", "evaluate", "mine"])
def test_a_zip_or_a_text_named_as_scores_is_one_line_and_leaves_nothing(tmp_path, capsys, command):
    (tmp_path / "scores.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    (tmp_path / "scores.h5").write_text("slide,score\n")
    more = ["--to", "csv"] if command == "export" else []
    for name, message in {"scores.zip": "Unzip it", "scores.h5": "not an HDF5 file"}.items():
        out = tmp_path / "out" / ("hard.csv" if command == "mine" else "")
        words = ["--scores", str(tmp_path / name), "--out", str(out), *more]
        assert cli.main([command, *words]) == 1
        said = capsys.readouterr()
        assert message in said.err
        assert said.err.count("\n") == 1
        assert not (tmp_path / "out").exists()


def test_uncertain_is_what_was_scored_and_has_no_class_or_several(tmp_path):
    scores = np.full((12, 2), 0.5, np.float32)
    scores[3] = np.nan
    sets = np.array([[0, 0], [0, 1], [1, 1], [0, 0]] * 3, bool)
    file = open_score_file(write(tmp_path / "x.h5", scores=scores, sets=sets))
    assert file.sets().tolist() == sets.tolist()
    assert file.uncertain().tolist() == [True, False, True, False] + [True, False, True, True] * 2
    assert open_score_file(write(tmp_path / "y.h5")).uncertain() is None
    with pytest.raises(StoreError, match=r"sets \(12, 3\) do not fit 12 patches"):
        open_score_file(write(tmp_path / "z.h5", sets=np.zeros((12, 3), bool)))
    odd = open_score_file(write(tmp_path / "w.h5", sets=np.zeros((12, 2), np.float32)))
    with pytest.raises(StoreError, match="its sets are of type float32"):
        odd.sets()
