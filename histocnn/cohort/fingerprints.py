"""Is one file of a slide in the cohort under two names?"""

from __future__ import annotations

from collections.abc import Iterable

from histocnn.errors import CohortError


def check_same_slides(slides: Iterable[tuple[str, str | None, str | None]]) -> None:
    """Refuse a slide that stands under two ids on both sides of what must be kept apart.

    Args:
        slides: Of each slide its id, its `Slide.fingerprint`, and the side that it is on: its
            split, or its patient; None or "" is unknown and passes.

    Raises:
        CohortError: Names both.

    >>> check_same_slides([("s1", "77-ab", "train"), ("s2", "77-ab", "train")])
    """
    first: dict[str, tuple[str, str]] = {}
    for slide_id, fingerprint, side in slides:
        if not fingerprint or not side:
            continue
        other, other_side = first.setdefault(fingerprint, (slide_id, side))
        if other != slide_id and other_side != side:
            raise CohortError(
                f"{other} ({other_side}) and {slide_id} ({side}) are the same slide: their files "
                "hold the same bytes",
                "Take one of them out, or give both the same patient and split.",
            )
