"""What an examination of a slide found, for people as a table and for programs as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from histocnn.regions.sections import Section


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was found out about one slide; None is what could not be found out.

    Attributes:
        slide_id: Of slides.csv, or the file's name.
        slide_path: The file's name.
        size_l0: Width and height of level 0, px.
        slide_mpp: µm/px of level 0 along x and y: as given, else the file's own.
        file_mpp: The file's own.
        objective_power: Nominal magnification.
        vendor: As OpenSlide names it.
        reader: The name of what reads its pixels.
        levels: Of each level `size_px`, `downsample` and `tile_px`, each (x, y).
        bounds_l0: (x, y, width, height) of the scanned part of level 0, px.
        fingerprint: Of the file's bytes.
        tissue_mm2: Area of its tissue.
        patches: How many `tile` would cut.
        grid_bytes: Size of the file of their grid.
        pixel_bytes: Size of their pixels.
        tiles: Of each level what decoding every tile found (`slides.soundness.Level`); empty where
            nobody asked.
        problems: Why it cannot be used at all.
        misfit: Why it cannot be cut as asked, though it is sound; empty if it can.
        warnings: What deserves a look.
        section: Its tissue, to be compared with other slides'; not among what is printed.
    """

    slide_id: str
    slide_path: str
    size_l0: tuple[int, int] | None = None
    slide_mpp: tuple[float, float] | None = None
    file_mpp: tuple[float, float] | None = None
    objective_power: float | None = None
    vendor: str = ""
    reader: str = ""
    levels: Sequence[dict[str, Any]] = ()
    bounds_l0: tuple[int, int, int, int] | None = None
    fingerprint: str = ""
    tissue_mm2: float | None = None
    patches: int | None = None
    grid_bytes: int | None = None
    pixel_bytes: int | None = None
    tiles: Sequence[dict[str, Any]] = ()
    problems: Sequence[str] = ()
    misfit: str = ""
    warnings: Sequence[str] = ()
    section: Section | None = field(default=None, repr=False, compare=False)

    @property
    def verdict(self) -> Literal["unusable", "look", "ok"]:
        """Whether to leave the slide out, to look at it, or to trust it.

        >>> Findings(slide_id="s1", slide_path="s1.svs", warnings=["no tissue found"]).verdict
        'look'
        """
        if self.problems:
            return "unusable"
        return "look" if self.misfit or self.warnings else "ok"

    @property
    def remarks(self) -> list[str]:
        """All that there is to say of it, the worst first."""
        return [*self.problems, *([self.misfit] if self.misfit else []), *self.warnings]

    def to_dict(self) -> dict[str, Any]:
        """Give every attribute but the section, and the verdict, by name."""
        found = asdict(replace(self, section=None))
        del found["section"]
        return found | {"verdict": self.verdict}


def as_json(findings: Sequence[Findings]) -> str:
    """Write the findings as a JSON list with an object per slide."""
    return json.dumps([each.to_dict() for each in findings], indent=2)


def as_table(findings: Sequence[Findings]) -> str:
    """Write a line per slide, and below them what there is to say of each."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    names = ["slide", "level 0", "µm/px", "power", "levels", "reader", "tissue", "patches", ""]
    deep = any(each.tiles for each in findings)
    for name in [*names[:-1], "whole tiles", ""] if deep else names:
        table.add_column(name, justify="left" if name in ("slide", "") else "right", no_wrap=True)
    for each in findings:
        *cells, last = _cells(each)
        cells += [_whole(each)] * deep
        table.add_row(*map(Text, (*cells, last)))  # as text: a name may look like markup
    console = Console()
    if not console.is_terminal:
        console.width = 200  # of a file or pipe nothing is known, and rows would break
    with console.capture() as capture:
        console.print(table)
        for each in findings:
            for text in each.remarks:
                line = f"{each.slide_id}: {text}"
                console.print(line, highlight=False, markup=False, soft_wrap=True)
    return capture.get().rstrip()


def _whole(findings: Findings) -> str:
    """How many of its tiles are whole: "1,781", or "1,779 of 1,781"; empty where not looked at."""
    total = sum(level["tiles"] for level in findings.tiles)
    whole = total - sum(level["unreadable"] + level["damaged"] for level in findings.tiles)
    if not total:
        return ""
    return f"{total:,}" if whole == total else f"{whole:,} of {total:,}"


def _cells(findings: Findings) -> list[str]:
    from rich.filesize import decimal

    f = findings
    return [
        f.slide_id,
        "×".join(map(str, f.size_l0)) if f.size_l0 else "",
        f"{f.slide_mpp[0]:.4g}" if f.slide_mpp else "none",
        f"×{f.objective_power:g}" if f.objective_power else "",
        " ".join(f"{level['downsample'][0]:.4g}" for level in f.levels),
        f.reader,
        "" if f.tissue_mm2 is None else f"{f.tissue_mm2:.3g} mm²",
        "" if f.patches is None else f"{f.patches} ({decimal(f.pixel_bytes or 0)})",
        f.verdict,
    ]
