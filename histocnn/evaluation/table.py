"""metrics.csv: every figure of a report in a row of its own."""

from __future__ import annotations

import csv
import io

from histocnn.metrics.report import COLUMNS, Report


def to_csv(report: Report) -> str:
    """The table as text; an undefined figure has empty cells."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(report.rows())
    return text.getvalue()
