"""`histocnn similar`: a place on a slide in; the archive's nearest patches, one per patient, out.

>>> import histocnn
>>> result = histocnn.similar("features", "s1.svs", (12000, 8400), "found")  # doctest: +SKIP
>>> result.rows[0]["label"], result.rows[0]["distance"]  # doctest: +SKIP
('tumour', 0.118)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histocnn.cohort.sheet import SlideEntry, listed
from histocnn.errors import FeaturesError, UsageError, one_line
from histocnn.jobs.ownership import check_apart, check_files, claim_files
from histocnn.jobs.ranges import PositiveFloat, PositiveInt, check_range
from histocnn.jobs.result import StageResult
from histocnn.patches import door
from histocnn.patches.one_place import OnePlace
from histocnn.patches.patches import open_files
from histocnn.pictures.palette import check_colours, parse_colours
from histocnn.reference.apart import Exclude
from histocnn.reference.archive import nearest_of_each, owner_in
from histocnn.reference.features import Features, feature_files, load
from histocnn.reference.memory import stays
from histocnn.reference.neighbours import Knn, Metric
from histocnn.slides.slide import Slide

if TYPE_CHECKING:
    from histocnn.pictures.similar_sheet import Found


def similar(
    reference: str | Path,
    query: str | Path,
    at: tuple[float, float] | str,
    out: str | Path,
    count: PositiveInt = 12,
    each: Exclude = "patient",
    exclude: Exclude = "patient",
    weights: str | None = None,
    backbone: str | None = None,
    model: str | Path | None = None,
    metric: Metric = "cosine",
    center: bool = True,
    slides: str | Path | None = None,
    slide_mpp: PositiveFloat | None = None,
    show_ids: bool = False,
    colours: str = "",
    device: str = "auto",
) -> StageResult:
    """Find what an archive holds like one place of a slide: the nearest patches, one per patient.

    The place is embedded as the archive was. Writes OUT/<slide_id>_x<X>_y<Y>.png (the place, and
    behind it what was found), .csv and .json of the same.

    Args:
        reference: The archive: a folder of features, with labels or without, or one such file.
        query: A slide, or a slide_id of --slides.
        at: X,Y of the middle of the place, level-0 px.
        out: Folder for the sheet.
        count: So many patches at most.
        each: One per patient (its slide, then the patch, where unknown), one per slide, or none:
            all that are near.
        exclude: Leave the query's own patient out (slide where unknown), its slide, or none.
        weights: Weights of the archive's network, as embed was given: a file, or imagenet.
        backbone: The network's name once more, where it is somebody's own, or its weights are the
            hub's and not in its cache.
        model: A model.safetensors that made the archive, instead.
        metric: Distance between features.
        center: Subtract the archive's mean first.
        slides: Where the archive's slides are now, if they were moved: a slide, a folder or
            slides.csv, which says whose they and the query are, too.
        slide_mpp: Resolution of the query's level 0, if it does not know its own.
        show_ids: Name patients on the sheet and in the tables.
        colours: Of classes, such as tumour=#c00,normal=#3a7f44.
        device: auto, cpu, cuda or cuda:N.

    Returns:
        The sheet and the tables, and a row per found patch.
    """
    out, moved, chosen = Path(out), None if slides is None else Path(slides), parse_colours(colours)
    check_range("slide_mpp", slide_mpp, PositiveFloat | None)
    place_l0, entries = _point(at), listed(moved)
    files = feature_files(Path(reference))
    check_apart(out, files)
    if why := stays(files, None):
        print(why[0].upper() + why[1:])
    archive = load(files, entries, stay=bool(why))
    check_colours(chosen, archive.class_names)
    patch = _patch(archive, _entry(str(query), entries), place_l0, slide_mpp)
    stem = f"{patch.name}_x{place_l0[0]:.0f}_y{place_l0[1]:.0f}"
    names = [f"{stem}.png", f"{stem}.csv", f"{stem}.json"]
    check_files(out, "similar", names, lambda: False)

    from histocnn.models.one_patch import embed_as  # torch is loaded when it is needed
    from histocnn.models.recalled import recalled
    from histocnn.pictures.similar_sheet import draw_found, listed_found, write_found

    trained = None if model is None else Path(model)
    source = recalled(files[0], backbone=backbone, weights=weights, model=trained)
    row = embed_as(archive, patch, source, device)
    nearest = nearest_of_each(row, archive, Knn(count, metric, center=center), exclude, each)
    sources = open_files(files, moved)
    found = listed_found(archive, sources, nearest, show_ids=show_ids)
    claim_files(out, "similar", names)
    terms = archive.terms
    stamp = one_line(terms.sentence()) if terms.is_bound else ""
    draw_found(out / names[0], patch, found, (archive, sources), stamp=stamp, colours=chosen)
    facts = {
        "slide_id": patch.name, "at_l0": place_l0, "patch_px": patch.patch_px, "mpp": patch.mpp,
        "metric": metric, "center": center, "each": each, "exclude": exclude,
        "encoder": terms.to_dict(),
    }  # fmt: skip
    write_found(out / names[1], out / names[2], found, facts)
    for line in _said(found, count, each, exclude, row, stamp):
        print(line)
    outputs = [out / name for name in names]
    return StageResult(outputs=outputs, rows=[asdict(one) for one in found])


def _said(
    found: list[Found], count: int, each: Exclude, exclude: Exclude, row: Features, stamp: str
) -> list[str]:
    """What was found, in lines, and what to know of it."""
    lines = [one_line(f"{one.rank:3}. {one.label or 'unknown'}, distance {one.distance:.3f}: "
                      f"{one.slide_id or one.path} {one.patient_id}".rstrip())
             for one in found]  # fmt: skip
    if len(found) < count:
        of = {"patient": "patients", "slide": "slides", "none": "patches"}[each]
        lines.append(f"Of {count} {of} asked for there are {len(found)}.")
    if exclude == "patient" and not row.patient_ids[0]:
        lines.append(
            f"Nobody knows whose {row.slide_ids[0]} is: patches of its patient's other slides may "
            "be among these. Give --slides slides.csv."
        )
    return [*lines, *filter(None, [stamp])]


def _point(at: tuple[float, float] | str) -> tuple[float, float]:
    """X,Y as two numbers.

    Raises:
        UsageError: They are something else.
    """
    words = at.strip("[]() ").split(",") if isinstance(at, str) else at
    try:
        x, y = (float(word) for word in words)
    except (TypeError, ValueError):
        raise UsageError(f"--at {at} is no point", "Give X,Y in level-0 pixels.") from None
    return x, y


def _entry(query: str, entries: Mapping[str, SlideEntry]) -> SlideEntry:
    """The slide of slides.csv that is meant, by its id or its file; else the file alone."""
    if query in entries:
        return entries[query]
    path = Path(query)
    of_file = {entry.slide_path.resolve(): entry for entry in entries.values()}
    return of_file.get(path.resolve(), SlideEntry(path.stem, path))


def _patch(
    archive: Features, entry: SlideEntry, at_l0: tuple[float, float], slide_mpp: float | None
) -> OnePlace:
    """The query's patch at the archive's scale.

    Raises:
        FeaturesError: The archive's scale is not known.
    """
    patch_px, mpp = archive.scales[0]
    if patch_px is None or mpp is None:
        raise FeaturesError(
            f"{archive.files[0]}: does not say its patches' "
            f"{'size' if patch_px is None else 'µm/px'}, so none can be read like them",
            "Embed the images again with their --mpp."
            if patch_px
            else "Embed patches of one size again.",
        )
    slide = Slide(entry.slide_path, mpp=entry.mpp or slide_mpp)
    slide_id, patient_id = owner_in(
        archive, slide.fingerprint, entry.slide_id, entry.patient_id or ""
    )
    stains = _stains(archive, slide, entry, (patch_px, mpp))
    return OnePlace(
        slide, at_l0, patch_px, mpp, slide_id=slide_id, patient_id=patient_id, stains=stains
    )


def _stains(
    archive: Features, slide: Slide, entry: SlideEntry, scale: tuple[int, float]
) -> dict[str, Any] | None:
    """The slide's stains, where the archive was normalised: as it has them, else as tile would."""
    if not (archive.network or {}).get("stain"):
        return None
    for file, known in zip(archive.files, archive.fingerprints, strict=True):
        if known == slide.fingerprint and (stored := door.attributes(file).get("stains")):
            return dict(stored)
    from histocnn.patches.tiling import Options, tile_slide

    patch_px, mpp = scale
    given = None if slide.mpp is None else slide.mpp[0]
    return tile_slide(entry, Options(patch_px=patch_px, mpp=mpp, slide_mpp=given)).stains.to_dict()
