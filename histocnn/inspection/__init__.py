"""What a network is made of, looks at and believes: functions of any torch module.

Everything is imported when it is first used, because torch comes with it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from histocnn.inspection.architecture import receptive_fields
    from histocnn.inspection.class_maps import cam, cams
    from histocnn.inspection.effective import effective_fields
    from histocnn.inspection.exciting import most_exciting
    from histocnn.inspection.filters import first_filters
    from histocnn.inspection.localisation import pointing
    from histocnn.inspection.patterns import excite
    from histocnn.inspection.sanity import sanity_check
    from histocnn.inspection.slide_maps import slide_map
    from histocnn.inspection.watching import activations

_HOME_OF = {
    "activations": "watching",
    "cam": "class_maps",
    "cams": "class_maps",
    "effective_fields": "effective",
    "excite": "patterns",
    "first_filters": "filters",
    "most_exciting": "exciting",
    "pointing": "localisation",
    "receptive_fields": "architecture",
    "sanity_check": "sanity",
    "slide_map": "slide_maps",
}

__all__ = [
    "activations",
    "cam",
    "cams",
    "effective_fields",
    "excite",
    "first_filters",
    "most_exciting",
    "pointing",
    "receptive_fields",
    "sanity_check",
    "slide_map",
]


def __getattr__(name: str) -> Any:
    """Import a public function when it is first asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'histocnn.inspection' has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
