from __future__ import annotations

import pytest

from histocnn.errors import UsageError
from histocnn.evaluation.options import Resampling


def test_no_replicates_are_no_intervals() -> None:
    assert Resampling(1).replicates == 1
    with pytest.raises(UsageError, match="--replicates 0"):
        Resampling(0)
