"""histocnn export_model: programs that know nothing of histocnn give predict's probabilities."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from histocnn.cli import main
from histocnn.errors import UsageError
from histocnn.stages.export_model import export_model
from histocnn.stages.predict import predict
from histocnn.storage import store
from tests.models.patch_files import write_folder
from tests.models.small_networks import write_model

ROOT = Path(__file__).resolve().parents[2]
BARE = """
import os, sys
sys.path.append({packages!r})
os.chdir({folder!r})
{script}
[given] = session.get_inputs()
assert (given.name, given.shape, given.type) == ("pixels", ["batch", 36, 36, 3], "tensor(uint8)")
assert not {{"torch", "histocnn"}} & set(sys.modules)
print(session.get_modelmeta().custom_metadata_map["histocnn_recipe"])
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patches of 36 px, a model that scales them to 28, and predict's scores of them."""
    folder = tmp_path_factory.mktemp("export_model")
    write_folder(folder / "images", patients=2, side_px=36)
    terms = {"encoder": "uni", "licence": "CC-BY-NC-ND-4.0", "forbids": ["commercial use"]}
    model = write_model(
        folder / "model.safetensors", patch_px=36, input_px=28, mpp=0.5, temperature=0.05,
        interpolation="bicubic", mean=(0.7, 0.5, 0.6), std=(0.2, 0.3, 0.25), encoder=terms,
    )  # fmt: skip
    assert predict(folder / "images", model, folder / "scores", precision="fp32").exit_code == 0
    return folder


@pytest.fixture(scope="module")
def scored(place: Path) -> tuple[list[Path], np.ndarray]:
    found = store.read(place / "scores" / "images.h5")
    return [place / "images" / path for path in found["paths"]], found["scores"]


def test_onnx_runs_where_there_is_numpy_and_onnxruntime_alone(
    place: Path, scored: tuple[list[Path], np.ndarray], tmp_path: Path
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    out = tmp_path / "exported"
    assert export_model(place / "model.safetensors", "onnx", out).exit_code == 0
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in ("numpy", "numpy.libs", "onnxruntime"):
        source = Path(runtime.__file__).parents[1] / name
        if source.exists():
            (packages / name).symlink_to(source)
    pixels = np.stack([cv2.imread(str(path))[..., ::-1] for path in scored[0]])
    np.save(tmp_path / "patches.npy", pixels)
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    script = page.split("```python\n")[1].split("```")[0].replace(" 32", " 7")  # an odd end
    code = BARE.format(packages=str(packages), folder=str(tmp_path), script=script)
    words = [sys.executable, "-I", "-S", "-c", code]  # no site-packages at all
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), scored[1], atol=1e-4)
    inside = json.loads(done.stdout)
    beside = json.loads((out / "recipe.json").read_text())
    assert {name: beside[name] for name in inside} == inside
    assert inside["class_names"] == ["a", "b"]


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_the_wsinfer_bundle_gives_the_probabilities_of_predict(
    place: Path, scored: tuple[list[Path], np.ndarray], tmp_path: Path
) -> None:
    assert export_model(place / "model.safetensors", "wsinfer", tmp_path / "out").exit_code == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    # As wsinfer 0.6.1 does it: wsinfer/modellib/transforms.py and run_inference.py (Apache-2.0).
    steps = transforms.Compose(
        [getattr(transforms, s["name"])(**s.get("arguments", {})) for s in config["transform"]]
    )
    network = torch.jit.load(str(tmp_path / "out" / "torchscript_model.pt"), map_location="cpu")
    images = torch.stack([steps(Image.open(path).convert("RGB")) for path in scored[0]])
    with torch.no_grad():
        found = torch.nn.functional.softmax(network(images), dim=1)
    assert np.abs(found.numpy() - scored[1]).max() < 1e-3
    assert np.ptp(scored[1][:, 0]) > 0.05  # they do differ from patch to patch


def test_it_is_checked_on_the_user_s_patches_and_says_by_whose_leave(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export_model", "--model", str(place / "model.safetensors"), "--to", "torchscript"]
    words += ["--out", str(tmp_path / "out"), "--patches", str(place / "images")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "differs from torch by at most" in said
    assert "on 16 patches (of images)" in said
    assert "Made with uni (CC-BY-NC-ND-4.0), whose licence forbids commercial use." in said
    recipe = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert recipe["check"]["max_difference"] < 1e-5
    written = (tmp_path / "out" / "model.pt").stat().st_mtime_ns
    assert main(words) == 0
    assert "already there. Made with uni" in capsys.readouterr().out
    assert (tmp_path / "out" / "model.pt").stat().st_mtime_ns == written
    (tmp_path / "out" / "model.pt").write_bytes(b"cut")
    assert main(words) == 0
    assert "made again" in (said := capsys.readouterr().out)
    assert "model.pt: is not the file that recipe.json names" in said


def test_nobody_s_file_is_written_over(place: Path, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"model\.pt: there already"):
        export_model(place / "model.safetensors", "torchscript", tmp_path)
    assert (tmp_path / "model.pt").read_bytes() == b"mine"
    with pytest.raises(UsageError, match="holds the input"):
        export_model(place / "model.safetensors", "torchscript", place)
