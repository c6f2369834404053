"""Every encoder as its card says: width, parameters, tensors by name, pooling; and the refusals."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from histocnn.errors import ModelError, UsageError
from histocnn.metrics.terms import UNKNOWN
from histocnn.models.backbones import build
from histocnn.models.embedding import Source
from histocnn.models.encoders import Encoder, check_scale, find, named, table, terms_of
from histocnn.models.networks import Network

MADE = [name for name, row in table().items() if row.architecture]
FOREIGN = [name for name in MADE if not table()[name].is_library_s]
SMALL = [name for name in FOREIGN if table()[name].parameters < 100e6]
LARGE = [name for name in FOREIGN if table()[name].parameters >= 100e6]
Counted = dict[str, tuple[int, int, str]]
KEYS = ("architecture", "arguments", "pool")


@contextmanager
def without_chance() -> Iterator[None]:
    """Draw no random numbers for new tensors: on meta they hold none, else a file gives them."""
    names = ("kaiming_uniform_", "kaiming_normal_", "uniform_", "normal_", "trunc_normal_")
    timm_s = patch("timm.models.vision_transformer.trunc_normal_", _leave)
    with patch.multiple("torch.nn.init", **dict.fromkeys(names, _leave)), timm_s:
        yield


def on_meta(row: Encoder) -> Network:
    """The network without memory."""
    with torch.device("meta"), without_chance():
        return build(row.name, 0)


def _leave(tensor: Tensor, *args: object, **kwargs: object) -> Tensor:
    return tensor


@pytest.fixture(scope="module")
def counted() -> Counted:
    """Width, parameters and name of every network; those of one recipe are made once."""
    made: Counted = {}
    for name in MADE:
        row = table()[name]
        key = str([getattr(row, k) for k in KEYS])
        if key not in made:
            network = on_meta(row)
            count = sum(p.numel() for p in network.parameters())
            made[key] = network.width, count, network.name
        made[name] = made[key]
    return made


@pytest.mark.parametrize("name", MADE)
def test_width_and_parameters_are_the_card_s(name: str, counted: Counted) -> None:
    row = table()[name]
    width, parameters, architecture = counted[name]
    assert width == row.width
    assert parameters == row.parameters
    assert architecture == row.architecture
    if not row.is_library_s:  # whose count has a head of 1,000 classes
        said = re.fullmatch(r"([\d.]+)([MB])", row.said_parameters)
        assert said is not None
        unit = {"M": 1e6, "B": 1e9}[said[2]]
        last = 10.0 ** -len(said[1].partition(".")[2])
        assert abs(row.parameters / unit - float(said[1])) <= last  # rounded up or down


def test_the_count_that_the_paper_of_uni2_gives() -> None:
    assert table()["uni2-h"].parameters == 681_394_176


def test_every_row_says_what_it_must() -> None:
    asked = {"phikon", "phikon-v2", "uni", "uni2-h", "virchow", "virchow2", "h-optimus-0",
             "h-optimus-1", "h0-mini", "gigapath", "hibou-b", "hibou-l", "midnight-12k",
             "openmidnight", "gpfm", "lunit-vits8", "lunit-vits16", "ctranspath", "retccl", "conch",
             "conch-v1.5", "kaiko-vits8", "kaiko-vits16", "kaiko-vitb8", "kaiko-vitb16",
             "kaiko-vitl14", "resnet50"}  # fmt: skip
    assert asked <= table().keys()
    fields = set(Encoder.__dataclass_fields__)
    for name, row in table().items():
        assert set(row.unverified) <= fields, name
        assert row.cite, name
        assert row.natural or row.mpp, name
        assert (row.licence == "unverified") == ("licence" in row.unverified), name
        assert len(row.mean) == len(row.std) == 3, name
        if row.forbids is None:
            assert "forbids" in row.unverified, name
        elif "-NC" in row.licence or "non-commercial" in row.licence:
            assert "commercial use" in row.forbids, name
        if row.forbids is not None and "-ND" in row.licence:
            assert "sharing derived models" in row.forbids, name


def loads_and_pools(name: str, folder: Path) -> None:
    """Random tensors by the published names: none missing, none unused; then two patches."""
    row = table()[name]
    torch.manual_seed(0)
    with without_chance():
        source = build(row.architecture, 0, arguments=row.arguments).backbone.eval()
        for tensor in source.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(-0.05, 0.05) if tensor.ndim > 1 else tensor.uniform_(0.5, 1)
        save_file(source.state_dict(), folder / "w.safetensors")
        network, spec = Source(name, str(folder / "w.safetensors"), None, (), None, None).open()
    ours = network.state_dict()
    stored = source.state_dict()
    assert {k.removeprefix("backbone.").removeprefix("trunk.") for k in ours} == stored.keys()
    assert all(torch.equal(stored[k.removeprefix("backbone.").removeprefix("trunk.")], v)
               for k, v in ours.items())  # fmt: skip
    assert (spec.mean, spec.std, spec.input_px) == (row.mean, row.std, row.input_px)
    images = torch.rand(2, 3, row.input_px or 224, row.input_px or 224)
    with torch.inference_mode():
        found = network(images)
        assert found.shape == (2, row.width)
        torch.testing.assert_close(found, by_hand(source, row, images))


def by_hand(trunk: nn.Module, row: Encoder, images: Tensor) -> Tensor:
    """The feature as the card makes it of the network's tokens."""
    tokens = trunk.forward_features(images)  # type: ignore[operator]
    if row.pool is None:
        return tokens.mean((2, 3)) if "resnet" in row.architecture else tokens.mean((1, 2))
    registers = int((row.arguments or {}).get("reg_tokens", 4 if "reg4" in row.architecture else 0))
    parts = [tokens[:, 0]]
    if row.pool == "cls+mean":
        parts.append(tokens[:, 1 + registers :].mean(1))
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("name", ["lunit-vits16", "lunit-resnet50-bt", "ctranspath"])
def test_published_names_load_and_pool(name: str, tmp_path: Path) -> None:
    loads_and_pools(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_published_names_load_and_pool_of_every_small_one(name: str, tmp_path: Path) -> None:
    loads_and_pools(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_published_names_load_and_pool_of_every_large_one(name: str, tmp_path: Path) -> None:
    loads_and_pools(name, tmp_path)
    (tmp_path / "w.safetensors").unlink()  # gigabytes


def test_weights_of_another_architecture_are_counted_and_named(tmp_path: Path) -> None:
    with without_chance():
        refused_as_another(tmp_path)


def refused_as_another(tmp_path: Path) -> None:
    other = build("timm/vit_small_patch16_224", 0).backbone.state_dict()
    save_file(other, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"another shape .*proj\.weight \[384, 3, 16, 16\], not"):
        build("kaiko-vits8", 0, tmp_path / "w.safetensors")
    fewer = {k: v for k, v in other.items() if not k.startswith("blocks.11.")}
    save_file(fewer, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"12 of the backbone's 150 tensors .*blocks\.11\.norm1"):
        build("kaiko-vits16", 0, tmp_path / "w.safetensors")


def test_an_unknown_encoder_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no encoder is called 'uni2'. Did you mean uni, uni2-h"):
        named("uni2")
    with pytest.raises(UsageError, match=r"no network is called 'virchow3'. Did you mean virchow"):
        build("virchow3", 0)
    with pytest.raises(UsageError, match=r"conch is no network of timm's.*package\.module"):
        build("conch", 0)
    with pytest.raises(ModelError, match="retccl is on no hub"):
        build("retccl", 0, "imagenet")


def test_an_encoder_goes_by_its_name_on_the_hub_too() -> None:
    assert find("hf_hub:mahmoodlab/uni2-H") is table()["uni2-h"]
    assert find("UNI") is table()["uni"]
    assert find("timm/vit_large_patch16_224") is None
    assert find("hf-hub:") is None


def test_whose_terms_hold() -> None:
    assert terms_of("virchow2", "/some/file.bin").commercial is False
    assert terms_of("h-optimus-0", None).commercial is True
    assert terms_of("gpfm", None).commercial is None
    assert terms_of("resnet50", "imagenet").licence == "BSD-3-Clause"
    assert terms_of("resnet50", "mine.pth") == UNKNOWN
    assert terms_of("mynets:Small", None) == UNKNOWN


@pytest.mark.parametrize("mpp", [0.5, 0.45, 0.55, None])
def test_scales_that_an_encoder_was_made_for(mpp: float | None) -> None:
    check_scale("uni", [("a", mpp)])
    check_scale("timm/resnet18", [("a", 99.0)])
    check_scale("dinov2-vits14", [("a", 99.0)])


@pytest.mark.parametrize(
    ("name", "mpp", "message"),
    [("uni", 0.25, "a: patches at 0.25 µm/px, and uni was made for 0.5. Tile at --mpp 0.5, or"),
     ("uni", 0.56, "--any_scale true"), ("virchow2", 0.7, "0.25, 0.5, 1, 2. Tile at --mpp 0.5")],
)  # fmt: skip
def test_other_scales_are_refused(name: str, mpp: float, message: str) -> None:
    with pytest.raises(ModelError, match=re.escape(message)):
        check_scale(name, [("a", mpp)])


def test_the_table_is_read_without_torch() -> None:
    code = (
        "import sys; from histocnn.models.encoders import table; table(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
