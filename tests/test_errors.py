"""Errors of users: one line, a file, a remedy, an exit code; and all of one tree."""

from __future__ import annotations

import inspect
import pickle

import pytest

from histocnn import errors
from histocnn.errors import HistocnnError, ReadError, SlideError, UsageError

TREE = [each for _, each in inspect.getmembers(errors, inspect.isclass)]


def test_message_and_remedy_are_one_line() -> None:
    assert str(HistocnnError("a.svs: is cut short", "Copy it again.")) == (
        "a.svs: is cut short. Copy it again."
    )
    assert str(HistocnnError("a.svs: is cut short.", "Copy it.")) == "a.svs: is cut short. Copy it."
    assert str(HistocnnError("a.svs: is cut short")) == "a.svs: is cut short"


@pytest.mark.parametrize("kind", TREE)
def test_every_error_is_the_users_to_catch_and_passes_between_processes(
    kind: type[HistocnnError],
) -> None:
    error = kind("found this", "Do that.")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert isinstance(error, HistocnnError)
    assert type(again) is kind
    assert (again.message, again.remedy) == ("found this", "Do that.")
    assert kind.__doc__


def test_wrong_usage_exits_with_2_and_failed_work_with_1() -> None:
    assert {kind.__name__ for kind in TREE if kind.exit_code == 2} == {UsageError.__name__}
    assert {kind.exit_code for kind in TREE} == {1, 2}
    assert issubclass(ReadError, SlideError)
