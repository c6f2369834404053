"""Split the sheet by the doctor's findings: slides.csv goes on, unusable.csv says why not."""
# ruff: noqa: F821 - Snakemake gives `snakemake` to its scripts

import csv
import json
import sys
from pathlib import Path

from histocnn.cohort.sheet import COLUMNS


def rows_of(paths):
    """The only row of each sheet."""
    for path in paths:
        with Path(path).open(newline="") as sheet:
            yield next(csv.DictReader(sheet))


def write(path, columns, rows):
    """Write a table."""
    with Path(path).open("w", newline="") as table:
        writer = csv.DictWriter(table, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


findings = [f for path in snakemake.input.findings for f in json.loads(Path(path).read_text())]
# A misfit is a sound slide that cannot be cut at this config's patch_px and mpp.
problems = {
    f["slide_id"]: "; ".join(f["problems"]) or f["misfit"]
    for f in findings
    if f["problems"] or f["misfit"]
}
rows = list(rows_of(snakemake.input.rows))
usable = [row for row in rows if row["slide_id"] not in problems]
if not usable:
    message = (
        f"none of {len(rows)} slides is usable, the first because: {next(iter(problems.values()))}"
    )
    Path(snakemake.log[0]).write_text(message + "\n")
    sys.exit(message)
write(snakemake.output.slides, [c for c in COLUMNS if any(c in row for row in usable)], usable)
write(
    snakemake.output.unusable,
    ["slide_id", "problem"],
    [{"slide_id": slide, "problem": problem} for slide, problem in problems.items()],
)
