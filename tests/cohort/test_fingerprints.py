from __future__ import annotations

import pytest

from histocnn.cohort.fingerprints import check_same_slides
from histocnn.errors import CohortError


def test_one_file_under_two_ids_on_two_sides_is_refused() -> None:
    with pytest.raises(CohortError, match=r"s1 \(train\) and s2 \(test\) are the same slide"):
        check_same_slides([("s1", "f", "train"), ("s3", "g", "test"), ("s2", "f", "test")])


@pytest.mark.parametrize(
    "second",
    [("s2", "f", "train"), ("s2", "g", "test"), ("s2", None, "test"), ("s2", "f", None)],
)
def test_what_is_on_one_side_different_or_unknown_passes(
    second: tuple[str, str | None, str | None],
) -> None:
    check_same_slides([("s1", "f", "train"), second])
