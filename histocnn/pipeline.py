"""`histocnn run`: stages called in order, from slides to a report.

>>> import histocnn
>>> result = histocnn.run("slides.csv", "out", model="model.safetensors")  # doctest: +SKIP
>>> result.failures, list(result.parts)  # doctest: +SKIP
({}, ['doctor', 'tile', 'predict', 'heatmap', 'evaluate'])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from histocnn.errors import UsageError
from histocnn.jobs.ranges import (
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
    check_ranges,
)
from histocnn.jobs.steps import RunResult, Steps
from histocnn.patches import door
from histocnn.scores.scorefile import open_score_file

# Stages are imported where they run: half of them bring torch, and none is needed for --help.


def run(
    slides: str | Path,
    out: str | Path,
    model: str | Path | None = None,
    reference: str | Path | None = None,
    weights: str | Path | None = None,
    patch_px: PositiveInt | None = None,
    mpp: PositiveFloat | None = None,
    slide_mpp: PositiveFloat | None = None,
    overlap_px: NonNegativeInt = 0,
    min_tissue: Share = 0.5,
    k: PositiveInt = 20,
    dense: bool = True,
    html: bool = False,
    match: str = "",
    allow_seen: bool = False,
    allow_shared_patient: bool = False,
    workers: PositiveInt = 1,
    threads: PositiveInt = 2,
    backbone: str | None = None,
) -> RunResult:
    """Tile slides, score them, lay heatmaps over them, and evaluate where truth is given.

    Give either --model (a model.safetensors scores the slides, densely where its network can) or
    --reference (labelled features score patches by their nearest neighbours), or both: then the
    model only makes the features.

    Args:
        slides: A slide, a folder of slides, or a slides.csv; with annotations it is the truth.
        out: Folder for grids, scores, heatmaps and report.
        model: A model.safetensors that histocnn trained.
        reference: Folder of features with labels that `histocnn embed` wrote, or one file of it.
        weights: Weights of the reference's backbone: a file, or imagenet to download them; an
            encoder's come from the hub without it.
        patch_px: Side of the patches, if neither model nor reference knows.
        mpp: Resolution of the patches in µm per pixel, if neither model nor reference knows.
        slide_mpp: Resolution of level 0 for slides that do not know their own.
        overlap_px: Pixels that neighbouring patches share; any ask for patch by patch.
        min_tissue: Share of a patch that must be tissue, 0 to 1.
        k: Number of neighbours.
        dense: Score every window at the network's own stride; where the network cannot, and for
            --dense false, patch by patch.
        html: Write an interactive page per slide, too.
        match: Scores' class = truth's class, where names differ: AC=Tumor,H=Normal.
        allow_seen: Evaluate patients that were seen in training; every figure says so.
        allow_shared_patient: Evaluate slides of whose patients other slides were trained on; every
            figure says so.
        workers: Slides in parallel processes; worker i on GPU i.
        threads: Readers per slide.
        backbone: Of somebody's own network its package.module:Class, if you trust it, or an
            encoder's name, if the hub may be asked for its weights.

    Returns:
        What came of every stage, as `parts`, and the `report` where there is truth.
    """
    from histocnn.evaluation.writing import check as check_report
    from histocnn.pages.index import check as check_index

    scorer = Scorer(
        model=None if model is None else Path(model),
        reference=None if reference is None else Path(reference),
        weights=None if weights is None else str(weights),
        backbone=backbone,
        k=k,
        dense=dense and not overlap_px,
        workers=workers,
        threads=threads,
    )
    grids = Grids(
        scale=scorer.scale(patch_px, mpp),
        slide_mpp=slide_mpp,
        overlap_px=overlap_px,
        min_tissue=min_tissue,
        workers=workers,
    )
    steps, slides, out = Steps(), Path(slides), Path(out)
    check_report(out / "report")  # the last stage; it shall not refuse after all the others' work
    check_index(out)
    grids.make(steps, slides, out / "grids")
    scorer.score(steps, slides, out, grids.scale.patch_px)
    _draw(steps, slides, out, html=html, workers=workers)
    if _has_truth(out / "scores"):
        _evaluate(
            steps, slides, out,
            match=match, allow_seen=allow_seen, allow_shared_patient=allow_shared_patient,
        )  # fmt: skip
        _write_index(out)  # once more, with its report
    print(f"Where the time went, {steps}")
    return steps.result


@dataclass(frozen=True)
class Scale:
    """The patches that a model or a reference was made for."""

    patch_px: int
    mpp: float


@dataclass(frozen=True)
class Grids:
    """How slides are cut into patches; as the options of `run`."""

    scale: Scale
    slide_mpp: PositiveFloat | None = None
    overlap_px: NonNegativeInt = 0
    min_tissue: Share = 0.5
    workers: PositiveInt = 1

    def __post_init__(self) -> None:
        check_ranges(self)

    def make(self, steps: Steps, slides: Path, out: Path) -> None:
        """Look at the slides, then tile them."""
        from histocnn.stages.doctor import doctor
        from histocnn.stages.tile import tile

        options: dict[str, Any] = {
            "patch_px": self.scale.patch_px,
            "mpp": self.scale.mpp,
            "min_tissue": self.min_tissue,
            "slide_mpp": self.slide_mpp,
        }
        steps.take("doctor", "can these slides be trusted?", partial(doctor, slides, **options))
        options |= {"overlap_px": self.overlap_px, "workers": self.workers}
        purpose = f"patches of {self.scale.patch_px} px at {self.scale.mpp:g} µm/px"
        steps.take("tile", purpose, partial(tile, slides, out, **options))


@dataclass(frozen=True)
class Scorer:
    """What scores the patches; as the options of `run`.

    Raises:
        UsageError: Neither a model nor a reference, or a number out of range.
    """

    model: Path | None = None
    reference: Path | None = None
    weights: str | None = None
    backbone: str | None = None
    k: PositiveInt = 20
    dense: bool = True
    workers: PositiveInt = 1
    threads: PositiveInt = 2

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.model is None and self.reference is None:
            raise UsageError("run needs --model FILE or --reference FOLDER", "Give one of the two.")

    def scale(self, patch_px: int | None, mpp: float | None) -> Scale:
        """The scale of the model or the reference; the given one where neither knows its own.

        Raises:
            UsageError: Neither knows it, and it is not given.
        """
        own: Mapping[str, Any]
        if self.model is not None:
            from histocnn.models.spec import read_spec

            spec = read_spec(self.model)
            own = {"patch_px": spec.patch_px, "mpp": spec.mpp}
        else:
            own = door.attributes(self._first_of_reference())
        patch_px, mpp = own.get("patch_px") or patch_px, own.get("mpp") or mpp
        if not patch_px or not mpp:
            raise UsageError(
                f"{self.model or self.reference}: does not know at which scale its patches were",
                "Give --patch_px and --mpp.",
            )
        return Scale(int(patch_px), float(mpp))

    def score(self, steps: Steps, slides: Path, out: Path, patch_px: int) -> None:
        """Score OUT/grids into OUT/scores, by way of OUT/features where there is a reference."""
        if self.reference is None:
            assert self.model is not None  # noqa: S101 - one of the two is there
            self._predict(steps, self.model, slides, out, patch_px)
            return
        how: dict[str, Any] = {"workers": self.workers, "threads": self.threads}
        from histocnn.stages.embed import embed
        from histocnn.stages.knn import knn

        network: dict[str, Any] = {"model": self.model, "backbone": self.backbone}
        network |= {} if self.model else self._network_of_reference()
        step = partial(embed, out / "grids", out / "features", **network, **how)
        steps.take("embed", f"features by {self.model or network['backbone']}", step)
        vote = partial(knn, self.reference, out / "features", out / "scores", k=self.k)
        steps.take("knn", f"scores by the {self.k} nearest of {self.reference}", vote)

    def _predict(self, steps: Steps, model: Path, slides: Path, out: Path, patch_px: int) -> None:
        from histocnn.models.predicting import cannot_slide
        from histocnn.stages.predict import predict

        refused = cannot_slide(model, self.backbone, patch_px) if self.dense else None
        how = "patch by patch" if refused or not self.dense else "at the network's own stride"
        purpose = f"scores by {model}, {how}" + (f": {refused}" if refused else "")
        step = partial(
            predict, out / "grids", model, out / "scores",
            dense=self.dense and not refused, slides=slides, backbone=self.backbone,
            workers=self.workers, threads=self.threads,
        )  # fmt: skip
        steps.take("predict", purpose, step)

    def _network_of_reference(self) -> dict[str, Any]:
        """What embed is told, so that it makes features as the reference's were made."""
        from histocnn.models.recalled import recalled

        first = self._first_of_reference()
        return recalled(first, backbone=self.backbone, weights=self.weights).flags()

    def _first_of_reference(self) -> Path:
        from histocnn.reference.features import feature_files

        return feature_files(self.reference or Path())[0]


