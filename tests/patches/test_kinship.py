from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from histocnn.cohort.sheet import SlideEntry
from histocnn.patches.findings import Findings
from histocnn.patches.kinship import with_kin
from histocnn.regions.sections import Section, section


def entry(slide_id: str, patient: str | None = None, split: str | None = None) -> SlideEntry:
    return SlideEntry(slide_id, Path(f"{slide_id}.svs"), patient_id=patient, split=split)


def found(slide_id: str, fingerprint: str, seen: Section | None = None) -> Findings:
    return Findings(
        slide_id=slide_id, slide_path="", fingerprint=fingerprint, section=seen, warnings=["odd"]
    )


@pytest.mark.parametrize(
    ("first", "second", "verdict", "said"),
    [
        (("P1", "train"), ("P2", "test"), "unusable", "another split and patient there"),
        (("P1", None), ("P2", None), "unusable", "another patient there"),
        ((None, "train"), (None, "test"), "unusable", "another split there"),
        (("P1", "train"), ("P1", "train"), "look", "the same bytes as s1"),
        ((None, None), ("P1", "test"), "look", "the same bytes as s1"),
    ],
)
def test_one_file_under_two_ids(
    first: tuple[str, str], second: tuple[str, str], verdict: str, said: str
) -> None:
    entries = [entry("s1", *first), entry("s0"), entry("s2", *second)]
    one, other, copy = with_kin(entries, [found("s1", "f"), found("s0", ""), found("s2", "f")])
    assert (one.remarks, other.remarks) == (["odd"], ["odd"])
    assert copy.verdict == verdict
    assert any(remark.endswith(said) for remark in copy.remarks)


@pytest.mark.parametrize(
    ("patients", "warned"),
    [(("P1", "P2"), True), ((None, None), True), (("P1", "P1"), False)],
)
def test_sections_of_the_same_tissue(patients: tuple[str, str], warned: bool) -> None:
    density = np.random.default_rng(0).uniform(0, 1, (32, 32)).astype(np.float32)
    looks = section(density, np.ones_like(density), 1e6)
    entries = [entry(f"s{i}", patient) for i, patient in enumerate(patients)]
    one, other = with_kin(entries, [found("s0", "f", looks), found("s1", "g", looks)])
    assert one.remarks == ["odd"]
    assert (other.verdict, len(other.warnings)) == ("look", 1 + warned)
    assert not warned or "looks like a section of the same tissue as s0" in other.remarks[1]
