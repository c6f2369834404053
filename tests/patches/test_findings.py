"""Findings as a table for people and as JSON for programs."""

from __future__ import annotations

import json

import pytest

from histocnn.patches.findings import Findings, as_json, as_table

SOUND = Findings(
    slide_id="[b]1",
    slide_path="s1.svs",
    size_l0=(2000, 1000),
    slide_mpp=(0.25, 0.25),
    objective_power=40.0,
    reader="jpeg-tiff",
    levels=[{"downsample": (1.0, 1.0)}, {"downsample": (4.0, 4.0)}],
    tissue_mm2=1.5,
    patches=12,
    pixel_bytes=12 * 224**2 * 3,
)
BROKEN = Findings(slide_id="s2", slide_path="s2.svs", problems=["cut short"], warnings=["odd"])


@pytest.mark.parametrize(
    ("findings", "verdict", "remarks"),
    [
        (SOUND, "ok", []),
        (Findings(slide_id="s", slide_path="s", warnings=["odd"]), "look", ["odd"]),
        (Findings(slide_id="s", slide_path="s", misfit="coarse"), "look", ["coarse"]),
        (BROKEN, "unusable", ["cut short", "odd"]),
    ],
)
def test_the_worst_decides(findings: Findings, verdict: str, remarks: list[str]) -> None:
    assert (findings.verdict, findings.remarks) == (verdict, remarks)


def test_a_line_per_slide_and_the_remarks_below() -> None:
    lines = as_table([SOUND, BROKEN]).splitlines()
    assert lines[0].split()[:2] == ["slide", "level"]
    assert " ".join(lines[1].split()) == (
        "[b]1 2000×1000 0.25 ×40 1 4 jpeg-tiff 1.5 mm² 12 (1.8 MB) ok"
    )
    assert lines[2].split() == ["s2", "none", "unusable"]
    assert lines[3:] == ["s2: cut short", "s2: odd"]


def test_programs_get_every_attribute() -> None:
    sound, broken = json.loads(as_json([SOUND, BROKEN]))
    assert sound["size_l0"] == [2000, 1000]
    assert (broken["verdict"], broken["problems"], broken["misfit"]) == (
        *("unusable", ["cut short"], ""),
    )
