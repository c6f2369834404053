"""Stain groups: slides stained alike fall together, whatever they show and in whatever order."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from histocnn.errors import PatchesError
from histocnn.patches.stain_groups import GROUPS, stain_features, stain_groups

Picture = NDArray[np.uint8]


def picture(stain: int, number: int, side: int = 48) -> Picture:
    """Two stains in a laboratory's own colours; their amounts are the picture's."""
    colours = np.array([0.6, 0.6, 0.6]) + np.random.default_rng(stain).uniform(-0.4, 0.4, (2, 3))
    rng = np.random.default_rng((stain, number))
    amounts = rng.gamma(4, rng.uniform(0.1, 0.2), (side, side, 2))
    density = amounts @ colours
    return np.rint(np.clip(256 * np.exp(-density) - 1, 0, 255)).astype(np.uint8)


def grouped(pictures: list[Picture], owners: list[str] | None = None) -> list[str]:
    names = [f"{i}.png" for i in range(len(pictures))]
    return stain_groups(pictures.__getitem__, names, owners or [""] * len(pictures))


def partition(groups: list[str]) -> set[frozenset[int]]:
    return {frozenset(i for i, g in enumerate(groups) if g == name) for name in set(groups)}


def test_features_are_directions_of_density_by_hand() -> None:
    # One stain: every pixel's optical density is a multiple of (3, 4, 0) / 5, plus nothing.
    levels = np.linspace(0.5, 1.5, 64)
    density = levels.reshape(8, 8, 1) * np.array([0.6, 0.8, 0.4])
    pixels = np.rint(256 * np.exp(-density) - 1).astype(np.uint8)
    unit = np.array([0.6, 0.8, 0.4]) / np.sqrt(0.36 + 0.64 + 0.16)
    assert stain_features(pixels) == pytest.approx([*unit, *unit], abs=0.02)
    paler = np.rint(256 * np.exp(-0.7 * density) - 1).astype(np.uint8)
    assert stain_features(paler) == pytest.approx([*unit, *unit], abs=0.02)
    assert np.isnan(stain_features(np.full((8, 8, 3), 240, np.uint8))).all()


def test_as_many_stains_as_groups_are_the_groups() -> None:
    pictures = [picture(stain, number) for stain in range(GROUPS) for number in range(6)]
    wanted = {frozenset(range(6 * stain, 6 * stain + 6)) for stain in range(GROUPS)}
    assert partition(grouped(pictures)) == wanted


def test_any_order_gives_the_same_groups_and_names() -> None:
    pictures = [picture(stain, number) for stain in range(30) for number in range(4)]
    names = [f"{i}.png" for i in range(120)]
    order = np.random.default_rng(1).permutation(120)
    first = stain_groups(pictures.__getitem__, names, [""] * 120)
    mixed = stain_groups(
        [pictures[i] for i in order].__getitem__, [names[i] for i in order], [""] * 120
    )
    assert mixed == [first[i] for i in order]
    assert len(set(first)) == GROUPS
    fewer = stain_groups(pictures.__getitem__, names[:119], [""] * 119)
    changed = {a for a, b in zip(first, fewer, strict=False) if a != b}
    assert first[119] in changed  # of other pictures it is another group, and has another name


def test_copies_and_pictures_of_one_owner_are_not_parted() -> None:
    rng = np.random.default_rng(0)
    pictures = [picture(stain, number) for stain in range(25) for number in range(3)]
    blobs = np.kron(rng.integers(0, 2, (8, 8)), np.ones((6, 6)))[..., None]
    one = np.where(blobs > 0, picture(0, 99), 250).astype(np.uint8)
    pale = np.rint(one * np.array([1.0, 0.8, 0.95])).astype(np.uint8)[:, ::-1]  # a copy, restained
    pictures += [one, np.ascontiguousarray(pale)]
    owners = ["P1" if i in (0, 40) else "" for i in range(77)]
    alone = grouped(pictures)
    assert alone[0] != alone[40]
    assert alone[75] == alone[76]
    joined = grouped(pictures, owners)
    assert joined[0] == joined[40]


def test_what_cannot_be_read_or_has_no_stain_is_grouped_all_the_same() -> None:
    def read(index: int) -> Picture:
        if index == 0:
            raise PatchesError("broken")
        return picture(index, 0) if index > 1 else np.full((48, 48, 3), 245, np.uint8)

    groups = stain_groups(read, list("abcde"), [""] * 5)
    assert groups[0] == groups[1]
    assert len(set(groups)) == 4
    assert stain_groups(read, [], []) == []
