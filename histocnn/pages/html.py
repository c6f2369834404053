"""Pieces of a page that holds its pictures and asks for nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.storage.atomic import write_text

THUMBNAIL_PX = 112
HEATMAP_PX = 420

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2530; background: #fff;
  max-width: 1080px; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #d5dbe1; }
h3 { font-size: .95rem; margin: 1rem 0 .3rem; }
.purpose { color: #5b6670; margin: 0 0 1rem; }
.notes { background: #fff6e0; border-left: 4px solid #e69f00; padding: .6rem 1rem; margin: 1rem 0; }
.notes.bad { background: #fdecea; border-color: #d55e00; }
.notes p { margin: .15rem 0; }
.scroll { overflow-x: auto; margin-bottom: .8rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid #e8ecef;
  vertical-align: top; }
th { font-weight: 600; color: #44505b; }
td.number { text-align: right; }
.figures { display: flex; flex-wrap: wrap; gap: 1.2rem; }
.beside { display: flex; flex-wrap: wrap; gap: 1rem 3rem; align-items: flex-start; }
.beside p { max-width: 34rem; }
figure { margin: 0; }
figure img { max-width: 100%; height: auto; display: block; }
figcaption { font-size: .8rem; color: #5b6670; max-width: 26rem; }
.patches figcaption { max-width: 112px; overflow-wrap: anywhere; line-height: 1.25; }
.patches { display: flex; flex-wrap: wrap; gap: .6rem; margin-bottom: .8rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8rem; background: #f5f7f9;
  padding: .8rem; }
"""


class Picture(NamedTuple):
    """A picture as a data URI, and the lines below it."""

    source: str
    caption: Sequence[str]


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; numbers stand right, and everything is escaped."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    if isinstance(value, float):
        return f'<td class="number">{value:.3f}</td>'
    return f"<td>{escape('' if value is None else str(value))}</td>"


def interval_text(entry: Mapping[str, Any]) -> str:
    """A figure as people write it: 0.912 (0.871 to 0.944); "undefined" where it is."""
    if entry["value"] is None:
        return "undefined"
    if entry["low"] is None:
        return f"{entry['value']:.3f}"
    return f"{entry['value']:.3f} ({entry['low']:.3f} to {entry['high']:.3f})"


def groups_text(interval: Mapping[str, Any]) -> str:
    """What figures rest on: " of 12 patients", " of 1 slide"; nothing where it is unknown."""
    groups, unit = interval["groups"], interval["unit"]
    return f" of {groups:,} {unit.removesuffix('s') if groups == 1 else unit}" if groups else ""


def notes(lines: Sequence[str], *, bad: bool = False) -> str:
    """Lines that must be read, in a box; nothing without lines."""
    if not lines:
        return ""
    inner = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f'<div class="notes{" bad" if bad else ""}">{inner}</div>'


def section(title: str, *parts: str) -> str:
    """A heading and what follows; nothing if nothing follows."""
    inner = "".join(parts)
    return f"<h2>{escape(title)}</h2>{inner}" if inner else ""


def beside(*parts: str) -> str:
    """Parts side by side where the window is wide enough for them."""
    return f'<div class="beside">{"".join(f"<div>{part}</div>" for part in parts if part)}</div>'


def gallery(pictures: Sequence[Picture], kind: str = "figures") -> str:
    """Pictures side by side, each with its caption."""
    if not pictures:
        return ""
    inner = "".join(
        f'<figure><img src="{picture.source}" alt="{escape(" ".join(picture.caption))}">'
        f"<figcaption>{'<br>'.join(escape(line) for line in picture.caption)}</figcaption></figure>"
        for picture in pictures
    )
    return f'<div class="{kind}">{inner}</div>'


def svg(path: Path, *caption: str) -> Picture:
    """A figure that lies on disk as SVG."""
    data = base64.b64encode(path.read_bytes()).decode()
    return Picture(f"data:image/svg+xml;base64,{data}", caption)


def thumbnail(pixels: NDArray[np.uint8], *caption: str, longest_px: int = THUMBNAIL_PX) -> Picture:
    """Pixels [h, w, 3] as a small JPEG."""
    scale = min(1.0, longest_px / max(pixels.shape[:2]))
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    data = base64.b64encode(encoded.tobytes()).decode()
    return Picture(f"data:image/jpeg;base64,{data}", caption)


def picture_file(path: Path, *caption: str) -> Picture | None:
    """A picture on disk, made small; None if it cannot be read."""
    pixels = cv2.imread(str(path))
    if pixels is None:
        return None
    return thumbnail(pixels[..., ::-1].astype(np.uint8), *caption, longest_px=HEATMAP_PX)


def write_page(path: Path, title: str, purpose: str, sections: Sequence[str]) -> None:
    """Write the page; no part of it comes from elsewhere."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    write_text(
        path,
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>"
        f'<h1>{escape(title)}</h1><p class="purpose">{escape(purpose)}</p>\n'
        + "\n".join(filter(None, sections))
        + "\n</body></html>\n",
    )
