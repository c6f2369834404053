"""One list of all that the shards' jobs made; fails where a slide has failed.

The listings that name a failed slide are removed, so that the next run tries it again, alone: its
shard's other slides are done.
"""
# ruff: noqa: F821 - Snakemake gives `snakemake` to its scripts

import csv
import sys
from pathlib import Path

made, problems = [], []
for path in map(Path, snakemake.input):
    with path.open(newline="", encoding="utf-8") as listing:
        rows = list(csv.DictReader(listing))
    made += rows
    failed = [row for row in rows if row["problem"]]
    problems += [f"{row['slide_id']}: {row['problem']}" for row in failed]
    for other in path.parent.glob("*.csv") if failed else ():
        with other.open(newline="", encoding="utf-8") as listing:
            rows = list(csv.DictReader(listing))
        if other.name != "unusable.csv" and any(row.get("problem") for row in rows):
            other.unlink()
if problems:
    said = [f"failed slides: {len(problems)}; the same command again tries only them:", *problems]
    Path(snakemake.log[0]).write_text("\n".join(said) + "\n", encoding="utf-8")
    sys.exit(said[0])
with Path(snakemake.output[0]).open("w", newline="", encoding="utf-8") as table:
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["slide_id", "file", "bytes", "changed_ns"])
    writer.writerows(list(row.values())[:4] for row in made)
