"""A small look inside a LeNet-5: the parts, and the whole."""

from __future__ import annotations

from pathlib import Path

from histocnn.inspection.inspecting import Looking, Options, begin
from histocnn.inspection.opening import Subject, open_subject
from tests.models.small_networks import write_model

OPTIONS = Options(steps=2)


def subject_of(folder: Path, **spec: object) -> Subject:
    """A model for classes a and b, 28 px at 0.5 µm/px."""
    return open_subject(write_model(folder / "m.safetensors", **{"mpp": 0.5, **spec}), None, None)


def looking_at(subject: Subject, **options: object) -> Looking:
    """The beginning of a look."""
    return begin(subject, Options(**{"steps": 2, **options}), subject.input_mpp())  # type: ignore[arg-type]
