"""Which truth an evaluation takes, and what it says and refuses where there is none to take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histocnn.cli import main
from histocnn.errors import StoreError
from histocnn.stages.evaluate import evaluate
from histocnn.storage import store
from tests.stages.judged_cohort import Cohort, write_cohort

pytestmark = pytest.mark.usefixtures("without_pictures")


def rewrite(path: Path, change: Any, **attributes: Any) -> None:
    """Change a score file: `change` gets its arrays and gives them back."""
    arrays, old = store.read(path), store.attributes(path)
    store.write(path, change(arrays), old | attributes)


@pytest.fixture
def perfect(tmp_path: Path) -> Cohort:
    """A model that knows every patch, of other tools' patches half a patch beside the grid."""
    cohort = write_cohort(tmp_path / "c", patients=2)

    def move(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        coords = arrays["coords"] + 100
        tumour = np.array([600, 600])  # of slide_01, 800 px wide: see write_cohort
        sides = np.minimum(coords + 200, tumour + 800) - np.maximum(coords, tumour)
        share = np.clip(sides, 0, None).prod(axis=1) / 200**2 * arrays["labels"].any()
        p = np.where(share >= 0.5, 0.9, 0.1).astype(np.float32)
        return {"coords": coords, "scores": np.stack([1 - p, p], axis=1)}

    for slide in ("slide_00", "slide_01"):
        path = cohort.scores / f"{slide}.h5"
        own = {name: v for name, v in store.attributes(path).items() if "." not in name}
        arrays = move(store.read(path))
        store.write(path, arrays, own | {"scores.class_names": ["normal", "tumour"]})
    return cohort


def test_patches_beside_a_grid_are_judged_where_they_lie(perfect: Cohort, tmp_path: Path) -> None:
    report = evaluate(perfect.scores, tmp_path / "out", slides=perfect.slides).report
    assert report.patch.per_class["tumour"]["auroc"].value == 1
    assert report.patch.figures["accuracy"].value == 1
    assert report.slide is None
    assert report.froc is None
    [note] = [note for note in report.notes if "which need a grid" in note]
    assert "grid: slide_00.h5: patches lie up to 100 level-0 pixels off a grid" in note
    assert note in (tmp_path / "out" / "report.html").read_text().replace("&#39;", "'")


@pytest.mark.parametrize("asked", [{"target": "tumour"}, {"detections": "."}])
def test_what_needs_a_grid_and_was_asked_for_refuses(
    perfect: Cohort, tmp_path: Path, asked: dict[str, str]
) -> None:
    with pytest.raises(StoreError, match="off a grid"):
        evaluate(perfect.scores, tmp_path / "out", slides=perfect.slides, **asked)
    assert not (tmp_path / "out").exists()


def test_two_patches_in_a_cell_are_two_patches_and_no_picture(tmp_path: Path) -> None:
    cohort = write_cohort(tmp_path / "c", patients=2)

    def double(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.concatenate([array, array[:1]]) for name, array in arrays.items()}

    rewrite(cohort.scores / "slide_01.h5", double)
    report = evaluate(cohort.scores, tmp_path / "out", slides=cohort.slides).report
    assert report.patch.n == 601
    assert any("1 patches lie in the cell of another one" in note for note in report.notes)
    assert report.froc is None
    words = ["heatmap", "--scores", str(cohort.scores), "--out", str(tmp_path / "pictures")]
    assert main(words) == 1
    assert not (tmp_path / "pictures" / "slide_01.png").exists()


def test_coverage_names_its_own_classes(tmp_path: Path) -> None:
    """`train` numbers labels anew, by all its slides' classes; the coverage stays as it was."""
    cohort = write_cohort(tmp_path / "c", patients=5)

    def turn(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        arrays["labels"] = 1 - arrays["labels"]
        arrays["labels"][:3] = -1
        arrays["coverage"][:3] = 0.3, 0.45
        return arrays

    rewrite(cohort.scores / "slide_01.h5", turn,
            **{"labels.class_names": ["tumour", "normal"],
               "coverage.class_names": ["normal", "tumour"]})  # fmt: skip
    report = evaluate(cohort.scores, tmp_path / "out").report
    assert report.with_border is not None
    assert report.with_border.n - report.patch.n == 3
    truth = np.sum(report.with_border.confusion, axis=1) - np.sum(report.patch.confusion, axis=1)
    assert truth.tolist() == [0, 3]  # tumour is their largest part
