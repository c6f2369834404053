"""The files of a look, and none of an earlier one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from histocnn.inspection.inspect_files import FILES, write_files
from histocnn.inspection.looking import look
from tests.inspection.looked import OPTIONS, subject_of


def test_page_numbers_and_pictures_lie_there_and_no_older_picture(tmp_path: Path) -> None:
    report, pictures = look(subject_of(tmp_path), OPTIONS)
    out = tmp_path / "out"
    (out / "pictures").mkdir(parents=True)
    for name in ("old.png", "mine.png"):  # the second is somebody's own
        (out / "pictures" / name).write_bytes(b"")
    (out / "inspect.json").write_text('{"picture": "old.png"}')
    found = write_files(out, report, pictures)
    assert {path.name for path in out.iterdir()} == set(FILES)
    assert {path.name for path in (out / "pictures").iterdir()} == {*pictures, "mine.png"}
    assert set(found) == {out / "inspect.html", out / "inspect.json"} | {
        out / "pictures" / name for name in pictures
    }
    stored = cv2.imread(str(out / "pictures" / "filters.png"))[..., ::-1]
    assert np.array_equal(stored, pictures["filters.png"])
