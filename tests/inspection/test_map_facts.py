"""Maps' facts as JSON has them."""

from __future__ import annotations

from histocnn.inspection.map_facts import ClassMaps
from histocnn.metrics.plain import plain


def test_what_was_not_checked_is_left_out() -> None:
    stored = plain(ClassMaps(("cam",), {}, (), "tumour"))
    assert stored == {
        "methods": ["cam"], "refused": {}, "maps": [], "of_class": "tumour", "located": [],
        "slides": [],
    }  # fmt: skip
