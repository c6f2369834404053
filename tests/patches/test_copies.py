"""Copies of pictures: planted ones are found, others are not, by an oracle of each step."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from histocnn.errors import PatchesError
from histocnn.patches import copies
from histocnn.patches.copies import find_copies, orientations, perceptual_hashes, take_prints
from histocnn.phantom.cohort import PhantomSpec, make_phantom
from histocnn.slides.slide import Slide

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def tissue(tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    """60 patches of 96 px, all of different places of one phantom."""
    path = tmp_path_factory.mktemp("phantom") / "a.tif"
    make_phantom(path, PhantomSpec(size_px=(1280, 1280), tissue_px=(1280, 1280)))
    slide = Slide(path)
    places = [(x, y) for y in range(128, 1100, 128) for x in range(128, 1100, 128)][:60]
    return [slide.read(place, 96, 0.5) for place in places]


def jpeg(picture: Picture, quality: int) -> Picture:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def scaled(picture: Picture, factor: float) -> Picture:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=how), np.uint8)


def turned(picture: Picture, number: int) -> Picture:
    picture = np.rot90(picture, number // 2)
    return np.ascontiguousarray(picture[:, ::-1] if number % 2 else picture)


def found_in(pictures: list[Picture], groups: list[int] | None = None) -> list[copies.Copy]:
    prints = take_prints(pictures.__getitem__, len(pictures))
    return find_copies(prints, np.array(groups or range(len(pictures))))


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("change", ["q60", "q95", "half", "larger", "half and q75"])
def test_planted_copies_are_found(tissue: list[Picture], number: int, change: str) -> None:
    changed = {
        "q60": lambda picture: jpeg(picture, 60),
        "q95": lambda picture: jpeg(picture, 95),
        "half": lambda picture: scaled(picture, 0.5),
        "larger": lambda picture: scaled(picture, 1.5),
        "half and q75": lambda picture: jpeg(scaled(picture, 0.5), 75),
    }[change]
    planted = [changed(turned(picture, number)) for picture in tissue[:20]]
    found = found_in(tissue + planted)
    assert [(copy.first, copy.second) for copy in found] == [(i, 60 + i) for i in range(20)]
    back = {2: 6, 6: 2}.get(number, number)  # a turn by 90° is undone by one by 270°
    assert {copy.orientation for copy in found} == {copies.ORIENTATIONS[back]}


def test_different_places_are_no_copies(tissue: list[Picture]) -> None:
    assert found_in(tissue) == []


def test_within_a_group_nothing_is_looked_for(tissue: list[Picture]) -> None:
    pictures = [tissue[0], tissue[1], tissue[0], tissue[1]]
    assert [(c.first, c.second) for c in found_in(pictures, [1, 0, 0, 0])] == [(0, 2)]
    assert found_in(pictures, [0, 1, 0, 1]) == []


def test_blocks_do_not_change_what_is_found(
    tissue: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = tissue[:20] + [turned(picture, 3) for picture in tissue[:20]]
    groups = [i % 3 for i in range(40)]
    whole = found_in(pictures, groups)
    assert len(whole) == sum(i % 3 != (20 + i) % 3 for i in range(20))
    monkeypatch.setattr(copies, "_BLOCK", 7)
    monkeypatch.setattr(copies, "_PAIRS", 2)
    assert found_in(pictures, groups) == whole


def test_nearly_blank_small_and_unreadable_pictures_are_left_out(tissue: list[Picture]) -> None:
    rng = np.random.default_rng(0)
    glass = (240 + rng.normal(0, 2, (96, 96, 3))).astype(np.uint8)
    digit = cv2.resize(tissue[0], (28, 28))

    def read(index: int) -> Picture:
        if index == 2:
            raise PatchesError("broken.png: not a whole image")
        return [glass, digit, glass, tissue[1]][index]

    assert take_prints(read, 4).comparable.tolist() == [False, False, False, True]


def test_a_folder_full_of_copies_ends(
    tissue: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_PAIRS", 8)
    monkeypatch.setattr(copies, "MOST", 10)
    assert 10 <= len(found_in([tissue[0]] * 50)) < 20


def test_orientations_are_eight_and_undo_each_other() -> None:
    picture = np.arange(9).reshape(3, 3)
    assert len({each.tobytes() for each in orientations(picture)}) == 8
    assert (orientations(picture)[1] == picture[:, ::-1]).all()
    assert (orientations(picture)[2] == np.rot90(picture)).all()


def test_the_hash_is_that_of_the_published_library(tissue: list[Picture]) -> None:
    imagehash = pytest.importorskip("imagehash")
    image = pytest.importorskip("PIL.Image")
    grey = [cv2.resize(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), (32, 32)) for p in tissue]
    ours = np.unpackbits(perceptual_hashes(np.stack(grey)), axis=-1)
    theirs = [imagehash.phash(image.fromarray(picture)).hash.ravel() for picture in grey]
    np.testing.assert_array_equal(ours, theirs)


def test_no_pair_that_correlates_is_lost_before_it_is_looked_at(tissue: list[Picture]) -> None:
    """The distance that spares comparisons is never larger than the correlation allows."""
    rng = np.random.default_rng(1)
    grey = np.stack([cv2.resize(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), (16, 16)) for p in tissue])
    noisy = np.clip(turned_all(grey) + rng.normal(0, 12, (60, 16, 16)), 0, 255).astype(np.uint8)
    a, b = copies._standardised(grey), copies._standardised(noisy)
    best = np.einsum("phw,pohw->po", a, orientations(b)).max(axis=1)
    distance = ((copies._magnitudes(a) - copies._magnitudes(b)) ** 2).sum(axis=1)
    assert (distance <= 2 - 2 * best + 1e-5).all()


def turned_all(grey: Picture) -> Picture:
    return np.stack([turned(picture, i % 8) for i, picture in enumerate(grey)])
