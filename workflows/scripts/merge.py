"""The usable slides of all shards as slides.csv, and of the others why not as unusable.csv."""
# ruff: noqa: F821 - Snakemake gives `snakemake` to its scripts

import csv
import sys
from pathlib import Path

from histocnn.cohort.sheet import COLUMNS


def rows_of(paths):
    """The rows of all tables."""
    for path in paths:
        with Path(path).open(newline="", encoding="utf-8") as table:
            yield from csv.DictReader(table)


def write(path, columns, rows):
    """Write a table."""
    with Path(path).open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


usable = list(rows_of(snakemake.input.usable))
unusable = list(rows_of(snakemake.input.unusable))
if not usable:
    message = (
        f"none of {len(unusable)} slides is usable, the first because: {unusable[0]['problem']}"
    )
    Path(snakemake.log[0]).write_text(message + "\n")
    sys.exit(message)
write(snakemake.output.slides, [c for c in COLUMNS if any(row.get(c) for row in usable)], usable)
write(snakemake.output.unusable, ["slide_id", "problem"], unusable)
