from __future__ import annotations

import pickle

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file

from histocnn.errors import ModelError
from histocnn.models.backbones import build, embedder
from histocnn.models.weights import load_weights


def test_real_weights_fit_by_name_and_only_their_head_is_left_out(shared):
    path = shared / "weights" / "squeezenet1_1-imagenet.safetensors"
    network = embedder("squeezenet1_1", path)
    stored = load_file(path)
    for name, tensor in network.backbone.state_dict().items():
        assert torch.equal(tensor, stored[name])
    assert {k.partition(".")[0] for k in stored.keys() - network.backbone.state_dict()} == {
        "classifier"
    }


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "encoder.", "module.encoder."])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_wrappers_prefixes_are_stripped(tmp_path, prefix, suffix):
    source = build("lenet5", 0).backbone
    stored = {prefix + k: v for k, v in source.state_dict().items()}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": stored, "epoch": 3}, path)
    else:
        save_file(stored, path)
    loaded = build("lenet5", 2, weights=path).backbone.state_dict()
    assert all(torch.equal(loaded[k], v) for k, v in source.state_dict().items())


def lenet_without(path, *names, **more):
    stored = build("lenet5", 0).backbone.state_dict()
    for name in names:
        del stored[name]
    save_file(stored | more, path)
    return path


def test_a_missing_tensor_is_an_error_that_names_it(tmp_path):
    path = lenet_without(tmp_path / "w.safetensors", "layers.7.weight")
    backbone = build("lenet5", 2).backbone
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    with pytest.raises(
        ModelError, match=r"1 of the backbone's 8 tensors are not in it \(layers\.7"
    ):
        load_weights(backbone, path)
    assert all(torch.equal(before[k], v) for k, v in backbone.state_dict().items())


def test_an_unused_tensor_is_an_error_unless_it_is_a_head_s(tmp_path):
    head = {"head.1.weight": torch.zeros(2, 84), "fc.bias": torch.zeros(3),
            "dino_head.mlp.0.weight": torch.zeros(1)}  # fmt: skip
    load_weights(build("lenet5", 2).backbone, lenet_without(tmp_path / "h.safetensors", **head))
    more = {f"blocks.{i}.ls1.gamma": torch.zeros(3) for i in range(5)}
    path = lenet_without(tmp_path / "w.safetensors", **more)
    with pytest.raises(ModelError, match=r"5 of its own have no place.*blocks\.2\.ls1\.gamma …\)"):
        load_weights(build("lenet5", 2).backbone, path)


def test_another_shape_is_an_error_that_says_both(tmp_path):
    more = {"layers.0.weight": torch.zeros(6, 3, 5, 5)}
    path = lenet_without(tmp_path / "w.safetensors", **more)
    with pytest.raises(ModelError, match=r"layers\.0\.weight \[6, 3, 5, 5\], not \[6, 1, 5, 5\]"):
        load_weights(build("lenet5", 2).backbone, path)


def test_allow_partial_takes_what_fits_and_warns(tmp_path, caplog):
    path = lenet_without(tmp_path / "w.safetensors", "layers.7.weight", extra=torch.zeros(1))
    backbone = build("lenet5", 2).backbone
    load_weights(backbone, path, allow_partial=True)
    assert torch.equal(backbone.state_dict()["layers.0.bias"], load_file(path)["layers.0.bias"])
    assert "layers.7.weight" in caplog.text
    assert "extra" in caplog.text
    save_file(build("mlp", 0).backbone.state_dict(), tmp_path / "mlp.safetensors")
    with pytest.raises(ModelError, match="only 0 of the backbone's 8 tensors"):
        load_weights(backbone, tmp_path / "mlp.safetensors", allow_partial=True)


def test_layer_scale_is_not_dropped(tmp_path):
    """A file of UNI's kind, whose network has LayerScale, into one without: cosine was 0.61."""
    small = {"depth": 2, "embed_dim": 48, "num_heads": 3, "img_size": 32}
    name = "timm/vit_large_patch16_224"
    source = build(name, 0, arguments=small | {"init_values": 1e-5}).backbone
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"4 of its own .*blocks\.0\.ls1\.gamma.*--backbone_args"):
        build(name, 0, tmp_path / "w.safetensors", arguments=small)
    whole = build(name, 0, tmp_path / "w.safetensors", arguments=small | {"init_values": 1.0})
    images = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(whole.eval()(images), source.eval()(images))


def test_a_transformer_takes_the_grid_of_positions_of_its_file(tmp_path):
    small = {"depth": 1, "embed_dim": 48, "num_heads": 3}
    name = "timm/vit_small_patch14_dinov2"
    source = build(name, 0, arguments=small | {"img_size": 56}).backbone
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    loaded = build(name, 0, tmp_path / "w.safetensors", arguments=small)
    assert loaded.arguments == small | {"img_size": 56}
    assert torch.equal(loaded.backbone.pos_embed, source.pos_embed)
    images = torch.rand(1, 3, 56, 56)
    torch.testing.assert_close(loaded.eval()(images), source.eval()(images))


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    stored = build("lenet5", 0).backbone.state_dict()
    torch.save(stored | {f"module.{k}": v for k, v in stored.items()}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"has layers\.0\.weight twice"):
        load_weights(build("lenet5", 2).backbone, tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_of_a_published_file_are_no_part_of_the_backbone(name, tmp_path):
    published = torchvision.models.get_model(name, init_weights=False)
    save_file(published.state_dict(), tmp_path / "w.safetensors")
    network = build(name, 2, tmp_path / "w.safetensors")
    found = network.backbone.state_dict()
    assert all(torch.equal(v, found[k]) for k, v in published.state_dict().items()
               if k in found and not k.startswith(("aux", "Aux")))  # fmt: skip


def test_weights_of_another_network_are_refused(tmp_path):
    save_file(build("mlp", 0).backbone.state_dict(), tmp_path / "mlp.safetensors")
    with pytest.raises(ModelError, match=r"only 0 of the backbone's 8 tensors.*another network"):
        build("lenet5", 2, weights=tmp_path / "mlp.safetensors")


class Payload:
    def __reduce__(self):
        return print, ("unpickled!",)


def test_a_pickled_payload_is_refused(tmp_path, capsys):
    torch.save({"state_dict": {"w": torch.zeros(1)}, "extra": Payload()}, tmp_path / "evil.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Payload()))
    (tmp_path / "evil.safetensors").write_bytes(pickle.dumps(Payload()))
    for name in ("evil.pth", "raw.pth", "evil.safetensors"):
        with pytest.raises(ModelError, match="nothing is unpickled"):
            build("lenet5", 2, weights=tmp_path / name)
    assert "unpickled!" not in capsys.readouterr().out
