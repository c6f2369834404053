from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from histocnn.models.export_formats import INSIDE, NETWORK, READERS, WRITERS, Target
from histocnn.models.spec import load
from histocnn.models.whole import Whole
from tests.models.small_networks import write_model


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize("to", ["torchscript", "wsinfer"])  # ONNX: tests/stages/test_export_model
def test_a_written_network_scores_as_torch_and_says_what_it_is(tmp_path: Path, to: Target) -> None:
    model = write_model(tmp_path / "m.safetensors", patch_px=32, input_px=28, temperature=2.0)
    network, spec = load(model)
    pixels = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    WRITERS[to](network, spec, tmp_path / NETWORK[to], '{"what": "it is"}')
    with torch.inference_mode():
        expected = Whole(network, spec)(torch.from_numpy(pixels)).numpy()
    found = READERS[to](tmp_path / NETWORK[to], pixels, spec)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    inside = {f"{INSIDE}.json": ""}
    torch.jit.load(str(tmp_path / NETWORK[to]), _extra_files=inside)
    assert json.loads(inside[f"{INSIDE}.json"]) == {"what": "it is"}
