from __future__ import annotations

from pathlib import Path

import pytest

from histocnn.errors import TrainingError
from histocnn.models.parsing import parse
from histocnn.models.validating import validate
from tests.models.patch_files import PATTERN, write_folder

# Lightning 2.6 under torch 2.15 uses what torch deprecates; its advice is for others.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{category}:{module}")
    for category in ("DeprecationWarning", "FutureWarning", "UserWarning")
    for module in ("pytorch_lightning.*", "lightning_fabric.*", "torch.*", "jsonargparse.*")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("validating")
    write_folder(place / "disc", patients=6, per_patient=2)
    parts = ["train"] * 3 + ["val"] * 2  # and p05 is of test
    lines = [f"p{i:02d},{part}" for i, part in enumerate(parts)]
    (place / "fold.csv").write_text("\n".join(["group,split", *lines]) + "\n")
    return place


def options_of(folder: Path, *more: str):
    return parse(
        [f"--data.patches={folder / 'disc'}", f"--data.patient_pattern={PATTERN}",
         "--data.augment=none", "--data.workers=0", "--data.batch_size=4",
         "--model.backbone=lenet5", "--model.weights=null", "--trainer.accelerator=cpu",
         "--trainer.precision=32-true", "--trainer.max_epochs=2", *more]
    )  # fmt: skip


def test_nobody_opens_a_test_patients_picture(folder, monkeypatch, tmp_path):
    own = {name: getattr(Path, name) for name in ("open", "read_bytes")}
    opened = set()

    def watching(name):
        def look(self, *args, **kwargs):
            assert not self.name.startswith("p05"), "a test patient's picture was opened"
            opened.add(self.name[:3])
            return own[name](self, *args, **kwargs)

        return look

    for name in own:
        monkeypatch.setattr(Path, name, watching(name))
    heard = []
    monkeypatch.chdir(tmp_path)
    found = validate(
        options_of(folder), folder / "fold.csv", "macro_auroc",
        lambda epoch, value: heard.append((epoch, value)),
    )  # fmt: skip
    assert {"p00", "p01", "p02", "p03", "p04"} <= opened
    assert [epoch for epoch, _ in heard] == [0, 1]
    assert found.epochs == 2
    assert found.value == heard[found.epoch][1]
    assert 0 <= found.value <= 1
    assert list(tmp_path.iterdir()) == []  # no checkpoint, no log


def test_a_training_that_diverges_and_a_class_that_is_not_there_are_said(folder):
    fold = folder / "fold.csv"
    with pytest.raises(TrainingError, match="became"):
        validate(options_of(folder, "--model.learning_rate=1e30"), fold, "accuracy", print)
    with pytest.raises(TrainingError, match=r"auroc:x is no figure of the classes a, b"):
        validate(options_of(folder), fold, "auroc:x", print)
