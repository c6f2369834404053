"""The patches that excite each channel most, over a cohort, read through their own door."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from histocnn.inspection import most_exciting
from histocnn.inspection.exciting import where
from histocnn.patches.patches import Patches, open_patches


class Means(nn.Module):
    """A map of each colour's brightness, and its negative."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Six channels."""
        maps: Tensor = self.maps(torch.cat([images, -images], 1))
        return maps.mean((2, 3))


def prepare(patches: Patches) -> object:
    def ready(pixels: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).float()

    return ready


def write_reds(folder: Path, reds: list[int]) -> list[Patches]:
    folder.mkdir()
    for number, red in enumerate(reds):
        image = np.full((8, 8, 3), 10, np.uint8)
        image[..., 2] = red
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return open_patches(folder)


def test_the_strongest_patches_over_several_files_in_order(tmp_path: Path) -> None:
    cohort = write_reds(tmp_path / "one", [50, 200, 100]) + write_reds(tmp_path / "two", [150, 20])
    found = most_exciting(Means(), cohort, ["maps"], prepare, top=4, batch_size=2)["maps"]  # type: ignore[arg-type]
    assert found.values[0].tolist() == [200, 150, 100, 50]
    assert list(zip(found.sources[0], found.rows[0], strict=True)) == [
        (0, 1),
        (1, 0),
        (0, 2),
        (0, 0),
    ]
    assert found.values[3].tolist() == [-20, -50, -100, -150]


def test_fewer_patches_than_asked_are_said_and_unreadable_ones_take_no_part(
    tmp_path: Path,
) -> None:
    cohort = write_reds(tmp_path / "one", [50, 60])
    (tmp_path / "one" / "2.png").write_bytes(b"no image")
    cohort = open_patches(tmp_path / "one")
    found = most_exciting(Means(), cohort, ["maps"], prepare, top=3)["maps"]  # type: ignore[arg-type]
    assert found.values[0].tolist()[:2] == [60, 50]
    assert np.isnan(found.values[0, 2])
    assert (found.sources[0, 2], found.rows[0, 2]) == (-1, -1)


def test_a_patch_is_named_by_slide_and_place(tmp_path: Path) -> None:
    patches = write_reds(tmp_path / "one", [50])[0]
    assert where(patches, 0)["path"] == "0.png"
    assert where(patches, 0)["row"] == 0


@pytest.mark.parametrize("shape", [(4, 6), (2, 5, 6)])
def test_vectors_and_tokens_count_by_their_strongest(tmp_path: Path, shape: tuple[int]) -> None:
    class Gives(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Identity()

        def forward(self, images: Tensor) -> Tensor:
            flat = images.flatten(1)[:, : int(np.prod(shape[1:]))]
            return self.out(flat.reshape(len(images), *shape[1:]))

    cohort = write_reds(tmp_path / "one", [50, 60])
    found = most_exciting(Gives(), cohort, ["out"], prepare, top=1)["out"]  # type: ignore[arg-type]
    assert found.values.shape == (6, 1)
