"""Colours that colour-blind people can tell apart and that stand out from pink and purple.

>>> class_colours(["normal", "tumour"]).tolist()  # a tumour is warm, and nothing beside it is
[[0, 114, 178], [213, 94, 0]]
>>> class_colours(["normal", "tumour"], {"normal": (0, 200, 0)}).tolist()
[[0, 200, 0], [213, 94, 0]]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import count
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import UsageError

Colour: TypeAlias = tuple[int, int, int]
Colours: TypeAlias = Mapping[str, Colour]  # of classes by name

# Okabe and Ito's palette (jfly.uni-koeln.de/color), those that stand out from H&E first; of the
# first six one is blue.
OKABE_ITO = np.array(
    [
        [0, 114, 178],  # blue
        [230, 159, 0],  # orange
        [0, 158, 115],  # bluish green
        [213, 94, 0],  # vermillion
        [240, 228, 66],  # yellow
        [204, 121, 167],  # reddish purple
        [86, 180, 233],  # sky blue: far from the other blue, and from its lighter second round
        [0, 0, 0],
    ],
    dtype=np.uint8,
)
_WARM = (3, 1, 5, 4)  # of them, in the order in which tumours take them
_COOL = (0, 2, 6, 7)
_TUMOUR = re.compile(r"tumou?r|cancer|carcinom|sarcom|melanom|lymphom|malign|metasta|neoplas", re.I)
_NO_TUMOUR = re.compile(r"\b(no|non|not|without)[ _-]?", re.I)
SCORE_MAP = "viridis"
NOVELTY_MAP = "plasma"
# Each 17th of the 256 steps of matplotlib's maps (CC0); lines between them are within 7 of 255.
_MAPS: Mapping[str, str] = {
    "viridis": "440154 48196b 462f7c 404387 38568b 30678d 29788e 23888d 1e988a 22a784 35b778 53c567"
    " 79d151 a5da35 d2e11b fde724",
    "plasma": "0c0786 330497 4f02a2 6a00a7 8405a6 9b179e b02a8f c23d80 d25070 e06461 ec7853 f68e44"
    " fca635 fdc029 f9db24 eff821",
}


def palette(how_many: int) -> NDArray[np.uint8]:
    """So many colours, [n, 3]; beyond eight, the same again, lighter each round."""
    return _at(np.arange(how_many))


def class_colours(names: Sequence[str], chosen: Colours | None = None) -> NDArray[np.uint8]:
    """One colour per class, [C, 3]: the chosen one, else warm for tumours and cool beside them.

    Where no name is a tumour's, classes take the palette in its order.

    Args:
        names: The classes; equal names give equal colours, whatever is chosen for others.
        chosen: Colours by name, as `parse_colours` reads them; names that are no class do nothing.
    """
    warm = [bool(_TUMOUR.search(name)) and not _NO_TUMOUR.search(name) for name in names]
    if not any(warm):
        steps = list(range(len(names)))
    else:
        free = {True: _rounds(_WARM + _COOL), False: _rounds(_COOL + _WARM)}
        steps, taken = [0] * len(names), set[int]()
        for place in sorted(range(len(names)), key=lambda place: not warm[place]):
            steps[place] = next(step for step in free[warm[place]] if step not in taken)
            taken.add(steps[place])
    colours = _at(np.array(steps, np.intp))
    for place, name in enumerate(names):
        if chosen and name in chosen:
            colours[place] = chosen[name]
    return colours


def parse_colours(text: str) -> Colours:
    """Colours by class, as people write them on the command line.

    Args:
        text: CLASS=COLOUR, separated by commas; a colour is #rrggbb or #rgb.

    Raises:
        UsageError: A part of it is no such thing, or names a class again.

    >>> parse_colours("tumour=#c00, normal=#3a7f44")
    {'tumour': (204, 0, 0), 'normal': (58, 127, 68)}
    """
    chosen: dict[str, Colour] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, written = (side.strip() for side in part.rpartition("="))
        digits = written.removeprefix("#")
        if not name or name in chosen or not re.fullmatch(r"(?:[0-9a-fA-F]{3}){1,2}", digits):
            raise UsageError(
                f"--colours: {part!r} gives no class its colour",
                "Write it as tumour=#cc0000,normal=#3a7f44, each class once.",
            )
        width = len(digits) // 3
        red, green, blue = (digits[i : i + width] * (3 - width) for i in range(0, 3 * width, width))
        chosen[name] = int(red, 16), int(green, 16), int(blue, 16)
    return chosen


def check_colours(chosen: Colours | None, names: Sequence[str]) -> None:
    """Refuse a colour for a class that is not there, which would be a slip of the pen.

    Raises:
        UsageError: Names it, and the classes that there are.
    """
    strangers = [name for name in chosen or () if name not in names]
    if strangers:
        raise UsageError(
            f"--colours: there is no class {strangers[0]!r}", f"There are {', '.join(names)}."
        )


def _rounds(order: Sequence[int]) -> Iterator[int]:
    """Steps of the palette in an order, then the same of each lighter round."""
    return (lighter + step for lighter in count(0, len(OKABE_ITO)) for step in order)


def _at(steps: NDArray[np.intp]) -> NDArray[np.uint8]:
    """The palette at these steps, [n, 3]; each round is lighter than the one before."""
    towards_white = 1 - 0.6 ** (steps // len(OKABE_ITO))
    base = OKABE_ITO[steps % len(OKABE_ITO)].astype(np.float64)
    return np.rint(base + (255 - base) * towards_white[:, None]).astype(np.uint8)


@cache
def map_table(name: str) -> NDArray[np.uint8]:
    """A perceptually even colour map as 256 steps from 0 to 1, [256, 3]; do not write into it."""
    knots = np.array([list(bytes.fromhex(knot)) for knot in _MAPS[name].split()], np.float64)
    at, steps = np.linspace(0, 255, len(knots)), np.arange(256)
    channels = [np.interp(steps, at, knots[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def shade(values: NDArray[np.floating], name: str = SCORE_MAP) -> NDArray[np.uint8]:
    """Values from 0 to 1 in the colours of a map, RGB [..., 3]; NaN as 0."""
    step = np.rint(np.clip(np.nan_to_num(values), 0, 1) * 255).astype(np.uint8)
    painted: NDArray[np.uint8] = map_table(name)[step]
    return painted
