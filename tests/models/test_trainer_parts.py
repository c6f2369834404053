"""Lightning's options make Lightning's parts: nothing else that a configuration names is called."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import pytest
from pytorch_lightning import Trainer

from histocnn.errors import UsageError
from histocnn.models.parsing import parse
from histocnn.models.trainer_parts import PARTS, check_parts

pytestmark = pytest.mark.filterwarnings("ignore")  # jsonargparse's of what it would not import

CODE = """
from pathlib import Path
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

def called(*args, **kwargs):
    Path("called").touch()

def make() -> Logger:
    called()

class Other:
    def __init__(self, x: int = 0):
        called()
    def __call__(self):
        pass

class Mine(Callback):
    def __init__(self, inner=None, **more):
        self.inner = inner

class Fussy(Callback):
    def __init__(self, n: int = 0):
        raise KeyError("nothing")
"""
POPEN = "{class_path: subprocess.Popen, init_args: {args: [touch, called]}}"
OTHER = "{class_path: theirs.Other}"
LAMBDA = "pytorch_lightning.callbacks.LambdaCallback"


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "theirs.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("theirs", None)


def parsed(trainer: str):
    Path("c.yaml").write_text(f"data: {{patches: .}}\ntrainer:\n  {trainer}\n")
    return parse(["--config", "c.yaml"])


@pytest.mark.parametrize(
    "trainer",
    [
        "logger: theirs.make",
        "logger: {class_path: theirs.make}",
        f"logger: [{OTHER}]",
        f"callbacks: {{class_path: theirs.Mine, init_args: {{inner: {OTHER}}}}}",
        f"callbacks: [{{class_path: theirs.Mine, init_args: {{inner: [{OTHER}]}}}}]",
        f"callbacks: {{class_path: theirs.Mine, dict_kwargs: {{x: {OTHER}}}}}",
        f"callbacks: {{class_path: theirs.Mine, init_args: {{inner: {POPEN}}}}}",
        f"callbacks: {{class_path: {LAMBDA}, init_args: {{on_fit_start: os.system}}}}",
        f"callbacks: {{class_path: {LAMBDA}, init_args: {{on_fit_start: theirs.called}}}}",
        f"callbacks: {{class_path: {LAMBDA}, init_args: {{on_fit_start: {OTHER}}}}}",
        f"callbacks: {OTHER}",
        f"plugins: {POPEN}",
        f"plugins: [{OTHER}]",
        f"profiler: {OTHER}",
        "profiler: {class_path: pytorch_lightning.profilers.PyTorchProfiler,"
        f" dict_kwargs: {{schedule: {OTHER}}}}}",
        f"strategy: {POPEN}",
        f"{{strategy: {OTHER}, limit_val_batches: 1}}",
        "{limit_val_batches: 1, strategy: {class_path: pytorch_lightning.strategies.DDPStrategy,"
        f" dict_kwargs: {{x: {OTHER}}}}}}}",
        f"accelerator: {OTHER}",
        "logger: \"__import__('os').mkdir('called')\"",
        "logger: !!python/object/apply:os.mkdir [called]",
        f"limit_val_batches: {OTHER}",
    ],
)
def test_nothing_but_parts_is_called(trainer):
    with pytest.raises(UsageError) as error:
        parsed(trainer)
    assert not Path("called").exists()
    assert "\n" not in str(error.value)


def test_texts_that_look_like_code_are_not_run():
    for flag in ("strategy", "accelerator", "profiler", "precision"):
        parse(["--data.patches=.", f"--trainer.{flag}={POPEN}"])
        parse(["--data.patches=.", f"--trainer.{flag}=os.getcwd"])
    assert not Path("called").exists()


def test_people_s_own_parts_are_made_with_parts_inside():
    found = parsed(
        "callbacks: [{class_path: theirs.Mine, init_args: {inner: "
        "{class_path: pytorch_lightning.callbacks.Timer, init_args: {interval: epoch}}}}]"
    )
    (mine,) = found.trainer["callbacks"]
    assert type(mine).__name__ == "Mine"
    assert not Path("called").exists()


def test_what_a_part_raises_is_said():
    with pytest.raises(UsageError, match=r"cannot be made .*'nothing'"):
        parsed("callbacks: {class_path: theirs.Fussy}")


def test_every_kind_of_part_is_known_by_the_trainer_s_name_for_it():
    for key, kinds in PARTS.items():
        assert key in inspect.signature(Trainer).parameters
        for kind in kinds:
            check_parts({key: {"class_path": f"{kind.__module__}.{kind.__qualname__}"}})
