"""Which network for these patches? Folders of features opened, matched and tried one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from histocnn.cohort.sheet import SlideEntry
from histocnn.cohort.whose import NOBODY, Owners, owners
from histocnn.errors import FeaturesError, PatchesError, SlideError
from histocnn.evaluation.encoder_report import COLOUR, Against, Compared, Subject, summed_up
from histocnn.evaluation.encoder_trial import Division, Protocol, Trial, try_colour, try_out
from histocnn.metrics.terms import NOBODYS
from histocnn.patches.patches import open_files
from histocnn.patches.stain_groups import stain_groups
from histocnn.reference.features import Features, feature_files
from histocnn.reference.matching import common, names_of, open_rows
from histocnn.reference.memory import check_room
from histocnn.slides.geometry import Pixels

COPIES = 7  # of one network's features, at the most


def compared(
    folders: Sequence[Path],
    protocol: Protocol,
    *,
    entries: Mapping[str, SlideEntry] | None = None,
    against: Against = "best",
    replicates: int = 1000,
    colour: bool = True,
) -> Compared:
    """Compare networks by their features of the same labelled patches.

    Patients are kept apart, slides where they are
    unknown; where neither is known pictures of one stain are, for which every picture is read once.

    Args:
        folders: A folder of features for each network, or a file.
        protocol: How they are judged.
        entries: Rows of slides.csv by slide id, which say whose a slide is.
        against: What each is compared with.
        replicates: Of the bootstrap.
        colour: Try colour alone, too, where the features hold colours.

    Raises:
        FeaturesError: A folder is called as colour alone is; as `memory.check_room`,
            `matching.open_rows`, `matching.common`, `Features.labelled` and `Division.of`.
        PatchesError: Stain groups are needed, and the pictures are not there.
    """
    names = names_of(folders)
    if COLOUR in names:
        raise FeaturesError(
            f"{COLOUR}: a network of this name would be taken for the colours", "Rename its folder."
        )
    for folder in folders:
        check_room(feature_files(folder), COPIES, "Compare on fewer slides or images.")
    sets = [open_rows(folder, name, entries) for folder, name in zip(folders, names, strict=True)]
    keys = common(sets)
    first = sets[0].features.only(sets[0].places(keys)).labelled()
    whose = _owners(first)
    division = Division.of(first.labels, first.class_names, whose.of_row, whose.unit, protocol)
    tried: list[tuple[Subject, Trial]] = []
    for own in sets:  # one network's values at a time
        values = own.features.rows[own.places(keys)]
        tried.append((_subject(own.name, own.features), try_out(values, division)))
    if colour and np.isfinite(first.colours).all():
        subject = Subject(COLOUR, "RGB mean and deviation", 6, *_scale(first), NOBODYS)
        tried.append((subject, try_colour(first.colours, division)))
    left_out = len(sets[0].labelled_keys) - len(keys)
    return summed_up(tried, division, against=against, replicates=replicates, left_out=left_out)


def _owners(rows: Features) -> Owners:
    """Patients, slides, or stain groups of the pictures where neither is known.

    Raises:
        PatchesError: Such a picture is not there.
    """
    found = owners(rows.slide_ids, rows.patient_ids)
    if (found.of_row != NOBODY).all():
        return found
    sources = open_files(rows.files)

    def read(index: int) -> Pixels:
        pixels: Pixels = sources[rows.file[index]].patch(int(rows.row[index]))
        return pixels

    try:
        read(int((found.of_row == NOBODY).argmax()))
    except (PatchesError, SlideError) as error:
        raise PatchesError(
            f"nobody knows whose the patches are, and their pictures are not there: "
            f"{error.message}",
            "Embed them again with --patient_pattern, or with a patient_id column.",
        ) from error
    names = [f"{rows.files[file].name} {row}"
             for file, row in zip(rows.file.tolist(), rows.row.tolist(), strict=True)]  # fmt: skip
    known = [p or s for p, s in zip(rows.patient_ids, rows.slide_ids, strict=True)]
    return owners(rows.slide_ids, rows.patient_ids, stain_groups(read, names, known))


def _subject(name: str, rows: Features) -> Subject:
    """What the table says of a network."""
    network = rows.network or {}
    made_by = rows.terms.encoder or str(network.get("backbone") or "unknown")
    layers = "+".join(str(layer) for layer in network.get("layers") or ())
    said = [made_by, layers, "averaged over 8 views" * bool(network.get("tta"))]
    return Subject(
        name, ", ".join(filter(None, said)), rows.values.shape[1], *_scale(rows), rows.terms
    )


def _scale(rows: Features) -> tuple[int | None, float | None]:
    """The patches' side and µm/px, where all have the same."""
    sides, mpps = {side for side, _ in rows.scales}, {mpp for _, mpp in rows.scales}
    return (sides.pop() if len(sides) == 1 else None), (mpps.pop() if len(mpps) == 1 else None)
