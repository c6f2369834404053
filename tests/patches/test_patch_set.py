"""What every kind of patches knows of its rows, whatever it was opened from."""

from __future__ import annotations

from typing import Any

import numpy as np

from histocnn.patches.images import ImageFiles
from histocnn.patches.patch_set import Patches


class Held(Patches):
    """Patches that hold what they are told."""

    def __init__(self, datasets: dict[str, Any], **attributes: Any) -> None:
        self._held = datasets, attributes

    @property
    def name(self) -> str:
        return "held"

    @property
    def datasets(self) -> dict[str, Any]:  # type: ignore[override]
        return self._held[0]

    @property
    def attributes(self) -> dict[str, Any]:  # type: ignore[override]
        return self._held[1]

    @property
    def pixels(self) -> ImageFiles:  # type: ignore[override]
        raise NotImplementedError


def test_of_a_slide_every_row_is_the_slide_s():
    patches = Held({"coords": np.zeros((3, 2), int)}, patient_id="p", mpp=0.5)
    assert len(patches) == 3
    assert patches.slide_id == "held"
    assert patches.slide_ids == ["held"] * 3
    assert patches.patient_ids == ["p"] * 3
    assert patches.labels.tolist() == [-1] * 3
    assert patches.class_names == ()
    assert patches.splits == [""] * 3
    assert (patches.patch_px, patches.mpp, patches.paths) == (None, 0.5, None)


def test_of_image_files_only_their_own_lists_count():
    patches = Held({"paths": ["a.png", "b.png"], "labels": [1, 0]}, patient_id="p")
    assert patches.slide_ids == patches.patient_ids == ["", ""]
    assert patches.labels.tolist() == [1, 0]
    assert patches.coords is None
    known = Held({"paths": ["a.png"], "patient_ids": ["q"], "slide_ids": ["s"]})
    assert (known.slide_ids, known.patient_ids) == (["s"], ["q"])


def test_a_recipe_describes_a_stage_and_is_never_carried_on():
    patches = Held({"paths": ["a.png"]}, recipe={"stage": "tile"}, fingerprint="f", mpp=None)
    datasets, attributes = patches.carried()
    assert datasets == {"paths": ["a.png"]}
    assert attributes == {"fingerprint": "f"}
    assert patches.describe() == {"recipe": {"stage": "tile"}, "fingerprint": "f"}
    datasets["more"] = 1
    assert "more" not in patches.datasets
