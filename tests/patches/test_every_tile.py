"""What decoding every tile adds to a slide's findings."""

from __future__ import annotations

from pathlib import Path

from histocnn.cohort.sheet import SlideEntry
from histocnn.patches.every_tile import problems_of, speed_of, with_every_tile
from histocnn.patches.examination import examine
from histocnn.patches.findings import Findings
from histocnn.patches.tiling import Options
from histocnn.slides.soundness import Level
from tests.patches.test_examination import OPTIONS, slide_file
from tests.slide_files import damage_tile, zero_bytes


def deep(path: Path, options: Options = OPTIONS) -> Findings:
    entry = SlideEntry("a", path)
    return with_every_tile(examine(entry, options), entry, options, 2, lambda *_: None)


def test_a_sound_slide_stays_sound(tmp_path: Path) -> None:
    found = deep(slide_file(tmp_path, downsamples=(1, 2)))
    assert (found.verdict, found.problems) == ("ok", [])
    assert [level["tiles"] for level in found.tiles] == [6, 2]
    assert speed_of(found).startswith("a: 8 tiles, 0 MPixel in ")


def test_a_damaged_tile_makes_the_slide_unusable_and_has_a_place(tmp_path: Path) -> None:
    path = slide_file(tmp_path, downsamples=(1,))
    zero_bytes(path, 0, 1, 1)
    damage_tile(path, 0, 2, 0)
    found = deep(path)
    assert found.verdict == "unusable"
    assert found.problems == [
        "level 0: 1 of 6 tiles cannot be decoded, the first at (512, 0)",
        "level 0: 1 of 6 tiles are not what was written (flat grey, torn or of another colour: "
        "damaged bytes), the first at (256, 256)",
    ]
    assert found.patches == 4  # what else was found stays


def test_a_slide_whose_scale_nobody_knows_is_decoded_all_the_same(tmp_path: Path) -> None:
    found = deep(slide_file(tmp_path, mpp=None))
    assert len(found.problems) == 1
    assert found.tiles[0]["tiles"] == 6


def test_a_file_that_is_no_slide_has_no_tiles(tmp_path: Path) -> None:
    (tmp_path / "a.svs").write_bytes(b"nonsense")
    found = deep(tmp_path / "a.svs")
    assert (found.tiles, speed_of(found)) == ((), "")


def test_sound_levels_have_no_problems() -> None:
    assert problems_of([Level(0, 6, 0, 0, None, None, 1, 1.0)]) == []
