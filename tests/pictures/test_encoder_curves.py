"""Lines of networks by a number that doubles."""

from __future__ import annotations

from histocnn.pictures.encoder_curves import Line, by_number


def test_every_network_has_a_line_and_colour_alone_a_dotted_grey_one() -> None:
    lines = [
        Line("a", [1, 2, 4], [0.5, 0.6, 0.7], [0.4, 0.5, 0.6], [0.6, 0.7, 0.8]),
        Line("b", [1, 2], [0.5, 0.6]),
        Line("colour alone", [1, 2, 4], [0.3, 0.3, 0.3], baseline=True),
    ]
    [axes] = by_number(lines, "shots", "figure").axes
    drawn = axes.get_lines()
    assert [line.get_ydata().tolist() for line in drawn] == [list(line.y) for line in lines]
    assert len({str(line.get_color()) for line in drawn}) == 3
    assert [line.get_linestyle() for line in drawn] == ["-", "-", ":"]
    assert len(axes.collections) == 1  # one band
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "4"]
