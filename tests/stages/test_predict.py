"""histocnn predict: probabilities of the model's classes, and who was seen in training."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from histocnn.errors import ModelError, UsageError
from histocnn.models import predicting
from histocnn.models.device import Engine
from histocnn.models.preparation import to_input
from histocnn.models.spec import load
from histocnn.patches.patches import Patches, open_patches
from histocnn.scores.scorefile import open_score_file
from histocnn.slides.slide import Slide
from histocnn.stages.predict import predict
from histocnn.storage import store
from tests.forked import exit_code, running
from tests.grid_files import write_grid
from tests.models.patch_files import write_folder
from tests.models.small_networks import write_model


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predict")
    write_grid(folder, "s1", patient_id="p1")
    write_grid(folder, "s2", size=(500, 300), patient_id="p2")
    write_folder(folder / "images", patients=2)
    write_model(
        folder / "model.safetensors",
        mpp=1.0,
        temperature=2.0,
        seen={
            "train": {"patients": ["p1"], "slides": ["s1"]},
            "val": {"patients": ["p9"], "slides": ["s9"]},
        },
    )
    return folder


def test_scores_are_tempered_probabilities(place: Path, tmp_path: Path) -> None:
    model = place / "model.safetensors"
    assert predict(place / "grids", model, tmp_path, precision="fp32", batch_size=7).exit_code == 0
    stored = store.read(tmp_path / "s1.h5")
    attributes = store.attributes(tmp_path / "s1.h5")
    assert attributes["scores.class_names"] == ["a", "b"]
    network, spec = load(model)
    [patches] = open_patches(place / "grids" / "s1.h5")
    pixels = np.stack([patches.patch(row) for row in range(4)])
    with torch.inference_mode():
        logits = network(to_input(torch.from_numpy(pixels), spec))
    expected = torch.softmax(logits / 2.0, dim=1).numpy()
    np.testing.assert_allclose(stored["scores"][:4], expected, atol=1e-5)
    np.testing.assert_allclose(stored["scores"].sum(1), 1, atol=1e-5)


def test_a_model_that_was_replaced_is_read_anew(place: Path, tmp_path: Path) -> None:
    found = []
    for temperature in (1.0, 8.0):
        model = write_model(tmp_path / "model.safetensors", mpp=1.0, temperature=temperature)
        assert predict(place / "grids", model, tmp_path / "out", precision="fp32").exit_code == 0
        scores = store.read(tmp_path / "out" / "s1.h5", "scores")["scores"]
        found.append(np.log(scores[:, 0] / scores[:, 1]))
    np.testing.assert_allclose(found[1], found[0] / 8, atol=1e-4)
    assert np.abs(found[0]).max() > 0.01


def test_says_who_was_seen_in_training(place: Path, tmp_path: Path) -> None:
    model = place / "model.safetensors"
    predict(place / "grids", model, tmp_path)
    assert store.attributes(tmp_path / "s1.h5")["seen"] == "train"
    assert store.attributes(tmp_path / "s2.h5")["seen"] == "no"
    predict(place / "images", model, tmp_path, patient_pattern=r"(p\d)\d?_")
    assert set(store.read(tmp_path / "images.h5", "seen")["seen"]) == {"no"}
    predict(place / "images", model, tmp_path / "unnamed")
    assert set(store.read(tmp_path / "unnamed" / "images.h5", "seen")["seen"]) == {"unknown"}


def test_test_time_augmentation_averages_logits(place: Path, tmp_path: Path) -> None:
    model = place / "model.safetensors"
    for tta in (False, True):
        how = {"tta": tta, "precision": "fp32"}
        assert predict(place / "images", model, tmp_path / str(tta), **how).exit_code == 0  # type: ignore[arg-type]
    plain, averaged = (
        store.read(tmp_path / name / "images.h5", "scores")["scores"] for name in ("False", "True")
    )
    assert 0 < np.abs(plain - averaged).max() < 0.5


def test_another_scale_is_refused_with_both(place: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.safetensors", mpp=0.5)
    assert predict(place / "grids", model, tmp_path / "out").exit_code == 1
    failure = json.loads((tmp_path / "out" / "s1.failed.json").read_text())
    assert "28 px at 1.0 µm/px, and the model was trained on 28 px at 0.5 µm/px" in str(failure)


def test_a_changed_slide_fails_alone(tmp_path: Path) -> None:
    for slide_id in ("s1", "s2"):
        write_grid(tmp_path, slide_id)
    (tmp_path / "slides" / "s1.tiff").unlink()
    model = write_model(tmp_path / "m.safetensors")
    assert predict(tmp_path / "grids", model, tmp_path / "out").exit_code == 1
    assert (tmp_path / "out" / "s2.h5").exists()
    assert "--slides" in (tmp_path / "out" / "s1.failed.json").read_text()
    write_grid(tmp_path / "new", "s1", size=(640, 480))
    how = {"slides": tmp_path / "new" / "slides"}
    assert predict(tmp_path / "grids", model, tmp_path / "out", **how).exit_code == 1
    assert "fingerprint differs" in (tmp_path / "out" / "s1.failed.json").read_text()


def test_undecodable_tiles_cost_their_patches_not_the_slide(place: Path, tmp_path: Path) -> None:
    grid = write_grid(tmp_path, damaged=True)
    done = predict(tmp_path / "grids", place / "model.safetensors", tmp_path / "scores")
    assert done.exit_code == 0
    lost = np.isnan(store.read(tmp_path / "scores" / "s1.h5")["scores"]).all(1)
    x, y = store.read(grid, "coords")["coords"].T
    np.testing.assert_array_equal(lost, (x < 512) & (y < 512))
    facts = json.loads((tmp_path / "scores" / "run.json").read_text())["slides"]["s1"]
    assert facts["notes"] == [f"{lost.sum()} of {len(lost)} patches unreadable, NaN"]


def test_killed_doubled_and_done_again_is_as_if_undisturbed(place: Path, tmp_path: Path) -> None:
    out, model = tmp_path / "scores", str(place / "model.safetensors")
    command = ["predict", "--patches", place / "grids", "--model", model, "--batch_size", 1]
    command += ["--out", out]
    first = running(*command)
    while not list(out.glob("*.h5")):
        assert first.exitcode in (None, 0)
        time.sleep(0.001)
    first.kill()
    first.join()
    both = [running(*command) for _ in range(2)]
    assert [exit_code(process) for process in both] == [0, 0]
    assert not list(out.glob("**/*.tmp"))
    predict(place / "grids", Path(model), tmp_path / "calm", batch_size=1)
    for name in ("s1.h5", "s2.h5"):
        scores = store.read(out / name, "scores")["scores"]
        np.testing.assert_array_equal(scores, store.read(tmp_path / "calm" / name)["scores"])


def test_files_that_are_no_model_are_refused(place: Path, tmp_path: Path) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(ModelError, match="without what histocnn writes"):
        predict(place / "images", tmp_path / "weights.safetensors", tmp_path)
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(ModelError, match=r"not a whole \.safetensors"):
        predict(place / "images", tmp_path / "model.pkl", tmp_path)
    headless = write_model(tmp_path / "features.safetensors", class_names=())
    with pytest.raises(ModelError, match="has no classes to score"):
        predict(place / "images", headless, tmp_path)


def limits(least: float, patients: int = 25) -> dict[str, object]:
    """A model's limits: the same at every confidence that so many patients can promise."""
    count = sum(level / 1000 <= patients / (patients + 1) for level in range(500, 1000))
    own = {"patients": patients, "patches": 9 * patients, "least": [least] * count}
    return {"unit": "patients", "classes": {"a": own, "b": own}}


