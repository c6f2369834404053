"""What every trial of `histocnn fool` is made with: network, detectors, patches as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import PatchesError
from histocnn.inspection import drawing, made_up
from histocnn.inspection.detectors import Detectors, confidence
from histocnn.inspection.drawing import Candidates, Division
from histocnn.inspection.fool_report import Options
from histocnn.inspection.noticing import NOBODY, Shown
from histocnn.inspection.on_pixels import OnPixels, Pixels, Response
from histocnn.patches.classes import UNKNOWN

FEW = 20  # patches, below which it is said


@dataclass(frozen=True, eq=False)
class Bench:
    """What every trial is made with.

    Attributes:
        network: The network on pixels.
        detectors: Fitted on the reference.
        found: Whose the judged patches are, [N].
        pixels: uint8 [N, H, W, 3], as read.
        patches: uint8 [N, H, W, 3], as the network is shown them.
        truth: int64 [N], what is right.
        options: How much is tried.
        batch_size: Pictures at a time.
        things: Pictures of what is not tissue, uint8 [M, H, W, 3]; None without.
        notes: What is to be said.
    """

    network: OnPixels
    detectors: Detectors
    found: Candidates
    pixels: Pixels
    patches: Pixels
    truth: NDArray[np.int64]
    options: Options
    batch_size: int
    things: Pixels | None = None
    notes: list[str] = field(default_factory=list)

    def shown(self, pixels: Pixels, *, derived: bool) -> tuple[Shown, Response]:
        """What the network and the detectors make of pictures; `derived` of the patches, or not."""
        response = self.network.respond(pixels, self.batch_size)
        nobody = np.full(len(pixels), NOBODY)
        return Shown(
            confidence(response.logits, self.network.spec.temperature),
            response.called == self.truth if derived else None,
            self.detectors.scores(response),
            self.found.owners.of_row if derived else nobody,
        ), response


def bench_of(
    network: OnPixels,
    division: Division,
    options: Options,
    *,
    things: Path | None = None,
    batch_size: int = 64,
    threads: int = 2,
) -> Bench:
    """Read the patches, fit the detectors on the reference, and say what is to be said.

    Raises:
        PatchesError: Nothing can be read, or sizes differ; too few to compare with.
        ModelError: Memory does not suffice.
    """
    spec, notes = network.spec, list[str]()
    reference = drawing.draw(division.reference, options.reference_most, options.seed)
    kept, responses = [], []
    for rows, pixels in drawing.read(reference, batch_size, threads):
        kept.append(rows)
        own = reference.take(rows)
        responses.append(network.respond(drawing.shown(own, pixels, spec), batch_size))
    judged = drawing.draw(division.judged, options.most, options.seed)
    parts = list(drawing.read(judged, batch_size, threads))
    if not kept or not parts:
        raise PatchesError("none of the patches can be read", "Check that the slides are whole.")
    if len({pixels.shape[1:] for _, pixels in parts}) > 1:
        raise PatchesError("the patches are of several sizes", "Bring all to one size first.")
    lost = len(reference) - sum(map(len, kept)) + len(judged) - sum(len(r) for r, _ in parts)
    if lost:
        notes.append(f"{lost} patches could not be read and are left out.")
    reference = reference.take(np.concatenate(kept))
    judged = judged.take(np.concatenate([rows for rows, _ in parts]))
    response = Response(
        np.concatenate([part.features for part in responses]),
        np.concatenate([part.logits for part in responses]),
    )
    detectors = _fitted(response, reference, spec.temperature, notes)
    pixels = np.concatenate([part for _, part in parts])
    patches = drawing.shown(judged, pixels, spec)
    truth = judged.labels
    if (truth == UNKNOWN).all():
        truth = network.respond(patches, batch_size).called
        notes.append(
            "No patch has a label of the model's: accuracy is not known. In its place stands how "
            "often the network calls a changed patch as it calls the unchanged one."
        )
    notes += _doubts(judged, division)
    others = None
    if things is not None:
        side_px = max(patches.shape[1:3])
        others, lost_files = made_up.read_things(
            things, side_px, options.made_up, options.seed, threads
        )
        others = others[:, : patches.shape[1], : patches.shape[2]]
        notes += lost_files
    return Bench(
        network, detectors, judged, pixels, patches, truth, options, batch_size, others, notes
    )  # fmt: skip


def _fitted(
    response: Response, reference: Candidates, temperature: float, notes: list[str]
) -> Detectors:
    unlabelled = reference.labels == UNKNOWN
    classes = np.where(unlabelled, response.called, reference.labels)
    if unlabelled.any():
        notes.append("Mahalanobis learnt from the network's own calls, for want of labels.")
    patients, slides = (
        np.unique(ids, return_inverse=True)[1]
        for ids in (reference.patient_ids, reference.slide_ids)
    )
    known = np.stack(
        [np.array(ids) != "" for ids in (reference.patient_ids, reference.slide_ids)], axis=1
    )
    groups = np.where(known, np.stack([patients, slides], axis=1), UNKNOWN)
    return Detectors(response, classes, groups, temperature)


def _doubts(judged: Candidates, division: Division) -> list[str]:
    said, classes = [], np.unique(judged.labels[judged.labels != UNKNOWN])
    if not division.apart:
        said.append(
            "The detectors learnt from patches of the patients or slides that are judged: they "
            "look better than they are. Give patches of others as --reference."
        )
    if len(judged) < FEW:
        said.append(f"{len(judged)} patches are judged: figures of so few say little.")
    if len(classes) == 1:
        said.append("All judged patches are of one class.")
    return said