def _draw(steps: Steps, slides: Path, out: Path, *, html: bool, workers: int) -> None:
    from histocnn.stages.heatmap import heatmap

    scores, heatmaps = out / "scores", out / "heatmaps"
    step = partial(heatmap, scores, heatmaps, slides=slides, html=html, workers=workers)
    steps.take("heatmap", "scores over the slides", step)
    # They are there even if the report is refused.
    print(f"\nThe heatmaps: {out / 'heatmaps'}\nAll slides: {_write_index(out)}")


def _write_index(out: Path) -> Path:
    from histocnn.pages.index import Folder, write_index

    others = (out / "features", out / "scores")
    folder = Folder(out, out / "heatmaps", out / "grids", others, out / "report")
    return write_index(folder, "Slides and their scores")


def _evaluate(steps: Steps, slides: Path, out: Path, **how: Any) -> None:
    from histocnn.stages.evaluate import evaluate

    step = partial(
        evaluate,
        out / "scores",
        out / "report",
        slides=slides if slides.suffix.lower() == ".csv" else None,
        heatmaps=out / "heatmaps",
        **how,
        allow_missing=steps.failed,
    )
    steps.take("evaluate", "figures with intervals, and a report", step)
    print(f"\nThe report: {out / 'report' / 'report.html'}")


def _has_truth(scores: Path) -> bool:
    return any(bool((open_score_file(path).labels() >= 0).any()) for path in scores.glob("*.h5"))
