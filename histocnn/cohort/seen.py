"""Whom a network has seen: patients, slides and files of its training and validation.

What cannot be known is "unknown", never "no", which needs two patients that are known and differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from histocnn.errors import StoreError

Seen = Literal["no", "unknown", "val", "train"]
SEEN: tuple[Seen, ...] = ("no", "unknown", "val", "train")  # the least first
PARTS: tuple[Literal["val", "train"], ...] = ("val", "train")
KINDS = ("patients", "slides", "fingerprints")

SAME_PATIENT = "same patient in training"  # what every figure of such patches bears
UNKNOWN_SEEN = "Of some patients it is unknown whether they were seen in training."


class Verdict(NamedTuple):
    """Whether a patch's patient took part in training, and as what it was recognised.

    seen: One of SEEN.
    by: "patient": another slide of the same patient took part. "slide": the slide itself did, or
        that cannot be told. "": nothing took part, as far as is known.
    """

    seen: Seen
    by: Literal["", "patient", "slide"] = ""

    @property
    def _rank(self) -> tuple[int, bool]:
        return SEEN.index(self.seen), self.by == "slide"

    @property
    def stamp(self) -> str:
        """What every picture of such patches bears; "" where nobody is known to have been seen.

        >>> Verdict("val", "patient").stamp
        'same patient in validation'
        """
        if self.seen not in PARTS:
            return ""
        part = {"train": "training", "val": "validation"}[self.seen]
        of = "same patient in" if self.by == "patient" else "this slide's patient was seen in"
        return f"{of} {part}"


UNKNOWN = Verdict("unknown")
NOT_SEEN = Verdict("no")


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that forbids the most; of none, that nobody was seen.

    >>> worst([NOT_SEEN, Verdict("val", "patient"), UNKNOWN]).seen
    'val'
    """
    return max(verdicts, key=lambda verdict: verdict._rank, default=NOT_SEEN)


@dataclass(frozen=True)
class TrainingCohort:
    """Who took part in one training.

    Attributes:
        parts: {"train" | "val": {"patients": [ids], "slides": [ids], "fingerprints": [of their
            files]}}; an id of "" stands for one that nobody knows, and no patients for all of them.
        salt: Of the ids, where they are hashed.
    """

    parts: Mapping[str, Mapping[str, Sequence[str]]]
    salt: str | None = None

    @cached_property
    def _ids(self) -> dict[tuple[str, str], frozenset[str]]:
        return {
            (part, kind): frozenset(ids.get(kind, ()))
            for part, ids in self.parts.items()
            for kind in KINDS
        }

    @property
    def patients_known(self) -> bool:
        """Whether every patient of every part is known."""
        patients = [self._ids[part, "patients"] for part in self.parts]
        return all(known and "" not in known for known in patients)

    def verdict(self, slide_id: str, patient_id: str, fingerprint: str = "") -> Verdict:
        """Which part this slide, its file or its patient was in; "" is unknown."""
        asked = dict(zip(KINDS, (patient_id, slide_id, fingerprint), strict=True))
        digests = {kind: hashed(name, self.salt) for kind, name in asked.items() if name}
        for part in reversed(PARTS):
            shared = {k for k, d in digests.items() if d in self._ids.get((part, k), ())}
            if shared:
                slides = self._ids[part, "slides"]
                other = shared == {"patients"} and slide_id and slides and "" not in slides
                return Verdict(part, "patient" if other else "slide")
        return NOT_SEEN if patient_id and self.patients_known else UNKNOWN

    def to_json(self) -> str:
        """As feature files hold it."""
        stored = {"parts": self.parts, "salt": self.salt}
        return json.dumps(stored, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> TrainingCohort:
        """The cohort of `to_json`.

        Raises:
            StoreError: The text is no such thing.
        """
        try:
            stored = json.loads(text)
        except ValueError:
            stored = None
        if not isinstance(stored, Mapping) or not _fits(stored):
            raise StoreError(
                f"no cohort of a network's training: {text[:80]}", "Make the features again."
            )
        return cls(stored["parts"], stored.get("salt"))


Cohorts = tuple[TrainingCohort, ...]  # of all trainings behind a network; () = it saw no patient
UNRECORDED = TrainingCohort({"train": {}})  # there was a training, and nobody knows with whom


def seen_by(
    cohorts: Cohorts | None, slide_id: str, patient_id: str, fingerprint: str = ""
) -> Verdict:
    """What a network saw of a slide; None = nobody recorded in what it was trained.

    >>> seen_by((), "s1", ""), seen_by(None, "s1", "P1").seen
    (Verdict(seen='no', by=''), 'unknown')
    """
    if cohorts is None:
        return UNKNOWN
    return worst(cohort.verdict(slide_id, patient_id, fingerprint) for cohort in cohorts)


def hashed(identifier: str, salt: str | None) -> str:
    """The id itself, or with a salt its sha256 (first 16 hex digits)."""
    if salt is None:
        return identifier
    return hashlib.sha256(f"{salt}:{identifier}".encode()).hexdigest()[:16]


def stored_ids(values: Iterable[str], salt: str | None = None) -> list[str]:
    """Ids as a cohort holds them: each once, sorted, with a salt hashed, "" for the unknown.

    >>> stored_ids(["P2", "", "P1", "P2"])
    ['', 'P1', 'P2']
    """
    return sorted({value and hashed(value, salt) for value in values})


def _fits(stored: Mapping[str, Any]) -> bool:
    parts, salt = stored.get("parts"), stored.get("salt")
    return (
        isinstance(parts, Mapping)
        and parts.keys() <= set(PARTS)
        and all(isinstance(ids, Mapping) for ids in parts.values())
        and all(isinstance(names, list) for ids in parts.values() for names in ids.values())
        and all(
            isinstance(name, str)
            for ids in parts.values()
            for names in ids.values()
            for name in names
        )
        and (salt is None or isinstance(salt, str))
    )
