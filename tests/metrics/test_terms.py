"""What travels with features, and that nobody's file can make it say more than it may."""

from __future__ import annotations

from typing import Any

import pytest

from histocnn.metrics.terms import UNKNOWN, Terms


def test_it_comes_back_and_says_it_in_a_sentence() -> None:
    some = Terms("uni", "CC", ("commercial use", "selling"))
    for terms in (UNKNOWN, some, Terms("a", "MIT", ())):
        assert Terms.from_dict(terms.to_dict()) == terms
    assert Terms("a", "MIT", ()).sentence() == "Made with a (MIT)."
    both = Terms("uni", "CC-BY-NC-ND-4.0", ("commercial use", "sharing derived models"))
    assert both.sentence().endswith("forbids commercial use and sharing derived models.")
    assert Terms("gpfm").sentence() == (
        "Made with gpfm (licence unknown); what its licence forbids is unknown."
    )


def test_unknown_is_not_yes() -> None:
    assert UNKNOWN.commercial is None
    assert Terms("a", "MIT", ()).commercial is True
    assert Terms("a", "NC", ("commercial use",)).commercial is False


@pytest.mark.parametrize(
    "stored",
    [None, [], {}, {"encoder": "a"}, {"encoder": 1, "licence": "", "forbids": None},
     {"encoder": "", "licence": "", "forbids": "all"},
     {"encoder": "", "licence": "", "forbids": ["x"] * 11},
     {"encoder": "a" * 301, "licence": "", "forbids": []},
     {"encoder": "", "licence": "", "forbids": [1]}],
)  # fmt: skip
def test_anything_else_is_refused(stored: Any) -> None:
    with pytest.raises(ValueError, match="terms"):
        Terms.from_dict(stored)
