from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import jsonschema
import pytest

from histocnn.models.spec import ModelSpec
from histocnn.models.wsinfer import bundle_files, config_of

SPEC = ModelSpec("timm/resnet18", class_names=("normal", "tumour"), patch_px=224, mpp=0.5,
                 mean=(0.7, 0.5, 0.6), std=(0.2, 0.3, 0.25), input_px=160)  # fmt: skip


def zoo_schema() -> dict[str, object]:
    """The model zoo's own; its package is not imported, because that makes a folder at home."""
    found = importlib.util.find_spec("wsinfer_zoo")
    if found is None or not found.submodule_search_locations:
        pytest.skip("wsinfer-zoo is not installed")
    folder = Path(found.submodule_search_locations[0]) / "schemas"
    return json.loads((folder / "model-config.schema.json").read_text())  # type: ignore[no-any-return]


def test_the_zoo_s_own_schema_takes_it() -> None:
    schema, config = zoo_schema(), config_of(SPEC)
    jsonschema.validate(config, schema)
    assert len(config["class_names"]) == config["num_classes"]  # which the schema cannot say
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config | {"spec_version": "2.0"}, schema)


def test_the_patch_is_the_model_s_and_comes_at_its_side() -> None:
    config = config_of(SPEC)
    assert (config["patch_size_pixels"], config["spacing_um_px"]) == (224, 0.5)
    assert config["architecture"] == "resnet18"
    assert config["transform"] == [
        {"name": "Resize", "arguments": {"size": 224}},  # to 160 px it scales inside
        {"name": "ToTensor"},
        {"name": "Normalize", "arguments": {"mean": [0.7, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}},
    ]


def test_the_readme_says_by_whose_leave() -> None:
    texts = bundle_files(SPEC, {"version": "1", "terms": "By leave.", "use": "Research only."})
    assert texts.keys() == {"config.json", "README.md"}
    assert json.loads(texts["config.json"]) == config_of(SPEC)
    for said in ("normal / tumour", "224 px at 0.5 µm/px", "By leave.", "Research only."):
        assert said in texts["README.md"]
