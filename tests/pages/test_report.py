from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote

import numpy as np
import pytest

from histocnn.metrics.patch import Groups, comparison, patch_report
from histocnn.metrics.report import Report
from histocnn.metrics.sections import (
    AreaReport,
    ColourReport,
    DeLong,
    Figure,
    FrocReport,
    SlideReport,
    SlideRow,
    StageReport,
)
from histocnn.metrics.transfer import transfer
from histocnn.metrics.validation import facts
from histocnn.pages.embedded import Picture
from histocnn.pages.report import Errors, SlideErrors, name_of, points, write_report

EVIL = "<img src=x onerror=alert(1)>\"'&"
POINTS = {"youden": {"threshold": 0.25}}


def full(name: str) -> Report:
    """A report with every section, in which every text is the name."""
    rng = np.random.default_rng(0)
    labels, p = rng.integers(0, 2, 60), rng.random(60)
    scores, groups = np.stack([1 - p, p], 1), Groups(np.arange(60) % 6, name, replicates=20)
    names = ("normal", name)
    patch = patch_report(scores, labels, names, groups, points={name: POINTS})
    patch = replace(patch, ece_before=0.5, interval=replace(patch.interval, note=name, redrawn=3))
    colour = ColourReport(**vars(patch) | {"scores": patch.figures})
    row = SlideRow(name, name, name, name, 60, 50, 1, 0.5, "no", name)
    return Report(
        title=name,
        class_names=names,
        patch=patch,
        colour_training=replace(colour, folds=name),
        colour_within=replace(colour, folds=name),
        colour_only=name,
        transfer=replace(transfer(*[facts(scores, labels, groups, names, {name: POINTS})] * 2,
                                  source=name, target=name, accuracy=0.5), words=(name,)),
        target=name,
        with_border=replace(patch, n=63),
        comparison=replace(
            comparison((scores, scores), labels, names, groups, (name, name)), note=name
        ),
        centres={name: patch},
        slide=SlideReport(
            name, 4, 2, name, {"auroc": Figure(0.75, None, None)}, name,
            delong=DeLong(0.5, 1.0, name),
        ),
        froc=FrocReport(4, 3, 1, 0, (), name, name, name, figures={name: Figure(0.5, 0.25, 1.0)}),
        words=(f"{name}: told in words",),
        camelyon17=StageReport(0.5, 0.0, None, 0.5, 2, None),
        areas={name: AreaReport(2e6, 1e6, 0.5e6, (name,))},
        slides=(row,),
        seen={"no": 60, "unknown": 0, "val": 0, "train": 0},
        model={
            "recipe": {name: name}, "mpp": 0.5, "patch_px": 224, "temperature": 1.5,
            "thresholds": {name: POINTS}, "reference": {name: 3},
            "training": {"patches": {name: 9}, "prior": {name: 0.5}, "val_prior": {name: 0.25}},
        },
        warnings=(name,),
        notes=(name,),
    )  # fmt: skip


def page(tmp_path, report: Report, **pictures) -> str:
    path = tmp_path / "report.html"
    write_report(path, report, drawings=tmp_path, **pictures)
    return path.read_text()


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html.partition("</style>")[2]).split())


def test_no_name_can_become_markup(tmp_path):
    picture = Picture("data:image/jpeg;base64,", (EVIL, EVIL))
    found = page(
        tmp_path, full(EVIL), worst=[Errors(EVIL, [picture], EVIL)], heatmaps=[picture],
        explored=[SlideErrors(EVIL, 9, 3, 1, quote(EVIL), None, [(1, 2, EVIL, EVIL, EVIL, 0.5)])],
    )  # fmt: skip
    assert "<img src=x" not in found
    assert "onerror=alert(1)>" not in found
    tags = {tag.lower() for tag in re.findall(r"<\s*(\w+)", found)}
    assert tags <= {
        "html", "head", "meta", "link", "title", "style", "body", "h1", "h2", "h3", "p", "div",
        "table", "tr", "th", "td", "figure", "img", "figcaption", "br", "details", "summary", "pre",
        "b", "a",
    }  # fmt: skip
    attributes = {name for tag in re.findall(r"<img [^>]*>", found)
                  for name in re.findall(r'(\w+)="', tag)}  # fmt: skip
    assert attributes == {"src", "alt"}


