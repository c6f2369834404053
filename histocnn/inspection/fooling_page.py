"""fool.html: one page with the table, the lesson in words, and the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from histocnn.inspection.detectors import DETECTORS
from histocnn.inspection.fool_report import NOTICED, Exhibit, FoolReport, Kind, Trial
from histocnn.metrics.sections import Figure
from histocnn.pages.embedded import Picture, svg, thumbnail
from histocnn.pages.templating import render
from histocnn.storage.atomic import write_text

HEADINGS: Mapping[Kind, str] = {
    "tissue": "Tissue as it is",
    "attack": "Tissue under attack",
    "change": "Tissue as another laboratory, scanner or file might show it",
    "noise": "Noise",
    "thing": "Things that are not tissue",
    "ascent": "Pictures that begin as noise and end where the network is sure",
}
GREY = 128  # what a difference of nothing is shown as
FULL = 120  # what the largest possible difference is shown as, beyond it


class Row(NamedTuple):
    """A line of the table: words, then a figure by each detector and whether it is noticed."""

    kind: Kind
    name: str
    n: int
    accuracy: Figure | None
    confidence: Figure
    sure: Figure
    detectors: Sequence[tuple[Figure | None, bool]]


def rows_of(report: FoolReport) -> list[Row]:
    """The table, in the order of the trials."""
    return [
        Row(
            trial.kind,
            trial.name,
            trial.n,
            trial.figures.get("accuracy"),
            trial.figures["confidence"],
            trial.figures["sure"],
            [(trial.figures.get(f"auroc_{name}"), noticed(trial, name)) for name in DETECTORS],
        )
        for trial in report.trials
    ]


def noticed(trial: Trial, detector: str) -> bool:
    """Whether a detector tells the trial's pictures from tissue, by its AUROC."""
    found = trial.figures.get(f"auroc_{detector}")
    return found is not None and found.value is not None and found.value >= NOTICED


def words(report: FoolReport) -> list[str]:
    """The lesson in sentences, each with its figures."""
    tissue, *others = report.trials
    said = [_of_tissue(tissue, report)]
    if attacks := [trial for trial in others if trial.kind == "attack"]:
        kept = "right" if report.truth == "labels" else "called as before"
        worst = min(attacks, key=lambda trial: _value(trial, "accuracy"))
        said.append(
            f"Under attack: {worst.name} of 255 leaves {_percent(worst, 'accuracy')} {kept}, at a "
            f"mean confidence of {_percent(worst, 'confidence')}."
        )
    if made_up := [trial for trial in others if trial.kind in ("noise", "thing", "ascent")]:
        said.append(
            "Not tissue at all: mean confidence, and the share at 99 % or above, of "
            + "; ".join(
                f"{trial.name} {_percent(trial, 'confidence')}, {_percent(trial, 'sure')}"
                for trial in made_up
            )
            + "."
        )
    for detector, name in DETECTORS.items():
        seen = [
            f"{trial.name} ({_value(trial, f'auroc_{detector}'):.2f})"
            for trial in others
            if noticed(trial, detector)
        ]
        said.append(f"Noticed by {name}: {', '.join(seen) or 'nothing of this'}.")
    if lost := [trial.name for trial in others if not any(noticed(trial, d) for d in DETECTORS)]:
        said.append(f"Noticed by none of them: {', '.join(lost)}.")
    return said


def _of_tissue(tissue: Trial, report: FoolReport) -> str:
    sure = f"a mean confidence of {_percent(tissue, 'confidence')}"
    if report.truth == "agreement":
        return f"Tissue as it is: it calls the patches with {sure}; what is right is not known."
    return f"Tissue as it is: it calls {_percent(tissue, 'accuracy')} right, with {sure}."


def _value(trial: Trial, figure: str) -> float:
    found = trial.figures[figure].value
    return float("nan") if found is None else found


def _percent(trial: Trial, figure: str) -> str:
    return f"{100 * _value(trial, figure):.0f} %"


def pictures(exhibit: Exhibit) -> list[Picture]:
    """A trial's pictures, each with its call, confidence and novelty."""
    return [
        thumbnail(pixels, *caption)
        for pixels, caption in zip(exhibit.pixels, captions(exhibit), strict=True)
    ]


def captions(exhibit: Exhibit) -> list[list[str]]:
    """What stands below each of a trial's pictures."""
    rows = zip(exhibit.called, exhibit.confidence, exhibit.novelty, strict=True)
    return [captioned(called, confidence, novelty) for called, confidence, novelty in rows]


def captioned(called: str, confidence: float, novelty: float) -> list[str]:
    """What stands below a picture.

    >>> captioned("tumour", 0.9996, 100.0)
    ['tumour', '> 99.9 % sure', 'novelty 100 %']
    """
    sure = "> 99.9" if confidence > 0.999 else f"{100 * confidence:.1f}"
    return [called, f"{sure} % sure", f"novelty {novelty:.0f} %"]


def difference(
    before: NDArray[np.uint8], after: NDArray[np.uint8], epsilon: int
) -> NDArray[np.uint8]:
    """What an attack changed, made visible: grey where nothing was, full where `epsilon` was."""
    apart = after.astype(np.int64) - before
    return np.asarray(np.clip(GREY + apart * FULL // max(epsilon, 1), 0, 255), np.uint8)


def strongest(report: FoolReport) -> int:
    """The largest bound of the attacks, grey levels; 0 without any."""
    return max((trial.epsilon or 0 for trial in report.trials), default=0)


def pictured(report: FoolReport) -> list[Trial]:
    """The trials whose pictures are shown: of attacks the strongest, where something is seen."""
    return [t for t in report.trials if t.kind != "attack" or t.epsilon == strongest(report)]


def galleries(
    report: FoolReport, exhibits: Mapping[str, Exhibit]
) -> dict[str, list[tuple[str, list[Picture]]]]:
    """Under each kind's heading the pictures of its trials; of attacks the strongest alone."""
    tissue, found = exhibits[report.trials[0].name], dict[str, list[tuple[str, list[Picture]]]]()
    most = strongest(report)
    for trial in pictured(report):
        own = found.setdefault(HEADINGS[trial.kind], [])
        exhibit = exhibits[trial.name]
        own.append((trial.name, pictures(exhibit)))
        if trial.kind == "attack":
            changed = [
                thumbnail(difference(a, b, most))
                for a, b in zip(tissue.pixels, exhibit.pixels, strict=True)
            ]
            own.append((f"What {trial.name} changed, ± {most} as black and white", changed))
    return found


def write_page(
    path: Path, report: FoolReport, exhibits: Mapping[str, Exhibit], curve: Path | None
) -> None:
    """Write the page.

    Args:
        path: fool.html.
        report: The figures.
        exhibits: By each trial's name some of its pictures.
        curve: The accuracy against ε as SVG; None without attacks.
    """
    page = render(
        "fool.html.j2",
        title=f"What fools {report.model}",
        report=report,
        rows=rows_of(report),
        words=words(report),
        detectors=DETECTORS.values(),
        galleries=galleries(report, exhibits),
        curve=[] if curve is None else [svg(curve, "Attacked patches that are still right.")],
        threshold=f"{NOTICED:g}",
        interval=report.trials[0].interval,
    )
    write_text(path, page)
