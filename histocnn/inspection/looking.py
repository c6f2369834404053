"""A whole look inside a network: every part in order, as the page and inspect.json have it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import UsageError
from histocnn.inspection.explaining import allowed, checked_maps, class_maps
from histocnn.inspection.inputs import class_index
from histocnn.inspection.inspecting import (
    Looking,
    Options,
    begin,
    excited,
    fields,
    filters,
    shown_activations,
)
from histocnn.inspection.localisation import Pointing
from histocnn.inspection.locating import how_right
from histocnn.inspection.map_facts import ClassMaps, SlideFacts
from histocnn.inspection.opening import Subject
from histocnn.inspection.report import InspectReport
from histocnn.inspection.sanity import Sanity
from histocnn.inspection.shown import Shown, from_cohort, from_file
from histocnn.inspection.slide_pictures import over_slide, patches_of
from histocnn.patches.patches import Patches


def look(
    subject: Subject,
    options: Options,
    cohort: Sequence[Patches] = (),
    images: Sequence[Path] = (),
    mpp: float | None = None,
) -> tuple[InspectReport, dict[str, NDArray[np.uint8]]]:
    """Look inside a network.

    Args:
        subject: The network.
        options: How much is looked at.
        cohort: Files of patches.
        images: Image files.
        mpp: Of the image files, µm/px.

    Returns:
        Every number, and pictures uint8 [H, W, 3] by file name.

    Raises:
        UsageError: The network has no such layer; the nearest names are said.
        ModelError: Patches or images of another size or scale than the model's, or the network
            does not take them.
        PatchesError: Images or patches that cannot be read.
    """
    _check(subject, options, cohort)
    scale = subject.input_mpp(cohort[0] if cohort else None, mpp)
    looking = begin(subject, options, scale)
    files: list[Shown] = []
    for path in images:
        one, notes = from_file(subject, path, mpp)
        files.append(one)
        looking.notes += notes
    some = from_cohort(subject, cohort) if cohort else []
    kernels = filters(looking)
    seen_by = fields(looking, some or files)
    exciting, sought = excited(looking, cohort)
    shown = files or some[len(some) // 2 : len(some) // 2 + 1]
    active = shown_activations(looking, shown)
    if not shown:
        looking.notes.append(
            "Without --patches or --image there are no activations and no effective fields."
        )
    maps = explained(looking, cohort, shown)
    report = InspectReport(
        title=subject.title,
        class_names=subject.spec.class_names,
        input_px=subject.input_px,
        mpp=scale,
        architecture=looking.table,
        filters=kernels,
        fields=seen_by,
        excited=exciting,
        images={each.name: each.facts for each in shown},
        activations=active,
        patches_seen=sought,
        patches=sum(map(len, cohort)),
        maps=maps,
        seed=options.seed,
        seconds=looking.seconds,
        notes=tuple(looking.notes),
    )
    return report, looking.pictures


def _check(subject: Subject, options: Options, cohort: Sequence[Patches]) -> None:
    """Refuse a class or slide that is not there before anything is computed."""
    names = subject.spec.class_names
    if not names and (options.class_name or options.slide):
        raise UsageError(
            f"{subject.title} has no classes, so no maps of one",
            "Give --model, or leave --class_name and --slide out.",
        )
    if options.class_name is not None:
        class_index(options.class_name, len(names), names)
    if options.slide is not None:
        patches_of(cohort, options.slide)


def explained(
    looking: Looking, cohort: Sequence[Patches], shown: Sequence[Shown]
) -> ClassMaps | None:
    """Maps of the model's classes, and their checks; None of a bare backbone, and without images.

    Raises:
        UsageError: The model has no such class, or the cohort no such slide.
    """
    names, options = looking.subject.spec.class_names, looking.options
    if not names or not shown:
        return None
    index = len(names) - 1
    if options.class_name is not None:
        index = class_index(options.class_name, len(names), names)
    with looking.timed("class maps"):
        methods, refused = allowed(looking)
        maps = class_maps(looking, shown, methods, options.class_name)
    sanity: Sanity | None = None
    located: tuple[Pointing, ...] = ()
    if "grad_cam" in methods:
        with looking.timed("sanity check"):
            sanity = checked_maps(looking, cohort, index)
        with looking.timed("localisation"):
            located = how_right(looking, cohort, index, methods)
    slides: tuple[SlideFacts, ...] = ()
    if options.slide is not None:
        with looking.timed("slide"):
            slides = over_slide(looking, cohort, options.slide, index)
    return ClassMaps(methods, refused, maps, names[index], sanity, located, slides)
