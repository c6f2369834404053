"""Features of the same patches are matched whatever their order; others are refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import FeaturesError
from histocnn.reference.matching import common, names_of, open_rows
from histocnn.storage import store
from tests.feature_files import TINY, write_features
from tests.grid_files import write_grid


def reordered(source: Path, target: Path, order: np.ndarray, **attributes: object) -> Path:
    """The same patches in another order, by another network."""
    datasets = store.read(source)
    kept = {k: [v[i] for i in order] if isinstance(v, list) else v[order]
            for k, v in datasets.items() if len(v) == len(order)}  # fmt: skip
    own = store.attributes(source)
    recipe = {"stage": "embed", "network": {**TINY, "weights": "1" * 64}}
    store.write(target, kept, {**own, "recipe": recipe, **attributes})
    return target


def test_rows_are_matched_by_patch(tmp_path: Path) -> None:
    a = write_features(tmp_path / "a" / "set.h5", n=12, patients=("p", "q"), nan_rows=(2,))
    order = np.random.default_rng(0).permutation(12)
    b = reordered(a, tmp_path / "b" / "set.h5", order)
    values = store.read(b)["features"]
    values[order == 7] = np.nan
    values[order == 2] = 1
    store.write(b, {**store.read(b), "features": values}, store.attributes(b))
    sets = [open_rows(file.parent, name) for file, name in ((a, "a"), (b, "b"))]
    keys = common(sets)
    assert [path for _, path in keys] == [f"{i}.png" for i in range(12) if i not in (2, 7)]
    assert [len(own.features.values) for own in sets] == [0, 0]  # none is held meanwhile
    assert sets[0].labelled_keys == {("set", f"{i}.png") for i in range(12)}  # unreadable ones, too
    first, second = (own.features.rows[own.places(keys)] for own in sets)
    np.testing.assert_array_equal(first, second)
    known = [own.features.only(own.places(keys)) for own in sets]
    assert known[0].labels.tolist() == known[1].labels.tolist()
    assert known[0].patient_ids == known[1].patient_ids


def test_patches_of_slides_are_matched_by_corner(tmp_path: Path) -> None:
    grid = write_grid(tmp_path, "s1", patient_id="p")
    a = write_features(tmp_path / "a" / "s1.h5", like=grid)
    b = reordered(a, tmp_path / "b" / "s1.h5", np.arange(len(store.read(a)["coords"]))[::-1])
    keys = common([open_rows(a.parent, "a"), open_rows(b.parent, "b")])
    labels = store.read(a)["labels"]
    assert len(keys) == (labels >= 0).sum()
    assert keys[0] == ("s1", tuple(store.read(a)["coords"][labels >= 0][0].tolist()))


def test_what_differs_is_said(tmp_path: Path) -> None:
    a = write_features(tmp_path / "a" / "set.h5", n=12)
    others: dict[str, dict[str, object]] = {
        r"other patches: 2 of 12.*, such as 10.png of set": {"n": 10},
        r"labelled otherwise, such as 1.png of set: b / c": {"classes": ("a", "c")},
        r"patches of 14 and 28 µm of set": {"mpp": 1.0},
    }
    for number, (said, how) in enumerate(others.items()):
        b = write_features(tmp_path / str(number) / "set.h5", **({"n": 12} | how))  # type: ignore[arg-type]
        with pytest.raises(FeaturesError, match=said):
            common([open_rows(a.parent, "a"), open_rows(b.parent, "b")])
    same = reordered(a, tmp_path / "e" / "set.h5", np.arange(12), patch_px=56, mpp=0.25)
    assert len(common([open_rows(a.parent, "a"), open_rows(same.parent, "e")])) == 12
    bare = write_features(tmp_path / "f" / "set.h5", n=12, labelled=False)
    with pytest.raises(FeaturesError, match="none of 12 patches has a label"):
        common([open_rows(bare.parent, "f")])


def test_two_encoders_in_one_folder_are_refused(tmp_path: Path) -> None:
    a = write_features(tmp_path / "m" / "s1.h5", n=4)
    b = write_features(tmp_path / "m" / "s2.h5", n=4)
    for file, name in ((a, "uni"), (b, "phikon")):
        terms = {"encoder": name, "licence": "", "forbids": None}
        store.write(file, store.read(file), store.attributes(file) | {"encoder": terms})
    with pytest.raises(FeaturesError, match="features of uni and phikon"):
        open_rows(tmp_path / "m", "m")


def test_folders_are_named_apart_and_not_given_twice(tmp_path: Path) -> None:
    assert names_of([Path("x/a/f"), Path("x/b/f")]) == ["a/f", "b/f"]
    with pytest.raises(FeaturesError, match="given twice"):
        names_of([Path("x/a"), Path("x/../x/a")])
