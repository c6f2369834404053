"""Whose folder it is: finished, another's, unfinished; and the curves of its logs."""

from __future__ import annotations

import pytest

from histocnn.errors import TrainingError
from histocnn.models import run_folder
from histocnn.models.parsing import parse
from histocnn.models.run_folder import begin, curves, is_finished
from tests.models.patch_files import write_folder
from tests.storage.test_yaml import LAUGHS


@pytest.fixture
def images(tmp_path):
    return write_folder(tmp_path / "images", patients=2, per_patient=1)


def options(images, out, *more):
    return parse([f"--data.patches={images}", f"--out={out}", *more])


def finish(out):
    for name in (run_folder.METRICS, run_folder.MODEL):
        (out / name).write_text("{}")


def test_a_finished_run_of_the_same_configuration_and_patches_is_done(images, tmp_path, caplog):
    now = options(images, tmp_path / "out")
    assert not is_finished(now)
    begin(now)
    assert not is_finished(now)
    finish(tmp_path / "out")
    assert is_finished(now)
    assert is_finished(options(images, tmp_path / "out", "--data.workers", "0"))
    assert not is_finished(options(images, tmp_path / "out", "--overwrite"))
    assert not is_finished(options(images, tmp_path / "out", "--ckpt_path", "last"))


def test_another_configuration_or_other_patches_are_refused(images, tmp_path):
    out = tmp_path / "out"
    begin(options(images, out))
    finish(out)
    other = ("--model.dropout", "0.5", "--trainer.max_epochs", "3")
    with pytest.raises(
        TrainingError, match=r"\(model\.dropout, trainer\.max_epochs\).*--overwrite.*--ckpt_path"
    ):
        is_finished(options(images, out, *other))
    assert not is_finished(options(images, out, *other, "--overwrite"))
    next((images / "a").iterdir()).unlink()
    with pytest.raises(TrainingError, match=r"what lies at data\.patches"):
        is_finished(options(images, out))


def test_an_option_of_lightning_s_own_counts_too(images, tmp_path):
    begin(options(images, tmp_path / "out"))
    assert not is_finished(options(images, tmp_path / "out", "--trainer.max_steps", "-1"))
    with pytest.raises(TrainingError, match=r"trainer\.max_steps"):
        is_finished(options(images, tmp_path / "out", "--trainer.max_steps", "7"))


def test_a_config_of_version_0_1_0_left_out_what_was_none(images, tmp_path):
    now = options(images, tmp_path / "out", "--model.weights", "null")
    old = [line for line in now.text.splitlines() if not line.endswith(": null")]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.yaml").write_text("\n".join(["# pytorch_lightning==2.6.6", *old]))
    assert not is_finished(now)
    with pytest.raises(TrainingError, match=r"\(model\.weights\)"):
        is_finished(options(images, tmp_path / "out"))


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"- 1\n", b"", b"a: [", b"a: !!python/name:os.system\n",
                b"1: {2: 3}\n", LAUGHS.encode(), b"data: 3\n", b"trainer: [1]\n"]
)  # fmt: skip
def test_a_damaged_config_in_the_folder_is_said(images, tmp_path, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.yaml").write_bytes(content)
    with pytest.raises(TrainingError, match="--overwrite") as error:
        is_finished(options(images, tmp_path / "out"))
    assert "\n" not in str(error.value)
    assert not is_finished(options(images, tmp_path / "out", "--overwrite"))


def test_a_fresh_run_takes_the_old_curves_away_and_a_resumed_one_keeps_them(images, tmp_path):
    out = tmp_path / "out"
    begin(options(images, out))
    log = out / "logs" / "version_0" / "metrics.csv"
    log.parent.mkdir(parents=True)
    log.write_text("epoch,train_loss,val_auroc\n0,0.5,\n1,0.25,\n")
    assert curves(out / "logs") == {"train_loss": [(0, 0.5), (1, 0.25)]}  # blank is no 0
    (out / "checkpoints").mkdir()
    (out / "checkpoints" / "last.ckpt").touch()
    begin(options(images, out, "--ckpt_path", "last"))
    assert log.exists()
    begin(options(images, out, "--overwrite"))
    assert not log.exists()
