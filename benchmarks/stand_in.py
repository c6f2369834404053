"""A histocnn for the workflow to call that computes nothing: it sleeps and writes small files.

python benchmarks/stand_in.py STAGE ...   (`install` makes a program `histocnn` that calls it)

STAND_IN_S holds seconds per slide, STAND_IN_START_S seconds per job, by stage, as JSON. What a
slide's file says decides what becomes of it: "bad" is unusable, "fail-STAGE" fails there. With
STAND_IN_LOG each slide that a stage works on is a line of that file.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from pathlib import Path

WORKED = {"train": "model.safetensors", "evaluate": "report.html"}


def install(folder: Path) -> Path:
    """A folder for PATH whose `histocnn` is this file."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "histocnn"
    program.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -IS "{Path(__file__).resolve()}" "$@"\n'
    )
    program.chmod(0o755)
    return folder


def main(stage: str, *words: str) -> int:
    """The stage of this name; words as histocnn takes them."""
    options = {w[2:]: v for w, v in zip(words, [*words[1:], ""], strict=True) if w[:2] == "--"}
    time.sleep(seconds("STAND_IN_START_S", stage))
    if stage == "doctor":
        return doctor(Path(options["slides"]))
    out = Path(options["out"])
    out.mkdir(parents=True, exist_ok=True)
    if stage in WORKED:
        time.sleep(seconds("STAND_IN_S", stage))
        (out / WORKED[stage]).write_text(stage)
        return 0
    source = options.get("patches") or options.get("scores") or options.get("query")
    slides = sheet(Path(options["slides"]))
    if source is not None:
        slides = {file.stem: file for file in sorted(Path(source).glob("*.h5"))}
    suffix = ".png" if stage == "heatmap" else ".h5"
    made = [make(stage, slide, file, out / f"{slide}{suffix}") for slide, file in slides.items()]
    if stage == "heatmap":
        (out / "slides.csv").write_text("slide_id\n" + "".join(f"{slide}\n" for slide in slides))
    return int(not all(made))


def seconds(setting: str, stage: str) -> float:
    """Of a stage, by this variable of the environment."""
    return float(json.loads(os.environ.get(setting, "{}")).get(stage, 0))


def sheet(path: Path) -> dict[str, Path]:
    """The files by slide id."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["slide_id"]: Path(row["slide_path"]) for row in csv.DictReader(file)}


def doctor(path: Path) -> int:
    """Print findings."""
    found = []
    for slide, file in sheet(path).items():
        time.sleep(seconds("STAND_IN_S", "doctor"))
        problems = ["it is bad"] if "bad" in file.read_text() else []
        found.append({"slide_id": slide, "problems": problems, "misfit": ""})
    print(json.dumps(found))
    return int(any(each["problems"] for each in found))


def make(stage: str, slide: str, source: Path, target: Path) -> bool:
    """Make a slide's file unless it is made; False where the slide fails."""
    text = f"{stage} {source.read_text()}"
    if target.exists() and target.read_text() == text:
        return True
    if "STAND_IN_LOG" in os.environ:
        with Path(os.environ["STAND_IN_LOG"]).open("a") as log:
            log.write(f"{stage} {slide}\n")
    time.sleep(seconds("STAND_IN_S", stage))
    failure = target.with_name(f"{slide}.failed.json")
    if f"fail-{stage}" in text:
        failure.write_text(json.dumps({"message": "as was asked"}))
        return False
    failure.unlink(missing_ok=True)
    target.write_text(text)
    return True


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
