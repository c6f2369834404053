"""Model files as they come from a download."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors.torch import save

from histocnn.models.backbones import build
from histocnn.models.preparation import to_input
from histocnn.models.spec import ModelSpec, cohorts_behind, load, read_spec
from histocnn.slides.stain import Normaliser
from tests.fuzz.fuzzing import Tally, damaged, replaced, run

SPEC = ModelSpec(
    "mlp",
    class_names=("normal", "tumour"),
    patch_px=28,
    mpp=0.5,
    input_px=28,
    stain=Normaliser().to_dict(),
    temperature=1.5,
    thresholds={"tumour": {"youden": {"threshold": 0.25}}},
    seen={"train": {"patients": ["p1"], "slides": ["s1"]}, "val": {"slides": []}},
    earlier=({"parts": {"train": {"slides": ["s0"]}}, "salt": "ab"},),
    training={"patches": {"train": 100}},
)


def read_and_ask(path: Path) -> None:
    """Read what the file says, and ask what stages ask of it."""
    spec = read_spec(path)
    spec.seen_as("s1", "p1", "12-ab")
    spec.scoring({}, ["s1", ""], ["p1", ""], "12-ab")
    cohorts_behind(path)
    spec.to_json()
    if spec.stain is not None:
        Normaliser.from_dict(spec.stain)
    if spec.input_px is None or spec.input_px < 100:
        to_input(torch.zeros(1, 4, 4, 3, dtype=torch.uint8), spec)


def file_of(spec: bytes, tensors: dict[str, torch.Tensor]) -> bytes:
    return bytes(save(tensors, {"format": "pt", "histocnn_recipe": spec.decode()}))


@pytest.mark.parametrize("how", ["bytes", "facts"])
def test_what_a_model_says_of_itself(how: str, tmp_path: Path) -> None:
    tensors = {"w": torch.zeros(2, 2)}
    stored = json.loads(SPEC.to_json())
    whole = file_of(SPEC.to_json().encode(), tensors)

    def make(random: Random) -> bytes:
        if how == "bytes":
            return damaged(whole, random, text=random.random() < 0.5)
        return file_of(replaced(stored, random), tensors)

    run(Tally(f"model-{how}", read_and_ask, tmp_path / "fuzz.safetensors"), make)


def test_a_model_with_its_weights(tmp_path: Path) -> None:
    whole = file_of(SPEC.to_json().encode(), build("mlp", 2).state_dict())
    header = 8 + int.from_bytes(whole[:8], "little")

    def make(random: Random) -> bytes:
        head = damaged(whole[:header], random, text=random.random() < 0.5)
        return head + whole[header:]

    run(Tally("model-weights", load, tmp_path / "fuzz.safetensors"), make)
