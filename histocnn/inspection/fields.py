"""Which pixels a unit can see: the theoretical receptive field, carried from call to call.

r_l = r_{l-1} + (k_l - 1) × d_l × j_{l-1} and j_l = j_{l-1} × s_l along the longest path: the rule
of Dumoulin and Visin (2016) and Araujo et al. (2019), each axis by itself. Where branches join, the
field is what any of them sees, which is the longest path's where they share a centre.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor


@dataclass(frozen=True)
class Axis:
    """What the units of a tensor see along one axis of the image.

    Attributes:
        dim: Of the tensor, along which its units lie; None: nothing is left of the axis.
        cells: Units along it.
        size_px: Pixels that one unit can see, padding counted (r).
        jump_px: From unit to unit (j).
        first_px: First pixel of unit 0's field; negative: padding lies there; None: irregular.
        whole: Every unit sees the whole image.
    """

    dim: int | None
    cells: int
    size_px: float
    jump_px: float
    first_px: float | None
    whole: bool = False

    @property
    def offset_px(self) -> float | None:
        """Centre of unit 0's field, in pixels from the centre of the image's first."""
        if self.first_px is None or self.whole:
            return None
        return self.first_px + (self.size_px - 1) / 2

    def windowed(self, kernel: float, stride: float, padding: int, dilation: int = 1) -> Axis:
        """What a unit sees that takes `kernel` of these; `cells` is the caller's to set."""
        first = None if self.first_px is None else self.first_px - padding * self.jump_px
        size = self.size_px + (kernel - 1) * dilation * self.jump_px
        return replace(self, size_px=size, first_px=first, jump_px=self.jump_px * stride)

    def pooled(self, cells: int) -> Axis:
        """What so many units see that share the axis evenly (adaptive pooling)."""
        if cells == self.cells:
            return self
        if cells == 1:
            return self.mixed(cells=1)
        starts = [floor(i * self.cells / cells) for i in range(cells)]
        ends = [ceil((i + 1) * self.cells / cells) for i in range(cells)]
        kernel = max(end - start for start, end in zip(starts, ends, strict=True))
        return replace(self.windowed(kernel, self.cells / cells, 0), cells=cells)

    def mixed(self, cells: int | None = None) -> Axis:
        """What a unit sees that takes all of these; as many units as before, or `cells`."""
        more = 0 if self.whole else (self.cells - 1) * self.jump_px  # nothing is left to be seen
        size = self.size_px + more
        kept = self.cells if cells is None else cells
        return replace(self, size_px=size, cells=kept, whole=self.whole or self.cells > 1)

    def padded(self, before: int, behind: int) -> Axis:
        """The axis with so many cells more at its ends."""
        first = None if self.first_px is None else self.first_px - before * self.jump_px
        return replace(self, first_px=first, cells=self.cells + before + behind)

    def joined(self, other: Axis) -> Axis | None:
        """What a unit sees that takes one of each; None where they lie on different grids."""
        if self.cells != other.cells and 1 not in (self.cells, other.cells):
            return None
        if self.cells == other.cells > 1 and self.jump_px != other.jump_px:
            return None
        grid = self if self.cells >= other.cells else other
        whole = self.whole or other.whole
        if self.cells != other.cells or self.first_px is None or other.first_px is None or whole:
            size = max(self.size_px, other.size_px)
            first = max(self, other, key=lambda axis: axis.size_px).first_px
        else:
            first = min(self.first_px, other.first_px)
            ends = (self.first_px + self.size_px, other.first_px + other.size_px)
            size = max(ends) - first
        return replace(grid, size_px=size, first_px=first, whole=whole)


Field = tuple[Axis, Axis]  # along y, along x


def of_image(shape: Sequence[int]) -> Field:
    """The field of an image's own pixels [..., H, W].

    >>> of_image((1, 3, 28, 30))[1].cells
    30
    """
    dims = len(shape)
    return Axis(dims - 2, shape[-2], 1, 1, 0), Axis(dims - 1, shape[-1], 1, 1, 0)


def join(fields: Sequence[Field | None]) -> Field | None:
    """What units see that take one of each; None: unknown."""
    if not fields or fields[0] is None:
        return None
    result: Field = fields[0]
    for field in fields[1:]:
        if field is None:
            return None
        rows, columns = (a.joined(b) for a, b in zip(result, field, strict=True))
        if rows is None or columns is None:
            return None
        result = (rows, columns)
    return result


def moved(field: Field, places: Mapping[int, int | None]) -> Field:
    """The field with its axes in other dimensions of the tensor."""
    rows, columns = (
        axis if axis.dim is None else replace(axis, dim=places[axis.dim]) for axis in field
    )
    return rows, columns


def reshaped(field: Field, before: Sequence[int], after: Sequence[int]) -> Field | None:
    """The field of a tensor whose shape alone is another; None where an axis was cut apart.

    Axes that were laid together (tokens of a transformer, pixels before a linear layer) lie in the
    same dimension.

    >>> tokens = reshaped(of_image((1, 8, 14, 14)), (1, 8, 14, 14), (1, 8, 196))
    >>> [axis.dim for axis in tokens]
    [2, 2]
    """
    places: dict[int, int | None] = {}
    for old, new in _groups(before, after):
        large = [dim for dim in old if before[dim] > 1]
        same = [before[dim] for dim in large] == [after[dim] for dim in new if after[dim] > 1]
        targets = [dim for dim in new if after[dim] > 1]
        for dim in old:
            if before[dim] == 1:
                places[dim] = None
            elif same:
                places[dim] = targets[large.index(dim)]
            elif len(targets) == 1:
                places[dim] = targets[0]
            else:
                split = any(axis.dim == dim for axis in field)
                if split and not (kept := _kept(before, after, old, new, dim)):
                    return None
                places[dim] = kept[0] if split else None
    return moved(field, places)


def _kept(
    before: Sequence[int], after: Sequence[int], old: Sequence[int], new: Sequence[int], dim: int
) -> list[int]:
    """Where a dimension is again that was reshaped beside others that were not kept."""
    inner = _product(before[d] for d in old if d > dim)
    return [
        d
        for d in new
        if after[d] == before[dim] and _product(after[e] for e in new if e > d) == inner
    ]


def _product(values: object) -> int:
    result = 1
    for value in values:  # type: ignore[attr-defined]
        result *= value
    return result


def _groups(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The least runs of dimensions, old and new, that hold as many values."""
    groups, i, j = [], 0, 0
    while i < len(before) or j < len(after):
        old, new = [], []
        left = right = 1
        if i < len(before):
            old.append(i)
            left, i = before[i], i + 1
        if j < len(after):
            new.append(j)
            right, j = after[j], j + 1
        while left != right:
            if left < right and i < len(before):
                old.append(i)
                left, i = left * before[i], i + 1
            elif j < len(after):
                new.append(j)
                right, j = right * after[j], j + 1
            else:
                break
        groups.append((old, new))
    return groups
