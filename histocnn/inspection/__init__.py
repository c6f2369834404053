"""What a network is made of, looks at and believes: functions of any torch module.

Everything is imported when it is first used, because torch comes with it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from histocnn.inspection.architecture import receptive_fields
    from histocnn.inspection.effective import effective_fields
    from histocnn.inspection.exciting import most_exciting
    from histocnn.inspection.filters import first_filters
    from histocnn.inspection.patterns import excite
    from histocnn.inspection.watching import activations

_HOME_OF = {
    "activations": "watching",
    "effective_fields": "effective",
    "excite": "patterns",
    "first_filters": "filters",
    "most_exciting": "exciting",
    "receptive_fields": "architecture",
}

__all__ = [
    "activations",
    "effective_fields",
    "excite",
    "first_filters",
    "most_exciting",
    "receptive_fields",
]


def __getattr__(name: str) -> Any:
    """Import a public function when it is first asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'histocnn.inspection' has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
