"""Draw the figure of docs/dense.md: slides scored patch by patch and densely, side by side.

python benchmarks/dense_figure.py dense.png --scores patches/a.h5 dense/a.h5 --slides slides.csv
    [--scores patches/b.h5 dense/b.h5 --bare b]

Of a slide that is `--bare` no pixel and no annotation is shown, only where its tissue is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.patches.patches import open_files
from histocnn.patches.truth import TruthRule, recorded_rule
from histocnn.pictures.heat import View, score_picture
from histocnn.pictures.lettering import GREY, Words, write_png, write_words
from histocnn.pictures.overlay import shrunk, tissue_share
from histocnn.pictures.sheet import FOOTNOTE, length_text, scale_bar_um
from histocnn.scores.scored import read_scored

HEIGHT_PX = 620
DRAWN_PX = 900  # lines are drawn at this size and shrink with the picture
LETTER, MARGIN = 15, 14
TOP_PX = 44  # for two lines of words
GROUND = 205  # grey of tissue that is not shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scores", type=Path, nargs=2, action="append", required=True)
    parser.add_argument("--slides", type=Path, nargs="*", default=[])
    parser.add_argument(
        "--class_start", default="tum", help="how its name begins, in small letters"
    )
    parser.add_argument("--bare", nargs="*", default=[], help="slides that are not shown")
    options = parser.parse_args()
    panels = []
    for pair in options.scores:
        sheet = next((s for s in options.slides if pair[0].stem in s.read_text()), None)
        for path, how in zip(pair, ("patch by patch", "dense"), strict=True):
            bare = path.stem in options.bare
            picture, um = panel(path, sheet, options.class_start, bare=bare)
            panels.append((picture, um, path.stem, how))
    inner = slice(TOP_PX, TOP_PX + HEIGHT_PX), slice(MARGIN, -MARGIN)
    write_png(laid_out(panels), options.out, inner)


def panel(
    path: Path, sheet: Path | None, start: str, *, bare: bool
) -> tuple[NDArray[np.uint8], float]:
    """A slide's picture of one class down to its last patch, and its width in µm."""
    slide, (patches,) = read_scored(path), open_files([path], sheet)
    thumbnail, annotations = patches.slide.thumbnail(max_px=DRAWN_PX), {}
    if bare:
        ground = cv2.blur(tissue_share(thumbnail), (5, 5))[..., None]
        thumbnail = np.rint(255 - (255 - GROUND) * ground.repeat(3, axis=2)).astype(np.uint8)
    elif patches.annotation_path is not None:
        rule = recorded_rule(patches.attributes, path) or TruthRule()
        found = rule.read(patches.annotation_path, slide.grid.size_l0, slide.bounds_l0)
        annotations = found.classes
    view = View(slide, thumbnail, annotations)
    names = slide.class_names
    index = next(i for i, name in enumerate(names) if name.lower().startswith(start))
    pixels = score_picture(view, index).pixels
    (width, height), mpp = slide.grid.size_l0, slide.grid.slide_mpp
    last = min(1.0, (slide.grid.boxes_l0()[:, 3].max() + 100) / height)
    pixels = pixels[: round(last * len(pixels))]
    return shrunk(pixels, round(HEIGHT_PX * max(pixels.shape[:2]) / len(pixels))), width * mpp[0]


def laid_out(panels: Sequence[tuple[NDArray[np.uint8], float, str, str]]) -> NDArray[np.uint8]:
    """Panels in a row, each with its name above and its scale below."""
    width = sum(picture.shape[1] + MARGIN for picture, *_ in panels) + MARGIN
    paper = np.full((TOP_PX + HEIGHT_PX + round(3.4 * LETTER), width, 3), 255, np.uint8)
    words, x, foot = [], MARGIN, TOP_PX + HEIGHT_PX
    for picture, um, name, how in panels:
        paper[TOP_PX : TOP_PX + len(picture), x : x + picture.shape[1]] = picture
        words += [Words(x, 4, name, LETTER), Words(x, 4 + 1.3 * LETTER, how, LETTER, GREY)]
        bar_um = scale_bar_um(um)
        paper[foot + 6 : foot + 10, x : x + round(bar_um / um * picture.shape[1])] = 0
        words.append(Words(x, foot + 13, length_text(bar_um), LETTER * 0.8))
        x += picture.shape[1] + MARGIN
    words.append(Words(MARGIN, foot + 2.2 * LETTER, FOOTNOTE, LETTER * 0.7, GREY))
    return write_words(paper, words)


if __name__ == "__main__":
    main()
