"""`histocnn evaluate`: scores and truth in; figures with intervals and a report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from histocnn.errors import MetricError, UsageError

if TYPE_CHECKING:
    from histocnn.cohort.sheet import SlideEntry
    from histocnn.evaluation.judged import Judged
    from histocnn.evaluation.slide_report import Case, SlideOptions
    from histocnn.metrics.camelyon17 import Rule
    from histocnn.metrics.froc import Froc

    Entries = Mapping[str, SlideEntry]

Section = dict[str, Any]


def evaluate(
    scores: Path,
    out: Path,
    slides: Path | None = None,
    split: Literal["train", "val", "test"] | None = None,
    match: str = "",
    target: str | None = None,
    compare: Path | None = None,
    heatmaps: Path | None = None,
    detections: Path | None = None,
    radius_um: float = 200.0,
    min_prob: float = 0.1,
    froc: Literal["interp", "step"] = "interp",
    fp_slides: Literal["all", "normal"] = "all",
    stage_threshold: float = 0.5,
    stage_merge_um: float = 0.0,
    fit_stages: Path | None = None,
    replicates: int = 1000,
    seed: int = 0,
    allow_seen: bool = False,
    allow_missing: bool = False,
    show_ids: bool = False,
) -> int:
    """Turn scores and truth into figures with intervals, and a report that people read.

    Writes OUT/metrics.json (every figure with its interval and n), OUT/metrics.csv, OUT/figures/
    (PNG and SVG), OUT/report.html (one page that needs nothing else) and, for CAMELYON17's classes,
    OUT/stage_labels.csv. The truth is the labels in the score files, and slides.csv.

    Args:
        scores: Folder that predict, knn or probe wrote, or one file of it.
        out: Folder for the report.
        slides: slides.csv: patients, centres, the slides' own labels, annotations of lesions.
        split: Only the slides that slides.csv puts in this split.
        match: Scores' class = truth's class, where names differ: AC=Tumor,H=Normal.
        target: Class whose presence makes a slide positive, and whose regions are lesions.
        compare: A second score folder of the same patches: differences with p-values.
        heatmaps: Folder that heatmap wrote, for small pictures in the report.
        detections: Folder of <slide_id>.csv (p,x,y in level 0) instead of the heatmap's maxima.
        radius_um: Of two detections closer than this the more probable one counts.
        min_prob: Least probability of a detection.
        froc: Between two points of the FROC: a straight line, or the lower point.
        fp_slides: Slides on which false positives are counted.
        stage_threshold: CAMELYON17: probability from which a cell is tumour.
        stage_merge_um: CAMELYON17: foci at most this far apart are one.
        fit_stages: CAMELYON17: scores of labelled training nodes to fit these two on.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.
        allow_seen: Evaluate patients that were seen in training; every figure says so.
        allow_missing: Evaluate although slides of slides.csv have no scores.
        show_ids: Write patient ids and absolute paths into the report, too.

    Returns:
        0.
    """
    from histocnn.evaluation.admission import check_missing, check_seen, chosen_files, left_out
    from histocnn.evaluation.judged import judge, parse_match
    from histocnn.evaluation.slide_report import SlideOptions, choose_target
    from histocnn.scores.scorefile import open_scores

    if replicates < 1:
        raise UsageError(f"--replicates {replicates} is no number of replicates", "Give 1000.")
    entries, names = read_entries(slides, split), parse_match(match)

    def read(folder: Path, rows: Entries, part: str | None) -> Judged:
        return judge(chosen_files(open_scores(folder), rows, part), rows, names)

    judged = read(scores, entries, split)
    warnings = check_seen(judged, allow_seen=allow_seen)
    notes = check_missing(judged, entries, allow_missing=allow_missing) + left_out(judged)
    options = SlideOptions(
        target=choose_target(judged, entries, target), froc=froc, fp_slides=fp_slides,
        radius_um=radius_um, min_prob=min_prob, stage_threshold=stage_threshold,
        stage_merge_um=stage_merge_um, detections=detections, replicates=replicates, seed=seed,
    )  # fmt: skip
    metrics = patch_sections(judged, entries, options)
    if compare is not None:
        from histocnn.evaluation.patch_report import compare as compared

        other = read(compare, entries, split)
        warnings += check_seen(other, allow_seen=allow_seen)
        metrics["comparison"] = compared(judged, other, replicates=replicates, seed=seed)
    cases, curve = slide_sections(judged, entries, options, metrics)
    if entries and options.target is None:
        notes.append("No figures of slides: say with --target which class they have.")
    if is_camelyon17(cases):
        rule = None
        if fit_stages is not None:
            everyone = read_entries(slides, None)
            rule = fit(read(fit_stages, everyone, None), everyone, options, cases)
        metrics["camelyon17"] = stage_section(cases, options, rule, out)
    elif fit_stages is not None:
        raise UsageError(
            "--fit_stages without CAMELYON17's classes",
            "Label the slides negative, itc, micro or macro in slides.csv.",
        )
    metrics |= about(judged, entries, scores, show_ids=show_ids)
    metrics |= {"warnings": list(dict.fromkeys(warnings)), "notes": notes}
    write(out, judged, entries, metrics, curve, options.target, heatmaps)
    print(summary(out, metrics))
    return 0


def read_entries(slides: Path | None, split: str | None) -> dict[str, SlideEntry]:
    """The rows of slides.csv that are evaluated, by slide id.

    Raises:
        UsageError: A split is asked for without slides.csv, or it holds no slide.
    """
    from histocnn.cohort.sheet import read_cohort

    if slides is None:
        if split is not None:
            raise UsageError(f"--split {split} needs slides.csv", "Give --slides.")
        return {}
    rows = read_cohort(slides)
    kept = {row.slide_id: row for row in rows if split is None or row.split == split}
    if not kept:
        raise UsageError(f"{slides} has no slide in split {split}", "See its column split.")
    return kept


def patch_sections(judged: Judged, entries: Entries, options: SlideOptions) -> Section:
    """The sections of metrics.json on patches."""
    from histocnn.evaluation import patch_report as figures

    often: Section = {"replicates": options.replicates, "seed": options.seed}
    stored = judged.files[0].attributes
    points = figures.stored_points(stored, judged.class_names)
    centres = {slide: entry.center for slide, entry in entries.items() if entry.center}
    metrics: Section = {
        "patch": figures.patch_figures(judged, points=points, **often),
        "centres": figures.per_centre(judged, centres, **often),
        "colour_only": figures.colour_only(judged, **often),
        "k_curve": figures.k_curve(judged),
    }
    if (judged.border != judged.labels).any():
        border = figures.patch_figures(judged, labels=judged.border, **often)
        metrics["with_border"] = {key: border[key] for key in ("n", "figures", "interval")}
    if temperature := stored.get("temperature"):
        metrics["patch"]["ece_before"] = figures.ece_before(judged, temperature)
    return metrics


def slide_sections(
    judged: Judged, entries: Entries, options: SlideOptions, metrics: Section
) -> tuple[list[Case], Froc | None]:
    """Add the sections on slides and lesions to the metrics; give the slides, and the FROC."""
    from histocnn.evaluation.slide_report import froc_figures, read_cases, slide_figures

    if options.target is None:
        return [], None
    cases = read_cases(judged, entries, options.target, options)
    if not cases:
        return [], None
    metrics["slide"] = slide_figures(cases, options.target, options)
    metrics["froc"], curve = froc_figures(cases, options)
    return cases, curve


def is_camelyon17(cases: Sequence[Case]) -> bool:
    """Whether the slides' labels are the challenge's classes."""
    from histocnn.metrics.camelyon17 import SLIDE_CLASSES

    labels = {case.label for case in cases} - {None}
    return bool(labels) and labels <= set(SLIDE_CLASSES)


def fit(training: Judged, entries: Entries, options: SlideOptions, cases: Sequence[Case]) -> Rule:
    """Fit CAMELYON17's rule on the scores of labelled training nodes.

    Raises:
        MetricError: None of them has one of the challenge's classes, or one is evaluated, too.
    """
    from histocnn.evaluation.admission import some
    from histocnn.evaluation.slide_report import read_cases
    from histocnn.metrics.camelyon17 import SLIDE_CLASSES, fit_rule

    own = read_cases(training, entries, str(options.target), options)
    nodes = [case for case in own if case.label in SLIDE_CLASSES]
    both = {case.slide_id for case in nodes} & {case.slide_id for case in cases}
    if both or not nodes:
        found = f"evaluated, too: {some(sorted(both))}" if both else "no labelled node"
        raise MetricError(f"--fit_stages: {found}", "Give other nodes, labelled in slides.csv.")
    return fit_rule([(c.prob, c.cell_um) for c in nodes], [str(c.label) for c in nodes])


def stage_section(
    cases: Sequence[Case], options: SlideOptions, rule: Rule | None, out: Path
) -> Section:
    """CAMELYON17's section; writes stage_labels.csv where the slides bear the challenge's names."""
    from histocnn.evaluation.slide_report import camelyon17_figures
    from histocnn.metrics.camelyon17 import write_stage_labels

    section, classes = camelyon17_figures(cases, options, rule)
    if section["patients"] is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_stage_labels(out / "stage_labels.csv", classes)
    return section


def about(judged: Judged, entries: Entries, scores: Path, *, show_ids: bool) -> Section:
    """The parts of metrics.json that say what was evaluated."""
    import numpy as np

    from histocnn.evaluation.provenance import areas_lost, model_of, slide_rows, versions
    from histocnn.scores.scorefile import SEEN

    counts = np.bincount(judged.seen, minlength=len(SEEN)).tolist()
    return {
        "purpose": "research use only",
        "title": scores.resolve().name,
        "versions": versions(),
        "class_names": list(judged.class_names),
        "score_files": len(judged.files),
        "seen": dict(zip(SEEN, counts, strict=True)),
        "model": model_of(judged.files[0], show_ids=show_ids),
        "areas": areas_lost(judged.files),
        "slides": slide_rows(judged, entries, show_ids=show_ids),
    }


def write(
    out: Path,
    judged: Judged,
    entries: Entries,
    metrics: Section,
    curve: Froc | None,
    target: str | None,
    heatmaps: Path | None,
) -> None:
    """Write metrics.csv, the figures, the report, and metrics.json last."""
    from histocnn.evaluation.drawings import draw
    from histocnn.evaluation.galleries import heatmap_pictures, worst_pictures
    from histocnn.evaluation.table import to_csv
    from histocnn.pages.report import write_report
    from histocnn.storage.atomic import write_text
    from histocnn.storage.json import to_json

    out.mkdir(parents=True, exist_ok=True)
    names = judged.class_names
    draw(
        out / "figures", judged, metrics["patch"], froc=curve, k_curve=metrics["k_curve"],
        shown=names if len(names) > 2 else (target or names[-1],),
        footnote="includes seen patients" * bool(metrics["warnings"]),
    )  # fmt: skip
    write_text(out / "metrics.csv", to_csv(metrics))
    write_report(
        out / "report.html",
        metrics,
        figures=out / "figures",
        worst=worst_pictures(judged, entries),
        heatmaps=heatmap_pictures(heatmaps, judged) if heatmaps else (),
    )
    write_text(out / "metrics.json", to_json(metrics, indent=2) + "\n")


def summary(out: Path, metrics: Section) -> str:
    """The figures that people look at first, and what they must know, as a few lines."""
    from histocnn.pages.html import groups_text, interval_text

    patch = metrics["patch"]
    interval = patch["interval"]
    lines = [f"{out / 'report.html'}: {patch['n']:,} patches{groups_text(interval)}"]
    sections = {
        "patches": (patch, ("accuracy", "balanced_accuracy", "macro_auroc")),
        "slides": (metrics.get("slide"), ("auroc",)),
        "lesions": (metrics.get("froc"), ("froc",)),
    }
    for what, (section, keys) in sections.items():
        figures = (section or {}).get("figures", {})
        texts = [f"{key} {interval_text(figures[key])}" for key in keys if key in figures]
        if texts:
            lines.append(f"  {what:<8} {', '.join(texts)}")
    said = [*metrics["warnings"], *metrics["notes"], *filter(None, [interval["note"]])]
    return "\n".join([*lines, *(f"  {line}" for line in said)])