def test_prediction_sets_mark_where_the_model_is_not_sure(place: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "own"
    write_grid(damaged, "s3", size=(1300, 600), damaged=True, patient_id="p3")
    predict(damaged / "grids", write_model(tmp_path / "plain.safetensors"), tmp_path / "plain")
    scores = store.read(tmp_path / "plain" / "s3.h5", "scores")["scores"]
    least = float(np.nanmedian(scores[:, 0]))
    model = write_model(tmp_path / "m.safetensors", conformal=limits(least))
    result = predict(damaged / "grids", model, tmp_path / "sets", confidence=0.9)
    assert result.exit_code == 0
    file = open_score_file(tmp_path / "sets" / "s3.h5")
    scored = file.scores()
    np.testing.assert_array_equal(scored, scores)
    with np.errstate(invalid="ignore"):
        assert (file.sets() == (scored >= np.float32(least))).all()  # nothing where not scored
    unread = np.isnan(scored).any(axis=1)
    assert unread.any()
    assert not file.uncertain()[unread].any()
    assert 0 < file.uncertain().sum() < (~unread).sum()
    assert file.attributes["conformal"] == {
        "confidence": 0.9, "unit": "patients", "patients": {"a": 25, "b": 25},
    }  # fmt: skip
    assert file.attributes["recipe"]["confidence"] == 0.9
    assert "confidence" not in store.attributes(tmp_path / "plain" / "s3.h5")["recipe"]
    said = json.loads((tmp_path / "sets" / "run.json").read_text())["slides"]["s3"]["notes"]
    assert f"{file.uncertain().sum()} of {len(file)} patches uncertain at confidence 0.9" in said


def test_a_confidence_beyond_the_patients_puts_every_class_into_every_set(
    place: Path, tmp_path: Path
) -> None:
    model = write_model(tmp_path / "m.safetensors", mpp=1.0, conformal=limits(0.9))
    predict(place / "grids" / "s1.h5", model, tmp_path / "out", confidence=0.99)
    assert open_score_file(tmp_path / "out" / "s1.h5").sets().all()
    said = json.loads((tmp_path / "out" / "run.json").read_text())["slides"]["s1"]["notes"]
    assert (
        "every set holds a: a confidence of 0.99 takes 99 calibration patients, it has 25" in said
    )


def test_what_cannot_be_promised_is_refused(place: Path, tmp_path: Path) -> None:
    source, out = place / "grids", tmp_path / "out"
    sure = write_model(tmp_path / "sure.safetensors", mpp=1.0, conformal=limits(0.5))
    few = write_model(tmp_path / "few.safetensors", mpp=1.0, conformal=limits(0.5, patients=19))
    with pytest.raises(ModelError, match=r"model.* kept no patients.*--data\.calibration"):
        predict(source, place / "model.safetensors", out, confidence=0.9)
    with pytest.raises(ModelError, match=r"too few calibration patients .*: a 19, b 19"):
        predict(source, few, out, confidence=0.9)
    with pytest.raises(ModelError, match=r"a confidence of 0\.4 is not"):
        predict(source, sure, out, confidence=0.4)
    with pytest.raises(UsageError, match=r"--confidence 1\.5 is not a probability"):
        predict(source, sure, out, confidence=1.5)
    for other in ("tta", "dense"):
        with pytest.raises(UsageError, match=f"--confidence with --{other}"):
            predict(source, sure, out, confidence=0.9, **{other: True})  # type: ignore[arg-type]
    assert not out.exists()


@contextmanager
def noting(patch: pytest.MonkeyPatch, note: Callable[[str, Path], None]) -> Iterator[None]:
    """Tell `note` which slide is opened and, before it is, which file is put in its place."""
    opened, ended = Slide.__init__, store.Writer.__exit__

    def opening(self: Slide, path: Path, **more: Any) -> None:
        note("opened", Path(path))
        opened(self, path, **more)

    def ending(self: store.Writer, *error: Any) -> Any:
        note("ends", self.path)
        return ended(self, *error)

    with patch.context() as changed:
        changed.setattr(Slide, "__init__", opening)
        changed.setattr(store.Writer, "__exit__", ending)
        yield


def test_the_next_slide_is_read_while_this_one_ends(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_is_open = threading.Event()
    found = []

    def note(what: str, path: Path) -> None:
        if what == "opened" and path.stem == "s2":
            next_is_open.set()
        if what == "ends" and path.stem == "s1":
            found.append(next_is_open.wait(60))

    with noting(monkeypatch, note):
        assert predict(place / "grids", place / "model.safetensors", tmp_path).exit_code == 0
    assert found == [True]


def test_a_slide_that_is_done_is_not_read_ahead(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, opened = place / "model.safetensors", set()
    assert predict(place / "grids", model, tmp_path).exit_code == 0
    (tmp_path / "s1.h5").unlink()
    with noting(monkeypatch, lambda what, path: opened.add(path.stem)):
        assert predict(place / "grids", model, tmp_path).exit_code == 0
    assert opened == {"s1"}


def held() -> tuple[int, int]:
    """Open descriptors and threads."""
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def test_what_fails_ahead_fails_as_itself_and_nothing_stays_open(
    place: Path, tmp_path: Path
) -> None:
    for number in range(6):
        write_grid(tmp_path, f"s{number}")
    for gone in (1, 3, 4):
        (tmp_path / "slides" / f"s{gone}.tiff").unlink()
    (tmp_path / "grids" / "s5.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    model = place / "model.safetensors"
    before = held()
    result = predict(tmp_path / "grids", model, tmp_path / "out", batch_size=9)
    assert held() == before
    assert {path.stem for path in result.outputs} == {"s0", "s2"}
    assert set(result.failures) == {"s1", "s3", "s4", "s5"}
    for gone in (1, 3, 4):
        assert f"s{gone}.tiff is not there" in result.failures[f"s{gone}"]


def test_auto_counts_only_what_is_to_do(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[list[str]] = []

    def settle(engine: Engine, network: object, spec: object, items: list[Patches]) -> Engine:
        counted.append([item.name for item in items])
        return replace(engine, name="torch")

    monkeypatch.setattr(predicting, "settle", settle)
    model = place / "model.safetensors"
    for _ in range(2):
        assert predict(place / "grids", model, tmp_path, engine="auto").exit_code == 0
        (tmp_path / "s2.h5").unlink()
    assert counted == [["s1", "s2"], ["s2"]]
