"""Inputs that vanish, are cut short or damaged: said in a line, and the other slides are done."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos import trees
from tests.chaos.conftest import Tally
from tests.chaos.stages import IDS, STAGES, House

READS_SLIDES = ("tile", "predict", "predict --dense", "embed", "heatmap")
TRIES, FLIPS = 10, 10
LAST = IDS[-1]


@contextmanager
def restored(folder: Path) -> Iterator[None]:
    """Put a folder's files back as they were, times included."""
    kept = folder.with_name(f"{folder.name} as it was")
    shutil.copytree(folder, kept)
    try:
        yield
    finally:
        shutil.rmtree(folder)
        kept.rename(folder)


@pytest.mark.parametrize("how", ["vanished", "truncated"])
@pytest.mark.parametrize("name", READS_SLIDES)
def test_a_slide_that_goes_meanwhile_fails_alone(
    house: House, tallies: list[Tally], name: str, how: str
) -> None:
    stage, moment, tally = house.stage(name), random.Random(name), Tally(f"slide {how}", name)  # noqa: S311
    tallies.append(tally)
    slide = house.place / "cohort" / "slides" / f"{LAST}.tif"
    for _ in range(TRIES):
        house.clear(stage)
        with restored(house.place / "cohort"):
            command = house.start(stage, slow=stage.slow)
            command.wait_until_begun()
            time.sleep(moment.uniform(0, house.seconds[name]))
            if how == "vanished":
                slide.unlink()
            else:
                os.truncate(slide, slide.stat().st_size // 2)
            ended = command.end()
            losses = []
            failed = (LAST,) if ended.exit_code == 1 else ()
            if ended.exit_code not in (0, 1) or "Traceback" in ended.said:
                losses.append(f"exit code {ended.exit_code}: {ended.said[-1500:]}")
            out = house.out(stage)
            if '"traceback": "' in "".join(p.read_text() for p in out.glob("*.failed.json")):
                losses.append("a traceback in failed.json")
            losses += trees.sums_disagree(out, IDS, failed)
            others = [n for n in house.undisturbed[name] if LAST not in n and n != "slides.csv"]
            changed = trees.differing(trees.content(out), house.undisturbed[name], among=others)
            losses += [f"others differ: {changed}"] if changed else []
        losses += house.losses(stage, house.run(stage))
        tally.count(hit=bool(failed), losses=losses)
    assert tally.lost == []


@pytest.mark.parametrize("name", READS_SLIDES)
def test_a_slide_may_vanish_at_any_call(house: House, tallies: list[Tally], name: str) -> None:
    stage, tally = house.stage(name), Tally("slide vanished, at every function", name)
    tallies.append(tally)
    slide, out, calls = house.place / "cohort" / "slides" / f"{IDS[0]}.tif", house.out(stage), 0
    whole, is_gone = slide.read_bytes(), True
    while is_gone:
        house.clear(stage)
        ended = house.run(stage, unlink=(slide, calls))
        is_gone = not slide.exists()
        slide.write_bytes(whole)
        losses = []
        if ended.exit_code not in (0, 1) or "Traceback" in ended.said:
            losses.append(f"exit code {ended.exit_code}: {ended.said[-1500:]}")
        if '"traceback": "' in "".join(p.read_text() for p in out.glob("*.failed.json")):
            losses.append("a traceback in failed.json")
        if left := trees.unfinished(out):
            losses.append(f"left: {left}")
        if ended.exit_code == 0:
            differ = trees.differing(trees.content(out), house.undisturbed[name])
            losses += [f"differ: {differ}"] if differ else []
        if is_gone:
            tally.count(
                hit=ended.exit_code == 1, losses=[f"call {calls}: {each}" for each in losses]
            )
        calls += 1
    losses = house.losses(stage, house.run(stage))
    assert tally.lost + losses == []


@pytest.mark.parametrize("name", STAGES)
def test_flipped_bits_of_an_input_are_read_or_said(
    house: House, tallies: list[Tally], name: str
) -> None:
    stage, chance, tally = house.stage(name), random.Random(name), Tally("bits flipped", name)  # noqa: S311
    unseen = Tally("bits flipped, read as other numbers", name)  # files carry no checksums
    tallies += [tally, unseen]
    for _ in range(FLIPS):
        house.clear(stage)
        folder = house.place / chance.choice(stage.inputs)
        with restored(folder):
            files = sorted(p for p in folder.rglob("*") if p.is_file() and _is_read(p))
            flipped = _flip(chance.choice(files), chance)
            ended = house.run(stage)
        losses = []
        out = house.out(stage)
        failures = "".join(p.read_text(errors="replace") for p in out.glob("*.failed.json"))
        if ended.exit_code not in (0, 1, 2) or "Traceback" in ended.said:
            losses.append(f"exit code {ended.exit_code}: {ended.said[-1500:]}")
        if '"traceback": "' in failures:
            losses.append(f"a traceback in failed.json: {failures[-1500:]}")
        if left := trees.unfinished(out):
            losses.append(f"left: {left}")
        wrong = house.losses(stage, house.run(stage))
        if ended.exit_code == 0:  # if it was read as other numbers, the rerun may not know of it
            unseen.count(hit=wrong != [], losses=[])
            if wrong:
                house.clear(stage)
                wrong = house.losses(stage, house.run(stage))
        losses += wrong
        tally.count(hit=ended.exit_code != 0, losses=[f"{flipped}: {loss}" for loss in losses])
    assert tally.lost == []


def _is_read(path: Path) -> bool:
    return path.suffix in (".h5", ".tif", ".csv", ".geojson", ".safetensors") and (
        ".runs" not in path.parts and path.name != "failures.csv" and "scores" not in path.parts
    )


def _flip(path: Path, chance: random.Random) -> str:
    """Flip one bit, or overwrite up to 64 bytes; mostly in the first 4 kB, where structure lies."""
    data = bytearray(path.read_bytes())
    at = chance.randrange(min(len(data), 4096) if chance.random() < 0.7 else len(data))
    if chance.random() < 0.5:
        data[at] ^= 1 << chance.randrange(8)
    else:
        end = min(len(data), at + chance.randint(1, 64))
        data[at:end] = chance.randbytes(end - at)
    path.write_bytes(data)
    return f"{path.parent.name}/{path.name} at {at}"
