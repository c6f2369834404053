"""`histocnn encoders`: pathology's networks, what they are for, and what their licences forbid.

>>> result = encoders("uni2-h", json=True)  # doctest: +ELLIPSIS
[...
>>> result.rows[0]["licence"], result.rows[0]["width"]
('CC-BY-NC-ND-4.0', 1536)
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from histocnn.jobs.result import StageResult
from histocnn.models import hub
from histocnn.models.encoders import UNVERIFIED, Encoder, named, table
from histocnn.storage.json import to_json

COLUMNS = ("name", "width", "parameters", "px", "µm/px", "licence", "commercial", "gated", "here")


def encoders(name: str | None = None, json: bool = False) -> StageResult:
    """List pathology's encoders, or say of one how to get and use it.

    Nothing is downloaded: `here` is the hub's cache on this machine.

    Args:
        name: One of them; without the flag as the first word, too.
        json: Print the rows for programs instead of the table for people.

    Returns:
        A row per encoder: the columns of docs/encoders.md, and `cached`, the file here.
    """
    chosen = list(table().values()) if name is None else [named(name)]
    rows = [row_of(each) for each in chosen]
    if json:
        print(to_json(rows, indent=1))
    elif name is None:
        print(_as_table(chosen))
    else:
        print("\n".join(_how_to(chosen[0])))
    return StageResult(rows=rows)


def row_of(each: Encoder) -> dict[str, Any]:
    """An encoder as a row: its fields, and where its weights lie here (null: nowhere)."""
    cached = each.cached()
    return {**asdict(each), "cached": None if cached is None else str(cached)}


def cells(each: Encoder) -> tuple[str, ...]:
    """An encoder's cells under `COLUMNS`, the last aside; a ? marks what is unverified."""
    commercial = {True: "yes", False: "no", None: "?"}[each.terms.commercial]
    doubt = {"px": "input_px", "µm/px": "mpp", "parameters": "said_parameters",
             "commercial": "forbids"}  # fmt: skip
    found = {
        "name": each.name,
        "width": str(each.width),
        "parameters": each.said_parameters or "-",
        "px": str(each.input_px or "any"),
        "µm/px": " ".join(f"{own:g}" for own in each.mpp) or "any",
        "licence": each.licence,
        "commercial": commercial,
        "gated": "yes" if each.gated else "no",
    }
    return tuple(
        cell + "?" * (doubt.get(key, key) in each.unverified and cell not in ("?", UNVERIFIED))
        for key, cell in found.items()
    )


def _as_table(chosen: list[Encoder]) -> str:
    rows = [COLUMNS, *((*cells(each), "yes" if each.cached() else "-") for each in chosen)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in rows]  # fmt: skip
    return "\n".join([*lines, "", "?: sources disagree or none was found. histocnn encoders NAME "
                      "says how to get one."])  # fmt: skip


def _how_to(each: Encoder) -> list[str]:
    facts = dict(zip(COLUMNS, cells(each), strict=False))
    lines = [f"{key:<12}{value}" for key, value in facts.items()]
    lines += [f"{'forbids':<12}{_forbidden(each)}"]
    lines += [f"{'pooling':<12}{each.pool or 'its own'}", f"{'cite':<12}{each.cite}"]
    if each.unverified:
        lines.append(f"{'unverified':<12}{', '.join(each.unverified)}")
    if each.note:
        lines.append(f"{'note':<12}{' '.join(each.note.split())}")
    return [*lines, "", *_steps(each)]


def _forbidden(each: Encoder) -> str:
    if each.forbids is None:
        return UNVERIFIED
    return ", ".join(each.forbids) or "nothing of note"


def _steps(each: Encoder) -> list[str]:
    """What to type, here and on a machine without a network."""
    scale = f" --mpp {each.mpp[0] if 0.5 not in each.mpp else 0.5:g}" if each.mpp else ""
    tile = f"histocnn tile --slides slides.csv --out grids --patch_px {each.input_px or 224}{scale}"
    own = f"histocnn embed --patches grids --backbone {each.name} --out features"
    if not each.architecture:
        return ["Load it by a function of yours: --backbone package.module:function."]
    if each.is_library_s:
        return [tile, f"{own} --weights imagenet"]
    if not each.hub:
        return ["Get its file (see the note), then:", tile, f"{own} --weights FILE"]
    found = each.cached()
    file = found.name if found else (each.files or hub.WEIGHTS)[0]
    lines = [f"Its weights lie here: {found}"] if found else []
    if each.gated and not found:
        lines += [f"Accept its terms at {hub.page(each.hub)}, and once: hf auth login"]
    lines += [tile, own, "", "For a machine without a network, where there is one:"]
    lines += [f"hf download {each.hub} {file} --local-dir {each.name}"]
    return [
        *lines,
        f"then copy the folder {each.name} and there: {own} --weights {each.name}/{file}",
    ]
