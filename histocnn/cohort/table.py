"""Tables as people save them: columns apart by commas, or by semicolons or tabs as Excel has it."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Sequence
from pathlib import Path

from histocnn.errors import CohortError, StoreError
from histocnn.storage.ordinary import check_ordinary

_QUOTE = {
    ",": "Put a text with a comma in double quotes, and write decimals with a point.",
    ";": "Put a text with a semicolon in double quotes.",
    "\t": "Put a text with a tab in double quotes.",
}


def separator_of(path: Path) -> str:
    """What separates the columns named in a table's first line: comma, semicolon or tab.

    Excel writes semicolons where the comma is the decimal sign (German, French and others).

    Raises:
        CohortError: The file cannot be read, or is not UTF-8.
    """
    header, _, _ = _text(path).partition("\n")
    return max(",;\t", key=header.count)


def read_table(
    path: Path, needed: Sequence[str], optional: Sequence[str] = ()
) -> list[tuple[int, dict[str, str]]]:
    """Read a UTF-8 table: for each row its line number and its values, stripped.

    Columns are separated by commas, semicolons or tabs, as the first line has it.

    Args:
        path: The file.
        needed: Columns that must be there.
        optional: Columns that may be; others are ignored unless they nearly match one.

    Raises:
        CohortError: Not UTF-8, no rows, a column missing, doubled or nearly right, a row longer or
            shorter than the header.
    """
    separator = separator_of(path)
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True, delimiter=separator)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(path, header, needed, [*needed, *optional])
        rows = []
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if len(values) != len(header):
                raise CohortError(
                    f"{path}: line {reader.line_num} has {len(values)} values for {len(header)} "
                    "columns",
                    _QUOTE[separator],
                )
            stripped = (value.strip() for value in values)
            rows.append((reader.line_num, dict(zip(header, stripped, strict=True))))
    except csv.Error as error:
        raise CohortError(
            f"{path}: line {reader.line_num} is not CSV ({error})", "Save it as CSV again."
        ) from error
    if not rows:
        raise CohortError(f"{path}: has no rows", f"One row each; columns: {', '.join(header)}.")
    return rows


def _text(path: Path) -> str:
    try:
        check_ordinary(path)
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise CohortError(f"{path}: line {line} is not UTF-8", 'Save it as "CSV UTF-8".') from error
    except OSError as error:
        raise CohortError(
            f"{path}: cannot be read ({error.strerror})", "Give a file that you may read."
        ) from error
    except StoreError as error:
        raise CohortError(error.message, error.remedy) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise CohortError(f"{path}: line {line} holds a NUL, as no text does", "Save it again.")
    return text


def _check_header(
    path: Path, header: Sequence[str], needed: Sequence[str], columns: Sequence[str]
) -> None:
    if not any(header):
        raise CohortError(f"{path}: is empty", f"Its first line names: {', '.join(needed)}.")
    doubled = [name for name in columns if header.count(name) > 1]
    if doubled:
        raise CohortError(f"{path}: has the column {doubled[0]} twice", "Remove one.")
    absent = [name for name in columns if name not in header]
    for name in header:
        plain = re.sub(r"[\s-]+", "_", name.lower())
        near = difflib.get_close_matches(plain, absent, n=1, cutoff=0.75)
        if name not in columns and near:
            raise CohortError(
                f'{path}: the column "{name}" is unknown', f'Did you mean "{near[0]}"?'
            )
    missing = [name for name in needed if name not in header]
    if missing:
        raise CohortError(
            f"{path}: has no column {' and no column '.join(missing)}, only {', '.join(header)}",
            f"Name the columns {', '.join(needed)} in its first line.",
        )