def test_every_section_is_shown(tmp_path):
    picture = Picture("data:image/jpeg;base64,", ("a caption",))
    (tmp_path / "roc.svg").write_text("<svg/>")
    (tmp_path / "froc.svg").write_text("<svg/>")
    errors = [Errors("tumour called normal: 3", [picture], "2 of 3 patches cannot be shown.")]
    wrong = SlideErrors(
        "s1", 90, 30, 12, "../heat/s1.html", "errors/s1.geojson",
        [(112, 224, "", "tumour", "normal", 0.987)],
    )  # fmt: skip
    found = page(tmp_path, full("tumour"), worst=errors, heatmaps=[picture], explored=[wrong])
    assert '<a href="../heat/s1.html">the slide\'s page</a>' in found
    assert '<a href="errors/s1.geojson">for QuPath</a>' in found
    assert '<a href="../heat/s1.html#112,224">112, 224</a>' in found
    titles = re.findall(r"<h2>(.*?)</h2>", found)
    assert titles == [
        "Transfer", "Patches", "Slides and lesions", "Curves", "Colour alone",
        "Patches at outlines", "By centre", "Comparison", "Errors by slide",
        "Most confident errors", "Heatmaps", "Annotated area lost", "Cohort",
        "Model, recipe and versions",
    ]  # fmt: skip
    said = text(found)
    for sentence in (
        "For research use only: not a medical device, not for diagnosis. Intervals are 95 %, by "
        "resampling tumour.",
        "60 patches of 6 tumour; 3 replicates lacked a class and were drawn again; tumour.",
        "slide AUROC 0.750 4 slides, 2 with tumour slide AUROC (DeLong) 0.750 (0.500 to 1.000)",
        "0.500 (0.250 to 1.000) 3 lesions on 4 slides, 1 without any",
        "CAMELYON17 kappa of patients quadratic kappa of slides 0.500",
        "3 patches are crossed by an outline",
        "tumour 2.000 50.0 % 25.0 % tumour",
        "60 not seen in training",
        "slide id patient id centre scanner label patches judged unscored accuracy seen",
        "tumour 60 50 1 0.500 no",
        "Validation: 60 patches of 6 tumour (tumour). Test: 60 patches of 6 tumour.",
        "about their greatest sum (Youden) 0.250",
        "+0.000 (",
        "tumour: told in words",
        "s1: 30 errors among 90 patches, 12 confident",
        "112, 224 tumour normal 0.987 29 more in errors.csv.",
        "Calling every patch",
        "By the training patients 60 patches; the reference: tumour.",
        "By the other judged patients, each left out in turn 60 patches",
        "As an older version has it Not computed: tumour.",
        "224 px at 0.5 µm/px",
        "patches: 9 tumour",
        "training classes tumour 50.0%",
        "1.500, fitted on validation; calibration error 0.500 before",
    ):
        assert sentence in said, sentence


def test_sections_that_there_are_not_have_no_heading(tmp_path):
    report = full("tumour")
    bare = Report(title="bare", class_names=report.class_names, patch=report.patch,
                  colour_within="the score files hold no colours of the patches")  # fmt: skip
    found = page(tmp_path, bare)
    assert re.findall(r"<h2>(.*?)</h2>", found) == [
        "Patches", "Colour alone", "Cohort", "Model, recipe and versions",
    ]  # fmt: skip
    assert "Not computed: the score files hold no colours of the patches." in text(found)


def test_why_nothing_is_known_of_validation_is_said(tmp_path):
    said = text(page(tmp_path, replace(full("tumour"), transfer="validation is not known")))
    assert "Transfer Not known: validation is not known." in said


def test_what_ranks_stands_first_and_no_figure_of_ordered_classes(tmp_path):
    said = text(page(tmp_path, full("tumour")))
    assert "value (95 % interval) AUROC (mean over classes)" in said
    assert "quadratic kappa (ordered" not in said
    assert "quadratic kappa 0" not in said


def test_a_long_cohort_is_cut_and_says_so(tmp_path):
    row = SlideRow("slide", None, None, None, 1, 1, 0, None, "no")
    report = replace(full("tumour"), slides=(row,) * 1203)
    found = page(tmp_path, report)
    assert found.count("<td>slide</td>") == 200
    assert "1,003 more in metrics.json." in found
    assert "scanner" not in text(found)


def test_operating_points_show_the_threshold_that_was_stored():
    (row,) = points(full("tumour"))
    assert row[:3] == ("tumour", "about their greatest sum (Youden)", 0.25)
    assert [type(figure) for figure in row[3:]] == [Figure, Figure]


@pytest.mark.parametrize(
    ("figure", "said"),
    [("mcc", "Matthews correlation"), ("balanced_accuracy", "balanced accuracy")],
)
def test_figures_have_names_that_people_say(figure, said):
    assert name_of(figure) == said
