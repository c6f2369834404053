"""Split a shard's sheet by the doctor's findings.

python usable.py SHEET FINDINGS USABLE UNUSABLE
"""

import csv
import json
import sys
from pathlib import Path


def main(sheet, findings, usable, unusable):
    """The usable rows as they were; of the others why not."""
    found = json.loads(Path(findings).read_text(encoding="utf-8"))
    # A misfit is a sound slide that cannot be cut at this config's patch_px and mpp.
    problems = {
        f["slide_id"]: "; ".join(f["problems"]) or f["misfit"]
        for f in found
        if f["problems"] or f["misfit"]
    }
    with Path(sheet).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if row["slide_id"] not in problems]
    write(usable, reader.fieldnames, rows)
    said = [{"slide_id": slide, "problem": problem} for slide, problem in problems.items()]
    write(unusable, ["slide_id", "problem"], said)


def write(path, columns, rows):
    """Write a table."""
    with Path(path).open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
