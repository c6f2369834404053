"""What travels with a model's weights is of its kind, or one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from histocnn.errors import ModelError
from histocnn.models.spec import ModelSpec, read_spec
from histocnn.models.stored_spec import FACTS, check, parsed

SURROGATE = '{"format": 1, "backbone": "x", "seen": {"train": {"slides": ["\\ud800"]}}}'
SPEC = ModelSpec("tiny", class_names=("a", "b"), patch_px=224, mpp=0.5)


def stored(**changed: Any) -> dict[str, Any]:
    return json.loads(SPEC.to_json()) | changed


def test_what_was_written_is_read() -> None:
    check(stored())
    assert ModelSpec.from_json(SPEC.to_json()) == SPEC


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "1", "{", "[" * 5000, '{"format": 1}', SURROGATE]
)
def test_another_text_is_one_line(text: str, tmp_path: Path) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "m.safetensors", {"histocnn_recipe": text})
    with pytest.raises(ModelError, match=r"m\.safetensors: .*Give the model"):
        read_spec(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("backbone", 1),
        ("arguments", []),
        ("layers", "layer1"),
        ("class_names", ["a", "a"]),
        ("class_names", [1, 2]),
        ("patch_px", 0),
        ("patch_px", True),
        ("mpp", "half"),
        ("dense", {"temperature": 0}),
        ("dense", {"validation": []}),
        ("dense", {"refused": 1}),
        ("input_px", 1e9),
        ("mean", [0.5]),
        ("mean", [0.5, 0.5, 10**400]),
        ("std", [0, 0, 0]),
        ("std", float("nan")),
        ("stain", {"reference": {}}),
        ("stain", {"reference": {"vectors": [[1, 2]], "maxima": [1]}, "per_patch": False}),
        ("conformal", {}),
        ("conformal", {"unit": "patients", "classes": {"a": {"patients": 20}}}),
        ("conformal", {"unit": "p", "classes": {"a": {"patients": 2, "patches": 2, "least": [2]}}}),
        ("temperature", 0),
        ("temperature", float("nan")),
        ("thresholds", {"a": 1}),
        ("seen", {"train": ["s1"]}),
        ("earlier", [{}]),
        ("salt", 5),
        ("training", None),
    ],
)
def test_a_fact_of_another_kind_is_named(fact: str, value: Any) -> None:
    with pytest.raises(ModelError, match=f"the model's {fact} is ") as caught:
        ModelSpec.from_json(json.dumps(stored(**{fact: value})))
    assert "\n" not in str(caught.value)


def test_every_fact_of_a_spec_has_its_kind() -> None:
    assert stored().keys() - {"format"} == FACTS.keys()
    assert parsed('{"a": 1}') == {"a": 1}
