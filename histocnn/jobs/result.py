"""What a stage gives back to people who call it from Python; cli makes the exit code of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class StageResult:
    """What came of a stage.

    Attributes:
        outputs: The files that are there now, whole, made by this call or already done.
        failures: Why, by slide id, of what could not be made; empty when all is well.
        rows: One row of facts per slide (or per finding), as `to_dataframe` shows them.

    >>> StageResult(failures={"s1": "s1.svs: there is no such file"}).exit_code
    1
    """

    outputs: Sequence[Path] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    @property
    def exit_code(self) -> int:
        """The exit code of the command: 1 if something failed, else 0."""
        return 1 if self.failures else 0

    def to_dataframe(self) -> pd.DataFrame:
        """The rows as a table, in the order of the input."""
        import pandas as pd

        return pd.DataFrame([dict(row) for row in self.rows])
