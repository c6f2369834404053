"""Run a stage over a shard's slides, and list what came of each of them.

python shard.py FROM TO OUT SUFFIX histocnn STAGE ...

FROM names the slides: a sheet, or an earlier stage's listing, whose files are then linked into the
folder of its name. The stage writes OUT/<slide_id>SUFFIX. A slide that fails is tried once more,
alone; if it fails again it is listed as a problem, and the others go on without it. A listing holds
each file's size and time of change: what does not differ is not done again.
"""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

COLUMNS = ("slide_id", "file", "bytes", "changed_ns", "problem")
LATE_S = 60  # until a file that another node has written is seen


def main(source, target, out, suffix, *command):
    """Link, run, list."""
    with Path(source).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    todo = [row for row in rows if not row.get("problem")]
    if any("file" in row for row in rows):
        link(todo, Path(source).with_suffix(""))
    code = subprocess.call(command) if todo else 0  # noqa: S603 the workflow's own words
    if code == 1:
        print("Once more, what is left:", flush=True)
        code = subprocess.call(command)  # noqa: S603
    slides = [row["slide_id"] for row in todo]
    made = [listed(slide, Path(out), suffix, command[1]) for slide in slides]
    unknown = [slide for slide, row in zip(slides, made, strict=True) if row is None]
    if code not in (0, 1) or unknown:  # the stage itself has failed, not single slides
        sys.exit(code or f"no file of {unknown[0]} and no reason why")
    failed_before = [row for row in rows if row.get("problem")]
    with Path(target).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*made, *failed_before])


def link(rows, folder):
    """Make a folder of links to the files of these rows, and of no others."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    end = time.monotonic() + LATE_S
    for row in rows:
        file = Path(row["file"])
        while not file.exists() and time.monotonic() < end:
            time.sleep(1)
        (folder / file.name).symlink_to(file.absolute())


def listed(slide, out, suffix, stage):
    """A slide's row of the listing; None where nothing says what came of it."""
    failure = out / f"{slide}.failed.json"
    if failure.exists():
        problem = f"{stage}: {json.loads(failure.read_text(encoding='utf-8'))['message']}"
        return {"slide_id": slide, "problem": problem}
    file = out / f"{slide}{suffix}"
    if not file.exists():
        return None
    stat = file.stat()
    return {
        "slide_id": slide,
        "file": str(file),
        "bytes": stat.st_size,
        "changed_ns": stat.st_mtime_ns,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
