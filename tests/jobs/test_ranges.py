from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from histocnn.cli import main
from histocnn.errors import UsageError
from histocnn.jobs.ranges import (
    NonNegativeFloat,
    NonNegativeInt,
    Percent,
    PositiveFloat,
    PositiveInt,
    Probability,
    check_range,
    check_ranges,
)


@pytest.mark.parametrize(
    ("kind", "inside", "outside"),
    [
        (PositiveInt, [1, np.int64(7), "3"], [0, -1, 2.5, "0"]),
        (NonNegativeInt, [0, 5], [-1, 0.5]),
        (PositiveFloat, [1e-9, 3], [0, -0.1, float("nan")]),
        (NonNegativeFloat, [0, 3.5], [-1e-9]),
        (Probability, [0, 1, 0.5, "1"], [-0.01, 1.01, "1.5", float("nan")]),
        (Percent, [0.1, 100], [0, 100.1]),
    ],
)
def test_a_range_holds_its_ends_as_it_says(kind, inside, outside) -> None:
    for value in inside:
        check_range("k", value, kind)
    for value in outside:
        with pytest.raises(UsageError, match=r"^--k .* is .*\. Give .*\.$"):
            check_range("k", value, kind | None)


def test_what_is_no_number_is_left_to_the_parser() -> None:
    for value in (None, "null", "many", "2.5"):
        check_range("k", value, PositiveInt | None)
    check_range("k", -5, int)


@dataclass(frozen=True)
class Options:
    name: str = "a"
    share: Probability | None = None
    count: PositiveInt = 1

    def __post_init__(self) -> None:
        check_ranges(self)


def test_a_dataclass_refuses_what_its_fields_say() -> None:
    Options("b", 0.5, 3)
    with pytest.raises(UsageError, match="--share 2 is not a probability"):
        Options(share=2)
    with pytest.raises(UsageError, match="--count 0 is not a whole number above 0"):
        Options(count=0)


@pytest.mark.parametrize(
    "words",
    [
        ["knn", "--reference", "r", "--query", "q", "--out", "o", "--k", "0"],
        ["knn", "--reference", "r", "--query", "q", "--out", "o", "--explain", "-1"],
        ["heatmap", "--scores", "s", "--out", "o", "--workers", "0"],
        ["mine", "--scores", "s", "--out", "o", "--most", "0"],
    ],
)
def test_the_command_line_says_it_in_one_line(words, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"histocnn {words[0]}: {words[-2]} {words[-1]} is ")
    assert said.count("\n") == 1


def test_a_range_holds_in_a_config_file_too(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("threshold: 1.5\n")
    words = ["heatmap", "--scores", "s", "--out", "o", "--config", str(tmp_path / "c.yaml")]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--threshold 1.5 is not a probability. Give a number between 0 and 1." in said
