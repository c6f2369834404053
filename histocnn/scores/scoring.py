"""What a score file says of its scores, and the one way to write such a file whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histocnn.cohort.seen import UNKNOWN, Seen, Verdict, worst
from histocnn.storage import store


@dataclass(frozen=True, eq=False)
class Scoring:
    """How scores came about: predict, knn, probe and train say it alike.

    Attributes:
        class_names: The C classes, in the order of the scores' columns.
        recipe: What decides whether the file is done, with its `stage`.
        verdicts: Of each patch, whether its patient took part.
        temperature: That divided the logits; None where there are none.
        thresholds: Operating points of a model: {class: {point: {"threshold"}}}.
        training: Facts of the model's training cohort.
        validation: What is remembered of the scores of validation, as `metrics.validation.Facts`.
        colour: Colours of training patches, as `reference.colour.ColourReference`.
        encoder: Whose weights the network began with, as `metrics.terms.Terms`; None: the patches,
            which are features, say it.
    """

    class_names: Sequence[str]
    recipe: Mapping[str, Any]
    verdicts: Sequence[Verdict]
    temperature: float | None = None
    thresholds: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None
    validation: Mapping[str, Any] | None = None
    colour: Mapping[str, Any] | None = None
    encoder: Mapping[str, Any] | None = None

    @property
    def seen(self) -> list[Seen]:
        """Of each patch one of `cohort.seen.SEEN`."""
        return [verdict.seen for verdict in self.verdicts]

    def stored(self, *, of_slide: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is stored beside the scores: (datasets, attributes).

        Args:
            of_slide: All patches are of one slide, so that one verdict holds for all of them.
        """
        attributes: dict[str, Any] = {
            "scores.class_names": list(self.class_names),
            "temperature": self.temperature,
            "thresholds": self.thresholds,
            "training": self.training,
            "recipe": self.recipe,
            **({} if self.encoder is None else {"encoder": self.encoder}),
        }
        # Texts of their own, because an attribute holds 64 kB.
        said = {"validation": self.validation, "training_colours": self.colour}
        facts = {name: [json.dumps(own)] for name, own in said.items() if own}
        if of_slide:
            own = worst(self.verdicts) if self.verdicts else UNKNOWN
            return facts, attributes | {"seen": own.seen, "seen_by": own.by or None}
        by = [verdict.by for verdict in self.verdicts]
        return {**facts, "seen": self.seen, **({"seen_by": by} if any(by) else {})}, attributes


def write_scores(
    target: Path,
    carried: tuple[Mapping[str, Any], Mapping[str, Any]],
    arrays: Mapping[str, Any],
    scoring: Scoring,
) -> None:
    """Write a score file in one step.

    Args:
        target: The file.
        carried: (datasets, attributes) of the patches that were scored, as `Patches.carried`.
        arrays: `scores` float32 [N, C], and what else there is of each patch or of the reference.
        scoring: What the file says of the scores.

    Raises:
        StoreError: As `store.write`.
    """
    datasets, attributes = carried
    own, said = scoring.stored(of_slide="coords" in datasets)
    store.write(target, {**datasets, **arrays, **own}, {**attributes, **said})
