"""histocnn compare: one table for several folders of features, and clear refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from histocnn.cli import main
from histocnn.stages.compare import compare
from tests.feature_files import write_features

PATIENTS = tuple(f"p{i}" for i in range(6))
FEW = ["--k", "3", "--folds", "3", "--shots", "2", "--seeds", "2", "--replicates", "20"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for number, name in enumerate(("one", "two")):
        network = {"backbone": name, "weights": str(number)}
        write_features(
            tmp_path / name / "set.h5", n=60, patients=PATIENTS, seed=number, network=network
        )
    return tmp_path


def test_folders_one_after_the_other_and_a_table(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = place / "out"
    words = ["compare", "--features", str(place / "one"), str(place / "two"), "--out", str(out)]
    assert main([*words, *FEW]) == 0
    shown = capsys.readouterr().out
    assert shown.split()[:5] == ["3-NN", "probe", "licence", "one", shown.split()[4]]
    assert "By 3-NN, balanced accuracy: " in shown
    assert {path.name for path in out.iterdir()} == {
        ".runs", "compare.csv", "compare.html", "compare.json", "figures",
    }  # fmt: skip
    assert main([*words, *FEW]) == 0  # over its own
    result = compare(str(place / "one"), place / "alone", k=3, folds=3, shots=1, replicates=20)
    assert [row["name"] for row in result.rows] == ["one"]
    assert result.report is not None
    assert result.to_dataframe().knn_balanced_accuracy[0] > 0.5


def test_refusals(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, out = str(place / "one"), str(place / "two"), ["--out", str(place / "out")]
    assert main(["compare", "--features", one, two, *out, "--k", "50"]) == 1
    assert "k = 50 neighbours asked of" in capsys.readouterr().err
    assert main(["compare", "--features", one, one, *out]) == 1
    assert "given twice" in capsys.readouterr().err
    write_features(place / "two" / "other.h5", n=4, network={"backbone": "x", "weights": "9"})
    assert main(["compare", "--features", one, two, *out]) == 1
    assert "features of different recipes" in capsys.readouterr().err
    assert main(["compare", "--features", one, "--out", one]) == 2
    assert not (place / "out").exists()
