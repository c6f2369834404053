"""Why: the scores of a file, and the neighbours that it names, wherever they are now."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.errors import HistocnnError, PatchesError, StoreError, UsageError
from histocnn.patches.patches import FilePatches
from histocnn.stages.knn import knn
from histocnn.storage import store
from histocnn.viewing.opened import Desk
from histocnn.viewing.reasons import References, folders_near, neighbour, patch, why
from histocnn.viewing.shelf import shelve
from tests.feature_files import write_features
from tests.grid_files import write_grid


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores of s1 by the five nearest of s2, whose patches are labelled."""
    folder = tmp_path_factory.mktemp("why")
    for slide, patient, seed in (("s1", "p1", 0), ("s2", "p2", 1)):
        size = (280, 140 + 28 * seed)
        grid = write_grid(folder, slide, size=size, mpp=0.5, patient_id=patient)
        where = folder / ("features" if slide == "s1" else "reference")
        where.mkdir()
        write_features(where / f"{slide}.h5", like=grid, seed=seed)
    knn(folder / "reference", folder / "features", folder / "scores", k=5)
    return folder


def asked(out: Path, **where: Path) -> tuple[Desk, References]:
    desk = Desk(shelve(out / "scores"))
    return desk, References(folders_near(out / "scores", **where), desk)


def test_a_patch_has_its_scores_and_its_neighbours(out: Path) -> None:
    desk, references = asked(out)
    said = why(desk.opened(0), 0, 30, 5, references)
    assert said["row"] == 1
    assert said["box"] == [28, 0, 56, 28]
    stored = store.read(out / "scores" / "s1.h5")
    assert said["scores"] == {
        name: pytest.approx(float(score))
        for name, score in zip("ab", stored["scores"][1], strict=True)
    }
    assert said["label"] == "a"  # labels go -1, 0, 1
    assert said["novelty"] == pytest.approx(float(stored["novelty"][1]))
    assert said["note"] is None
    assert len(said["neighbours"]) == 5
    for rank, near in enumerate(said["neighbours"]):
        row = int(stored["neighbours"][1, rank, 1])
        assert near["slide"] == "s2"
        assert near["patient"] == "p2"
        assert near["label"] == "ab"[stored["neighbour_labels"][1, rank]]
        assert near["distance"] == pytest.approx(float(stored["distances"][1, rank]))
        assert near["go"] is None  # s2 is not on this shelf
        x, y = store.read(out / "reference" / "s2.h5", "coords")["coords"][row].tolist()
        assert near["box"] == [x, y, x + 28, y + 28]
        pixels = neighbour(desk.opened(0), 0, 1, rank, references)
        assert np.array_equal(pixels, FilePatches(out / "reference" / "s2.h5").patch(row))


def test_the_way_to_a_neighbour_on_the_shelf_is_said(out: Path) -> None:
    desk = Desk(shelve(out))
    references = References(folders_near(out), desk)
    number = desk.number_of("s1")
    assert number is not None
    said = why(desk.opened(number), 0, 30, 5, references)
    assert {near["go"] for near in said["neighbours"]} == {desk.number_of("s2")}


def test_a_reference_that_is_not_here_is_asked_for(out: Path, tmp_path: Path) -> None:
    desk, references = asked(out, named=tmp_path)
    said = why(desk.opened(0), 0, 30, 5, references)
    assert "--reference" in said["note"]
    assert said["neighbours"][0].keys() == {"rank", "label", "colour", "distance"}
    with pytest.raises(PatchesError, match="reference is not here"):
        neighbour(desk.opened(0), 0, 1, 0, references)


def test_another_file_of_that_name_is_not_believed(out: Path, tmp_path: Path) -> None:
    write_features(tmp_path / "s2.h5", n=50)
    desk, references = asked(out, named=tmp_path)
    assert why(desk.opened(0), 0, 30, 5, references)["note"] is not None


def test_a_name_that_leads_elsewhere_is_none(out: Path) -> None:
    desk, references = asked(out)
    digest = store.read(out / "scores" / "s1.h5", "reference_sha256")["reference_sha256"][0]
    assert references.find("s2.h5", digest) is not None
    for name in ("../reference/s2.h5", str(out / "reference" / "s2.h5"), "", ".."):
        assert references.find(name, digest) is None
    assert desk.number_of("s2") is None


def test_between_patches_there_is_nothing_to_say(out: Path) -> None:
    desk, references = asked(out)
    with pytest.raises(UsageError, match="no patch here"):
        why(desk.opened(0), 0, 281, 5, references)
    for ask in (lambda o: patch(o, 0, 50), lambda o: neighbour(o, 0, 50, 0, references),
                lambda o: neighbour(o, 0, 0, 5, references)):  # fmt: skip
        with pytest.raises(HistocnnError):
            ask(desk.opened(0))
    assert patch(desk.opened(0), 0, 49).shape == (28, 28, 3)


def test_neighbours_that_do_not_fit_are_refused(out: Path, tmp_path: Path) -> None:
    data, attributes = (f(out / "scores" / "s1.h5") for f in (store.read, store.attributes))
    data["distances"] = data["distances"][:, :3]
    (tmp_path / "scores").mkdir()
    store.write(tmp_path / "scores" / "s1.h5", data, attributes)
    desk, references = asked(tmp_path)
    with pytest.raises(StoreError, match="do not fit"):
        why(desk.opened(0), 0, 30, 5, references)
