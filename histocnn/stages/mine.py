"""`histocnn mine`: the most confident errors on training slides, as a list to train on again.

>>> import histocnn
>>> errors = histocnn.mine("scores", "hard.csv").to_dataframe()  # doctest: +SKIP
>>> errors.groupby("slide_id").size()  # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path

from histocnn.jobs.ranges import NonNegativeInt, PositiveInt, Probability
from histocnn.jobs.result import StageResult


def mine(
    scores: str | Path,
    out: str | Path,
    slides: str | Path | None = None,
    match: str = "",
    truth: str | None = None,
    per_slide: PositiveInt = 50,
    most: PositiveInt = 5000,
    min_confidence: Probability = 0.5,
    sheet: NonNegativeInt = 96,
    geojson: bool = False,
) -> StageResult:
    """List the most confident errors on training slides: hard examples for the next training.

    Writes OUT (a CSV: score file, row, place or path, true class, called class, confidence; the
    most confident first), beside it a contact sheet, OUT with .png, and with --geojson
    OUT_geojson/<slide_id>.geojson for QuPath. Look at it before training: an "error" is often a
    tumour that nobody annotated.

    Args:
        scores: Folder that predict, knn or probe wrote for the training slides.
        out: The CSV to write, such as hard.csv.
        slides: slides.csv: says which slides are in the training split, and where they are now.
        match: Scores' class = truth's class, where names differ: AC=Tumor,H=Normal.
        truth: Only patches of this true class, such as normal: hard negatives.
        per_slide: At most so many of one slide.
        most: At most so many in all.
        min_confidence: Least score of the wrong class.
        sheet: Patches on the contact sheet; 0 = none.
        geojson: Write the errors of each slide as annotations, too.

    Returns:
        The list and the sheet; its rows are the list's.
    """
    from histocnn.cohort.sheet import read_cohort
    from histocnn.evaluation.admission import truth_remarks
    from histocnn.evaluation.judged import judge, parse_match
    from histocnn.evaluation.mining import (
        Mining,
        check_list,
        draw_sheet,
        hardest,
        listed,
        outlines,
        to_csv,
        trained_on,
        write_outlines,
    )
    from histocnn.scores.scorefile import open_scores
    from histocnn.storage.atomic import sweep, write_text

    mining, out = (
        Mining(
            truth=truth,
            per_slide=per_slide,
            most=most,
            min_confidence=min_confidence,
            sheet=sheet,
        ),
        Path(out),
    )
    check_list(out, Path(scores), with_sheet=sheet > 0, with_outlines=geojson)
    entries = {row.slide_id: row for row in read_cohort(Path(slides))} if slides else {}
    judged = judge(open_scores(Path(scores)), entries, parse_match(match))
    training = trained_on(judged, entries)
    for remark in truth_remarks(judged):  # train reads what the grids hold
        print(f"{remark} Tile them again before you train on this list.")
    rows = hardest(judged, training, mining)
    lines, outputs = listed(judged, rows), [out]
    write_text(out, to_csv(lines))
    print(f"{out}: {len(rows):,} of {int(training.sum()):,} training patches")
    if sheet and len(rows):
        picture = out.with_suffix(".png")
        shown = rows[:sheet].tolist()
        lost = draw_sheet(picture, judged, entries, shown)
        outputs += [picture] * (lost < len(shown))
        print(f"{picture}: look before you train; {lost} could not be read")
    if geojson:
        outputs += write_outlines(outlines(out), judged, rows)
        print(f"{outlines(out)}: drag a slide's file onto it in QuPath")
    sweep(out.parent)  # what a killed run left
    return StageResult(outputs=outputs, rows=lines)
