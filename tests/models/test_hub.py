"""The hub, played by a server on loopback: downloaded, resumed, cached, offline, refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save

from histocnn.errors import ModelError
from histocnn.models import encoders, hub
from histocnn.models.backbones import build
from histocnn.models.embedding import Source
from tests.models.hub_server import HALF, Hub, serving

ARGUMENTS = {"depth": 1, "embed_dim": 48, "num_heads": 3, "init_values": 1e-5}
CONFIG = {
    "architecture": "vit_small_patch14_dinov2",
    "num_classes": 0,
    "model_args": ARGUMENTS,
    "pretrained_cfg": {
        "mean": [0.7, 0.6, 0.5], "std": [0.2, 0.3, 0.4], "input_size": [3, 56, 56],
        "fixed_input_size": True, "interpolation": "bilinear", "crop_pct": 1.0,
    },
}  # fmt: skip


def network_files(**changed: object) -> dict[str, bytes]:
    torch.manual_seed(1)
    network = build(
        "timm/vit_small_patch14_dinov2", 0, arguments=ARGUMENTS | {"img_size": 56}
    ).backbone
    config = json.dumps(CONFIG | changed).encode()
    return {"config.json": config, "model.safetensors": save(network.state_dict())}


def point_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the hub's client ask there, and not wait before it asks again."""
    template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An open network and a gated one, and a cache of our own."""
    there = Hub()
    there.files = {"lab/open": network_files(), "lab/gated": network_files()}
    there.gated = {"lab/gated"}
    with serving(there):
        point_at(there.url, monkeypatch)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        yield there


@pytest.mark.parametrize("spelling", ["hf-hub:", "hf_hub:"])
def test_a_network_of_the_hub_with_its_own_configuration(served: Hub, spelling: str) -> None:
    network = build(f"{spelling}lab/open", 0, "imagenet").eval()
    stored = network_files()["model.safetensors"]
    assert save(network.backbone.state_dict()) == stored
    assert network.name == "timm/vit_small_patch14_dinov2"
    assert network.arguments == ARGUMENTS | {"img_size": 56}
    how = network.preparation
    assert (how.mean, how.std) == ((0.7, 0.6, 0.5), (0.2, 0.3, 0.4))
    assert (how.input_px, how.interpolation) == (56, "bilinear")
    again = build(network.name, 0, arguments=network.arguments)  # as a model file does: no hub
    again.load_state_dict(network.state_dict())


def test_what_is_cached_is_not_asked_for_again(
    served: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = hub.weights_of("lab/open")
    assert hub.cached("lab/open", "model.safetensors") == first
    served.asked.clear()
    assert hub.weights_of("lab/open") == first
    assert served.asked == []
    served.files.clear()  # and now the hub is gone
    assert hub.weights_of("lab/open") == first


def test_a_broken_connection_goes_on_where_it_broke(
    served: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", HALF // 4)
    served.files["lab/open"]["model.safetensors"] += bytes(4 * HALF)
    content = served.files["lab/open"]["model.safetensors"]
    served.breaks = {"model.safetensors"}
    found = hub.fetch("lab/open", "model.safetensors")
    assert found is not None
    assert found.read_bytes() == content
    starts = [start for method, file, start in served.asked if method == "GET"]
    assert starts == [0, HALF]


def test_a_gated_network_says_where_its_terms_are(served: Hub) -> None:
    with pytest.raises(ModelError) as refused:
        build("hf-hub:lab/gated", 0, "imagenet")
    assert "given to those who accept its terms" in refused.value.message
    assert f"{served.url}/lab/gated" in refused.value.remedy
    assert "hf auth login" in refused.value.remedy
    assert "--weights FILE" in refused.value.remedy


def test_offline_the_cache_is_enough_and_without_it_a_file_is_asked_for(
    served: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    build("hf-hub:lab/open", 0, "imagenet")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    served.asked.clear()
    build("hf-hub:lab/open", 0, "imagenet")
    with pytest.raises(ModelError, match=r"lab/new could not be downloaded.*--weights FILE"):
        build("hf-hub:lab/new", 0, "imagenet")
    assert served.asked == []


def test_nobody_answers(served: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(ModelError, match=r"lab/open could not be downloaded .*not cached"):
        build("hf-hub:lab/open", 0, "imagenet")


@pytest.mark.parametrize(
    ("name", "message"),
    [("hf-hub:lab/none", "the hub has no lab/none"), ("hf-hub:a/b/c", "is no name of the hub"),
     ("local-dir:nowhere", "config.json: cannot be read")],
)  # fmt: skip
def test_what_is_not_there(served: Hub, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build(name, 0, "imagenet")


def test_with_a_file_of_weights_the_hub_is_not_asked(served: Hub, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(network_files()["model.safetensors"])
    with pytest.raises(ModelError, match=r"stands in its config\.json, which lies neither beside"):
        build("hf-hub:lab/open", 0, file)
    (tmp_path / "config.json").write_bytes(network_files()["config.json"])
    build("hf-hub:lab/open", 0, file)
    assert served.asked == []


def test_a_folder_laid_out_as_the_hub_s(tmp_path: Path) -> None:
    for name, content in network_files().items():
        (tmp_path / name).write_bytes(content)
    network = build(f"local_dir:{tmp_path}", 0, "imagenet")
    assert network.preparation.mean == (0.7, 0.6, 0.5)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has none of model\.safetensors"):
        build(f"local-dir:{tmp_path}", 0, "imagenet")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b"[]", "is no JSON object"),
        (b'{"model_type": "dinov2", "hidden": 384}', r"not timm's but of transformers \(dinov2"),
        (b'{"architecture": "nonsense"}', "which this timm does not have"),
        (json.dumps(CONFIG | {"model_args": {"checkpoint_path": "/etc/passwd"}}).encode(),
         "its configuration sets checkpoint_path"),
        (json.dumps(CONFIG | {"model_args": [1]}).encode(), "its model_args are no arguments"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_meant(tmp_path: Path, config: bytes, message: str) -> None:
    (tmp_path / "config.json").write_bytes(config)
    with pytest.raises(ModelError, match=message):
        build(f"local-dir:{tmp_path}", 0)


def test_what_is_cached_is_found_without_torch() -> None:
    code = (
        "import sys; from histocnn.models import hub; hub.cached('a/b', 'c'); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_encoder_of_the_table_comes_from_the_hub_by_its_name(
    served: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"architecture": "timm/vit_small_patch14_dinov2", "width": 48, "licence": "MIT",
            "arguments": ARGUMENTS | {"img_size": 56}, "input_px": 56, "forbids": (), "cite": "",
            "pool": "cls"}  # fmt: skip
    rows = {name: encoders.Encoder(name, hub=f"lab/{name}", **said) for name in ("open", "gated")}  # type: ignore[arg-type]
    monkeypatch.setattr(encoders, "table", lambda: rows)
    assert rows["open"].cached() is None
    network, spec = Source("open", None, None, (), None, None).open()
    assert network(torch.zeros(1, 3, 56, 56)).shape == (1, 48)
    assert spec.terms.licence == "MIT"
    assert rows["open"].cached() is not None
    with pytest.raises(ModelError, match=r"Accept them at .*`histocnn encoders gated` says how"):
        Source("gated", None, None, (), None, None).open()
