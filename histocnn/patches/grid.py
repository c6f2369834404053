"""The grid of patches over a slide: arithmetic only, no pixels are touched here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import ResolutionError, SlideError, UsageError
from histocnn.patches.cells import at_centres, covered_mean

if TYPE_CHECKING:
    from histocnn.regions.tissue import TissueMask

MAX_UPSAMPLING = 1.10  # a level 0 coarser than this × the asked µm/px has no such detail to show
DENSE = "dense"  # the attribute `scoring` of files whose network slid


@dataclass(frozen=True)
class Window:
    """What one value of a dense grid is about, in px of the patches.

    Attributes:
        side_px: Of its footprint.
        offset_px: Of the footprint from where the window begins.
        centre_px: Of the pixels that move the value, from where the window begins.
    """

    side_px: int
    offset_px: float
    centre_px: float


@dataclass(frozen=True, eq=False)
class PatchGrid:
    """Square patches at one physical scale, in row-major order, with their place on the slide.

    The grid starts at level-0 (0, 0); patch (row, col) begins at `index × stride_l0` exactly,
    and `coords` hold that position rounded to whole level-0 pixels.

    Attributes:
        size_l0: Width and height of level 0, px.
        slide_mpp: µm/px of level 0 along x and y.
        patch_px: Side of a patch, px at `mpp`.
        mpp: µm/px of the patches.
        overlap_px: Pixels that neighbouring patches share.
        coords: int64 [N, 2], (x, y) of each patch's top left corner in level-0 pixels.
        cell: int64 [N, 2], (row, col) of each patch in the grid.
        tissue_fraction: float32 [N], share of the whole patch that is tissue; NaN where unknown.
        window: Of a dense grid, whose network slid: its windows are the patches. None: patches
            were cut out alone.
    """

    size_l0: tuple[int, int]
    slide_mpp: tuple[float, float]
    patch_px: int
    mpp: float
    overlap_px: int
    cell: NDArray[np.int64]
    tissue_fraction: NDArray[np.float32]
    window: Window | None = None
    coords: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "coords", np.rint(self._starts_l0()).astype(np.int64))

    def __len__(self) -> int:
        return len(self.cell)

    @property
    def stride_px(self) -> int:
        """Distance between neighbouring patches, px at `mpp`."""
        return self.patch_px - self.overlap_px

    @property
    def stride_l0(self) -> tuple[float, float]:
        """Distance between neighbouring patches along x and y, level-0 px, unrounded."""
        return self._extent_l0(self.stride_px)

    @property
    def footprint_l0(self) -> tuple[float, float]:
        """Width and height of a patch, level-0 px, unrounded."""
        return self._extent_l0(self.window.side_px if self.window else self.patch_px)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the cells that cover level 0, scored or not."""
        columns, rows = (
            math.ceil(size / stride)
            for size, stride in zip(self.size_l0, self.stride_l0, strict=True)
        )
        return rows, columns

    def boxes_l0(self) -> NDArray[np.float64]:
        """Exact extent of each patch: float64 [N, 4], (minx, miny, maxx, maxy) in level-0 px."""
        start = self._starts_l0()
        return np.hstack([start, start + np.array(self.footprint_l0)])

    def raster(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Lay one value, or one row of values, per patch onto the grid of cells.

        Args:
            values: [N] or [N, C]; a row that holds a NaN takes no part.

        Returns:
            float32 [rows, cols] or [rows, cols, C]: for each cell the mean of the patches that
            cover its centre (without overlap: the patch's own value); on a dense grid the value at
            its centre, between those of the windows centred next to it. NaN where there is none.
        """
        if len(values) != len(self):
            raise ValueError(f"{len(values)} values for {len(self)} patches")
        shape = np.shape(values)[1:]
        table = np.asarray(values, np.float64).reshape(len(self), math.prod(shape))
        scored = ~np.isnan(table).any(axis=1)
        if self.window:
            first = self.window.centre_px / self.stride_px
            laid = at_centres(table[scored], self.cell[scored], self.shape, first)
        else:
            laid = covered_mean(table[scored], self.cell[scored], self.shape, self._reach)
        return laid.astype(np.float32).reshape(*self.shape, *shape)

    def select(self, keep: NDArray[Any]) -> PatchGrid:
        """The same grid with only the patches of a mask or index array [N]."""
        return replace(self, cell=self.cell[keep], tissue_fraction=self.tissue_fraction[keep])

    def attributes(self) -> dict[str, Any]:
        """What a file must hold, beside `cell`, to make this grid again."""
        own = self.window
        return {
            "size_l0": self.size_l0,
            "slide_mpp": self.slide_mpp,
            "patch_px": self.patch_px,
            "mpp": self.mpp,
            "stride_px": self.stride_px,
        } | ({} if own is None else {"scoring": DENSE, **stored_window(own)})

    @classmethod
    def from_attributes(
        cls,
        attributes: Mapping[str, Any],
        coords: NDArray[Any],
        cell: NDArray[Any] | None = None,
    ) -> PatchGrid:
        """Make the grid of a stored file again.

        Args:
            attributes: As `attributes()` gave them.
            coords: [N, 2], (x, y) in level-0 px.
            cell: [N, 2], (row, col); derived from `coords` for files that lack it.
        """
        patch_px, stride_px = int(attributes["patch_px"]), int(attributes["stride_px"])
        mpp, (mpp_x, mpp_y) = float(attributes["mpp"]), attributes["slide_mpp"]
        width, height = attributes["size_l0"]
        window = window_of(attributes)
        if cell is None:
            starts_px = np.asarray(coords) * np.array([mpp_x, mpp_y]) / mpp
            starts_px = starts_px - (window.offset_px if window else 0)
            cell = np.rint(starts_px / stride_px)[:, ::-1]
        return cls(
            size_l0=(int(width), int(height)),
            slide_mpp=(float(mpp_x), float(mpp_y)),
            patch_px=patch_px,
            mpp=mpp,
            overlap_px=patch_px - stride_px,
            cell=np.asarray(cell).astype(np.int64),
            tissue_fraction=np.full(len(coords), np.nan, np.float32),
            window=window,
        )

    def _starts_l0(self) -> NDArray[np.float64]:
        """Exact (x, y) of each patch's top left corner, level-0 px, float64 [N, 2]."""
        starts: NDArray[np.float64] = self.cell[:, ::-1] * np.array(self.stride_l0)
        if self.window:
            starts = starts + np.array(self._extent_l0(self.window.offset_px))
        return starts

    @property
    def _reach(self) -> int:
        # Cells, along one axis, whose centres a patch covers: d >= 0 with
        # (d + 1/2) * stride < patch, in whole numbers.
        return -(-(2 * self.patch_px - self.stride_px) // (2 * self.stride_px))

    def _extent_l0(self, px: float) -> tuple[float, float]:
        return px * self.mpp / self.slide_mpp[0], px * self.mpp / self.slide_mpp[1]


def stored_window(window: Window) -> dict[str, float]:
    """A window as the attributes of a file hold it."""
    return {
        "window_px": window.side_px,
        "offset_px": window.offset_px,
        "centre_px": window.centre_px,
    }


def window_of(attributes: Mapping[str, Any]) -> Window | None:
    """The window of a file's grid; None where patches were cut out alone."""
    if attributes.get("scoring") != DENSE:
        return None
    side_px = int(attributes.get("window_px", attributes["patch_px"]))
    centre_px = attributes.get("centre_px", side_px / 2)
    return Window(side_px, float(attributes.get("offset_px", 0)), float(centre_px))


def build_grid(
    size_l0: tuple[int, int],
    slide_mpp: tuple[float, float],
    *,
    patch_px: int,
    mpp: float,
    overlap_px: int = 0,
    tissue: TissueMask | None = None,
    min_tissue: float = 0.5,
    allow_upsampling: bool = False,
) -> PatchGrid:
    """Cover a slide with patches and keep those with enough tissue.

    Edge patches reach over the slide's border; their tissue counts as a share of the whole patch.

    Args:
        size_l0: Width and height of level 0, px.
        slide_mpp: µm/px of level 0 along x and y.
        patch_px: Side of a patch, px at `mpp`.
        mpp: µm/px of the patches.
        overlap_px: Pixels that neighbouring patches share.
        tissue: The slide's tissue; without it every patch is kept.
        min_tissue: Share of a patch that must be tissue.
        allow_upsampling: Accept a slide whose level 0 is coarser than `mpp`.

    Raises:
        UsageError: A size, overlap or share that cannot be meant.
        ResolutionError: Level 0 is coarser than 1.10 × `mpp`.
        SlideError: A patch is larger than the slide.

    >>> grid = build_grid((1000, 600), (0.25, 0.25), patch_px=224, mpp=0.5)
    >>> grid.footprint_l0, grid.shape
    ((448.0, 448.0), (2, 3))
    >>> grid.coords[-1].tolist()
    [896, 448]
    """
    check_patch_options(patch_px=patch_px, mpp=mpp, overlap_px=overlap_px, min_tissue=min_tissue)
    if max(slide_mpp) > MAX_UPSAMPLING * mpp and not allow_upsampling:
        raise ResolutionError(
            f"the slide has {max(slide_mpp):.4g} µm/px, coarser than the asked {mpp:.4g}",
            f"Ask for --mpp {max(slide_mpp):.3g} or more, or give --allow_upsampling true.",
        )
    whole = PatchGrid(
        size_l0=size_l0,
        slide_mpp=slide_mpp,
        patch_px=patch_px,
        mpp=mpp,
        overlap_px=overlap_px,
        cell=np.zeros((0, 2), np.int64),
        tissue_fraction=np.zeros(0, np.float32),
    )
    footprint = whole.footprint_l0
    if footprint[0] > size_l0[0] or footprint[1] > size_l0[1]:
        raise SlideError(
            f"a patch of {patch_px} px at {mpp:.4g} µm/px covers {footprint[0]:.0f} × "
            f"{footprint[1]:.0f} level-0 pixels, more than the slide's {size_l0[0]} × {size_l0[1]}",
            "Ask for a smaller --patch_px or --mpp.",
        )
    rows, columns = whole.shape
    cell = np.stack(np.divmod(np.arange(rows * columns), columns), axis=1)
    grid = replace(whole, cell=cell, tissue_fraction=np.full(rows * columns, np.nan, np.float32))
    if tissue is None:
        return grid
    fraction = tissue.fraction(grid.boxes_l0())
    keep = fraction >= min_tissue
    return replace(grid, cell=cell[keep], tissue_fraction=fraction[keep])


def check_patch_options(
    *, patch_px: int, mpp: float, overlap_px: int = 0, min_tissue: float = 0.5
) -> None:
    """Refuse patch options that no slide can satisfy.

    Raises:
        UsageError: Names the option, its value and the range it must lie in.
    """
    if patch_px < 1:
        raise UsageError(f"--patch_px {patch_px} is not a size", "Give at least 1, 224 as a rule.")
    if not (math.isfinite(mpp) and mpp > 0):
        raise UsageError(f"--mpp {mpp} is not a resolution", "Give µm per pixel, 0.5 as a rule.")
    if not 0 <= overlap_px < patch_px:
        raise UsageError(
            f"--overlap_px {overlap_px} does not lie between 0 and the patch's {patch_px} px",
            f"Give at most {patch_px - 1}.",
        )
    if not 0 <= min_tissue <= 1:
        raise UsageError(
            f"--min_tissue {min_tissue} is not a share", "Give a number between 0 and 1."
        )
