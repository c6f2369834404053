from __future__ import annotations

from functools import partial

import pytest

from histocnn.cli import main
from histocnn.errors import UsageError
from histocnn.evaluation.options import LesionOptions, Resampling


def test_no_replicates_are_no_intervals() -> None:
    assert Resampling(1).replicates == 1
    with pytest.raises(UsageError, match="--replicates 0"):
        Resampling(0)


@pytest.mark.parametrize(
    ("flag", "value"),
    [("radius_um", "-1"), ("min_prob", "5"), ("stage_threshold", "2"), ("stage_merge_um", "-3"),
     ("seed", "-1")],
)  # fmt: skip
def test_numbers_out_of_range_are_wrong_usage(flag, value, capsys):
    assert main(["evaluate", "--scores", "s", "--out", "o", f"--{flag}", value]) == 2
    assert f"--{flag} {value} is" in capsys.readouterr().err


def test_python_hears_of_them_too():
    for made in (partial(LesionOptions, min_prob=5), partial(Resampling, seed=-1)):
        with pytest.raises(UsageError):
            made()
