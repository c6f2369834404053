"""When detection should not be believed: a sentence for each reason to look at a slide."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
Bools: TypeAlias = NDArray[np.bool_]

MOST_PEN = 0.2  # of what is stained
LEAST_TISSUE, MOST_TISSUE = 0.01, 0.95  # of the slide
# Of what lightness alone finds, pen aside, the share that is tissue by colour: at least 0.85 on
# CRC01, CMU-1 and 20 phantoms, at most 0.28 on other stains, blood, fat and grey slides.
LEAST_AGREED = 0.5
LEAST_COLOUR = 0.04  # difference between a covered pixel's channels, of what it absorbs


def doubts(rgb: Pixels, mask: Bools, pen: Bools, covered: Bools) -> list[str]:
    """Why the tissue of a slide may be wrong, and what to do; nothing where it may be trusted.

    Args:
        rgb: The overview, uint8 [h, w, 3], in bright field.
        mask: Its tissue by colour, bool [h, w].
        pen: Its ink.
        covered: What lies on the glass by lightness alone.
    """
    if covered.any() and _colour(rgb, covered) < LEAST_COLOUR:
        return [
            "it has no colour, and tissue is told by colour: draw the tissue and give it as "
            "tissue_path"
        ]
    found = []
    inked, stained = int(pen.sum()), int((mask | pen).sum())
    if inked > MOST_PEN * stained:
        found.append(
            f"{inked / stained:.0%} of what is stained was taken for pen: if it is blood or "
            "another stain, give --tissue.pen false"
        )
    share = float(mask.mean())
    if mask.any() and not LEAST_TISSUE <= share <= MOST_TISSUE:
        found.append(f"tissue is {share:.1%} of the slide")
    other = covered & ~pen
    kept = float((mask & other).sum() / other.sum()) if other.any() else 1.0
    if kept < LEAST_AGREED:
        found.append(
            f"{kept:.0%} of what lies on the glass has the colours of H&E: if the rest is fat or "
            "pale, give --tissue.keep_fat true"
        )
    agreed = float((mask & covered).sum() / mask.sum()) if mask.any() else 1.0
    if agreed < LEAST_AGREED:
        found.append(f"{1 - agreed:.0%} of the tissue is as light as the glass")
    return found


DARK_FIELD = (
    "it is a dark field (fluorescence?): what shines is taken for tissue, and nothing else here "
    "is made for it"
)


def _colour(rgb: Pixels, where: Bools) -> float:
    some = rgb[where].astype(np.int16)
    low = some.min(axis=1)
    return float((some.max(axis=1) - low).sum() / max((255 - low).sum(), 1))
