"""The network of features is found again from their file, and only if it was typed or is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from histocnn.errors import FeaturesError, ModelError
from histocnn.models.embedding import Source
from histocnn.models.recalled import check_is_it, recalled
from histocnn.stages.embed import embed
from histocnn.storage import store
from tests.feature_files import write_features
from tests.models.patch_files import write_folder
from tests.models.small_networks import write_model, write_weights


def stored(path: Path, source: Source, **encoder: object) -> Path:
    """Features that say that they are this network's."""
    write_features(path, network=source.describe())
    attributes = store.attributes(path)
    if encoder:
        store.write(path, store.read(path), attributes | {"encoder": encoder})
    return path


def source(**given: object) -> Source:
    usual = {"backbone": "squeezenet1_1", "weights": None, "model": None, "layers": (),
             "input_px": None, "stain": None}  # fmt: skip
    return Source(**(usual | given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"layers": ("features.4", "features.7"), "tta": True},
        {"input_px": 64, "stain": "macenko"},
    ],
    ids=["plain", "layers", "input"],
)
def test_what_embed_was_told_is_told_again(tmp_path: Path, given: dict[str, object]) -> None:
    weights = str(write_weights(tmp_path / "w.safetensors", "squeezenet1_1"))
    made = source(weights=weights, **given)
    file = stored(tmp_path / "f.h5", made)
    again = recalled(file, weights=weights)
    check_is_it(file, again.describe(), again)
    assert again.flags()["layers"] == made.layers
    assert set(again.flags()) == {
        "backbone", "weights", "model", "layers", "input_px", "stain", "tta", "backbone_args",
        "pool", "allow_partial", "any_scale",
    }  # fmt: skip


def test_a_timm_networks_arguments_and_pooling_are_told_again(tmp_path: Path) -> None:
    name, arguments = "timm/vit_tiny_patch16_224", '{"img_size": 32, "depth": 1}'
    import timm
    from safetensors.torch import save_file

    network = timm.create_model(name[5:], num_classes=0, img_size=32, depth=1)
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    weights = str(tmp_path / "w.safetensors")
    made = source(backbone=name, weights=weights, arguments=arguments, pool="cls+mean")
    file = stored(tmp_path / "f.h5", made)
    again = recalled(file, weights=weights)
    assert again.pool == "cls+mean"
    check_is_it(file, again.describe(), again)


def test_a_model_of_ours_is_given_as_such(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.safetensors")
    images = write_folder(tmp_path / "images", patients=1, per_patient=2)
    embed(images, tmp_path / "f", model=model)
    file = tmp_path / "f" / "images.h5"
    again = recalled(file, model=model)
    check_is_it(file, again.describe(), again)
    other = write_model(tmp_path / "other.safetensors", mean=(0.1, 0.2, 0.3))
    again = recalled(file, model=other)
    with pytest.raises(FeaturesError, match=r"other.safetensors \(what differs: mean"):
        check_is_it(file, again.describe(), again)


def test_whose_code_it_is_or_who_would_be_asked_is_typed(tmp_path: Path) -> None:
    file = write_features(tmp_path / "f.h5", network={"backbone": "os:system", "weights": "0"})
    with pytest.raises(ModelError, match="add --backbone os:system"):
        recalled(file)
    uni = {"encoder": "uni", "licence": "x", "forbids": []}
    file = write_features(tmp_path / "u.h5", network={"backbone": "timm/vit_large", "weights": "0"})
    store.write(file, store.read(file), store.attributes(file) | {"encoder": uni})
    with pytest.raises(ModelError, match="add --backbone uni"):
        recalled(file)
    assert recalled(file, weights="here.bin").backbone == "uni"
    assert recalled(file, backbone="uni").weights is None
    file = write_features(tmp_path / "n.h5", network={})
    with pytest.raises(FeaturesError, match="does not say which network"):
        recalled(file)
