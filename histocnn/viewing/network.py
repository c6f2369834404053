"""What a network sees in a patch; torch is loaded when somebody asks."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import UsageError
from histocnn.patches.patches import FilePatches

if TYPE_CHECKING:
    from histocnn.inspection.opening import Subject

SIDE_PX = 224
CHANNELS = 9  # the most excited ones


@dataclass
class Network:
    """A model that is asked about patches, one at a time.

    Attributes:
        model: Its model.safetensors.
        backbone: Of somebody's own network its package.module:Class.
    """

    model: Path
    backbone: str | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()  # hooks on one network
        self._last: tuple[Any, tuple[str, NDArray[np.float32]]] | None = None

    @cached_property
    def subject(self) -> Subject:
        """The network.

        Raises:
            ModelError: It cannot be opened.
        """
        from histocnn.inspection.opening import open_subject

        return open_subject(self.model, self.backbone, None)

    def facts(self) -> dict[str, Any]:
        """Its title and classes."""
        with self._lock:
            return {"title": self.subject.title, "classes": list(self.subject.spec.class_names)}

    def because(self, patches: FilePatches, row: int, index: int) -> NDArray[np.uint8]:
        """Grad-CAM of a class over a patch, [224, 224, 3]; crossed out where nothing speaks for it.

        Raises:
            UsageError: There is no such class or patch.
            ModelError: The network has no such map, or the patch is of another scale.
        """
        from histocnn.inspection.class_maps import cams
        from histocnn.inspection.maps import enlarged, scaled, undefined
        from histocnn.pictures.attribution import over_image

        with self._lock:
            if index >= len(self.subject.spec.class_names):
                raise UsageError(f"the model has no class {index}")
            pixels = _pixels(patches, row)
            images = self.subject.prepare(patches)(pixels[None])
            found = cams(self.subject.network, images, index)
        laid = None if undefined(found)[0] else enlarged(scaled(found), (SIDE_PX, SIDE_PX))[0]
        return over_image(pixels, laid, SIDE_PX)

    def channels(self, patches: FilePatches, row: int) -> dict[str, Any]:
        """The channels of the last map that a patch excites most, the strongest first."""
        layer, maps = self._maps(patches, row)
        strongest = maps.max(axis=(1, 2))
        order = np.argsort(-strongest, kind="stable")[:CHANNELS]
        found = [{"channel": int(c), "value": float(strongest[c])} for c in order]
        return {"layer": layer, "channels": found}

    def channel(self, patches: FilePatches, row: int, channel: int) -> NDArray[np.uint8]:
        """Where a patch excites a channel of the last map, over the patch: [224, 224, 3].

        Raises:
            UsageError: There is no such channel or patch.
        """
        from histocnn.inspection.maps import enlarged, scaled, undefined
        from histocnn.pictures.attribution import over_image

        _, maps = self._maps(patches, row)
        if channel >= len(maps):
            raise UsageError(f"the layer has no channel {channel}")
        one = maps[channel : channel + 1]
        laid = None if undefined(one)[0] else enlarged(scaled(one), (SIDE_PX, SIDE_PX))[0]
        return over_image(_pixels(patches, row), laid, SIDE_PX)

    def _maps(self, patches: FilePatches, row: int) -> tuple[str, NDArray[np.float32]]:
        from histocnn.inspection.class_maps import last_map
        from histocnn.inspection.watching import activations

        with self._lock:  # many channels of one patch are asked for
            if self._last is None or self._last[0] != (patches, row):
                images = self.subject.prepare(patches)(_pixels(patches, row)[None])
                layer = last_map(self.subject.network, images)
                found = activations(self.subject.network, images, [layer])[layer][0]
                self._last = (patches, row), (layer, found)
            return self._last[1]


def _pixels(patches: FilePatches, row: int) -> NDArray[np.uint8]:
    if row >= len(patches):
        raise UsageError(f"there is no patch {row}")
    return patches.patch(row)
