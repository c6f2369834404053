from __future__ import annotations

import errno
import json

import pytest

from histocnn.errors import StoreError, TrainingError
from histocnn.searching import child
from histocnn.searching.training_trial import DISK_FULL


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A folder with a request, and `judge` in another's hands; nobody ends with a parent."""
    request = {"words": [], "folds": ["a"], "metric": "accuracy", "parent": 0}
    (tmp_path / "request.json").write_text(json.dumps(request))
    monkeypatch.setattr(child, "_end_with", lambda parent: None)

    def ends(with_):
        def judge(*_):
            if isinstance(with_, Exception):
                raise with_
            return with_

        monkeypatch.setattr(child, "judge", judge)
        return child.main(tmp_path)

    return ends


def test_what_was_found_lies_whole_in_the_folder(asked, tmp_path):
    assert asked({"values": [0.5], "epochs": [0]}) == 0
    assert json.loads((tmp_path / "result.json").read_text())["values"] == [0.5]


def test_a_users_mistake_is_one_line_and_a_full_disk_its_own_code(asked, capsys):
    assert asked(TrainingError("the loss became nan", "Lower it.")) == 1
    assert capsys.readouterr().err == "the loss became nan. Lower it.\n"
    full = StoreError("x: the disk is full")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert asked(full) == DISK_FULL
    with pytest.raises(ZeroDivisionError):  # a bug of ours keeps its traceback, for the log
        asked(ZeroDivisionError())
