"""Configurations: YAML as such, and as a stage's options."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from jsonargparse import auto_cli, capture_parser

from histocnn.jobs.words import Parser
from histocnn.stages.tile import tile
from histocnn.storage.yaml import read_yaml
from tests.fuzz.fuzzing import Tally, damaged, replaced, run

CONFIG = Path(__file__).parents[2] / "configs" / "train.yaml"
ANCHORS = "a: &a {x: 1, y: [µ, 2.5, 2026-01-31]}\nb: {<<: *a, x: 0x1F}\nc: *a\n? k\n: |\n  text\n"
TILE: dict[str, Any] = {
    **{"slides": "s", "out": "grids", "patch_px": 224, "mpp": 0.5, "min_tissue": 0.5},
    **{"export": "png", "roi": None, "allow_upsampling": False, "slide_mpp": 0.25},
    "tissue": {"mpp": 8.0, "threshold": None, "threshold_range": [0.02, 0.04], "pen": True},
}


@pytest.mark.parametrize(
    ("reader", "text"), [("yaml-train", CONFIG.read_text("utf-8")), ("yaml-anchors", ANCHORS)]
)
def test_yaml(reader: str, text: str, tmp_path: Path) -> None:
    tally = Tally(reader, read_yaml, tmp_path / "fuzz.yaml")
    run(tally, partial(damaged, text.encode(), text=True))


def test_options_of_a_stage(tmp_path: Path) -> None:
    text = yaml.safe_dump(TILE).encode()
    made = capture_parser(lambda: auto_cli(tile, as_positional=False, parser_class=Parser))

    def options_of(path: Path) -> None:
        getattr(made, "instantiate", made.instantiate_classes)(
            made.parse_args(["--config", str(path)])
        )

    def make(random: Random) -> bytes:
        return replaced(TILE, random) if random.random() < 0.5 else damaged(text, random, text=True)

    run(Tally("options", options_of, tmp_path / "fuzz.yaml"), make)
