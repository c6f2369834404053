"""Tables with the separators that people's programs write."""

from __future__ import annotations

from pathlib import Path

import pytest

from histocnn.cohort.table import read_table, separator_of
from histocnn.errors import CohortError


def write(folder: Path, text: str) -> Path:
    path = folder / "t.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_first_line_says_what_separates(tmp_path: Path, separator: str) -> None:
    path = write(tmp_path, f"group{separator}split\n a {separator}train\n\nb{separator}\n")
    assert separator_of(path) == separator
    assert read_table(path, ["group"], ["split"]) == [
        (2, {"group": "a", "split": "train"}),
        (4, {"group": "b", "split": ""}),
    ]


@pytest.mark.parametrize(
    ("separator", "remedy"),
    [(",", "write decimals with a point"), (";", "a semicolon in double"), ("\t", "a tab in")],
)
def test_a_row_of_another_length_says_how_to_quote(
    tmp_path: Path, separator: str, remedy: str
) -> None:
    path = write(tmp_path, "a,b\n1,2,3\n".replace(",", separator))
    with pytest.raises(CohortError, match=f"line 2 has 3 values for 2 columns.*{remedy}"):
        read_table(path, ["a"])


def test_one_column_needs_no_separator(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, "a\n1\n"), ["a"]) == [(2, {"a": "1"})]


def test_a_nul_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "slide_id,slide_path\na,a.svs\nb\0,b.svs\n")
    with pytest.raises(CohortError, match=r"t\.csv: line 3 holds a NUL"):
        read_table(path, ["slide_id"])
