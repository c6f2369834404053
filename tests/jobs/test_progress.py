"""Lines of a run where no terminal is, and bars that count what all slides have."""

from __future__ import annotations

import pytest

from histocnn.jobs.progress import Bars


def test_without_a_terminal_only_the_lines_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars("tile", 2) as bars:
        bars.tick("[s1]", 10, 100)
        bars.say("[s1]: 100 patches; " + "x" * 200)  # no markup, no wrapping
        bars.advance()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "[s1]: 100 patches; " + "x" * 200 + "\n"


def test_patches_are_counted_over_all_slides_that_began() -> None:
    with Bars("tile", 2) as bars:
        bars.tick("s1", 10, 100)
        bars.tick("s2", 5, 50)
        bars.tick("s1", 20, 100)
        bars.advance()
        slides, patches = bars._progress.tasks
    assert (slides.completed, slides.total) == (1, 2)
    assert (patches.completed, patches.total) == (25, 150)
