"""`histocnn run` and `demo`: stages called in order; the only importer of several."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from histocnn.cohort.sheet import SlideEntry, read_cohort
from histocnn.errors import FeaturesError, UsageError
from histocnn.storage import store

# Stages are imported where they run: half of them bring torch, and none is needed for --help.


@dataclass
class Clock:
    """Says what runs, and afterwards where the time went."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, purpose: str) -> Iterator[None]:
        """Time one stage."""
        print(f"\nhistocnn {name}: {purpose}", flush=True)
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - start

    def __str__(self) -> str:
        total = sum(self.seconds.values())
        parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())
        return f"{total:.0f} s: {parts}"


@dataclass(frozen=True)
class Scale:
    """The patches that a model or a reference was made for."""

    patch_px: int
    mpp: float


def run(
    slides: Path,
    out: Path,
    model: Path | None = None,
    reference: Path | None = None,
    weights: str | None = None,
    patch_px: int | None = None,
    mpp: float | None = None,
    slide_mpp: float | None = None,
    overlap_px: int = 0,
    min_tissue: float = 0.5,
    k: int = 20,
    html: bool = False,
    match: str = "",
    allow_seen: bool = False,
    workers: int = 1,
    threads: int = 2,
) -> int:
    """Tile slides, score their patches, lay heatmaps over them, and evaluate where truth is given.

    Give either --model (a model.safetensors scores the patches) or --reference (labelled features
    score them by their nearest neighbours), or both: then the model only makes the features.

    Args:
        slides: A slide, a folder of slides, or a slides.csv; with annotations it is the truth.
        out: Folder for grids, scores, heatmaps and report.
        model: A model.safetensors that histocnn trained.
        reference: Folder of features with labels that `histocnn embed` wrote, or one file of it.
        weights: Weights of the reference's backbone: a file, or imagenet to download them.
        patch_px: Side of the patches, if neither model nor reference knows.
        mpp: Resolution of the patches in µm per pixel, if neither model nor reference knows.
        slide_mpp: Resolution of level 0 for slides that do not know their own.
        overlap_px: Pixels that neighbouring patches share.
        min_tissue: Share of a patch that must be tissue, 0 to 1.
        k: Number of neighbours.
        html: Write an interactive page per slide, too.
        match: Scores' class = truth's class, where names differ: AC=Tumor,H=Normal.
        allow_seen: Evaluate patients that were seen in training; every figure says so.
        workers: Slides in parallel processes; worker i on GPU i.
        threads: Readers per slide.

    Returns:
        0, or 1 if a slide failed.
    """
    if model is None and reference is None:
        raise UsageError("run needs --model FILE or --reference FOLDER", "Give one of the two.")
    from histocnn.stages.doctor import doctor
    from histocnn.stages.tile import tile

    scale = _scale(model, reference, patch_px, mpp)
    clock = Clock()
    with clock.stage("doctor", "can these slides be trusted?"):
        failed = doctor(slides, scale.patch_px, scale.mpp, min_tissue, slide_mpp).exit_code
    with clock.stage("tile", f"patches of {scale.patch_px} px at {scale.mpp:g} µm/px"):
        failed |= tile(
            slides,
            out / "grids",
            patch_px=scale.patch_px,
            mpp=scale.mpp,
            overlap_px=overlap_px,
            min_tissue=min_tissue,
            slide_mpp=slide_mpp,
            workers=workers,
        ).exit_code
    if reference is None:
        failed |= _predict(clock, out / "grids", model, out / "scores", workers, threads)
    else:
        backbone = None if model else _network_of(reference)["backbone"]
        with clock.stage("embed", f"features by {backbone or model}"):
            from histocnn.stages.embed import embed

            failed |= embed(
                out / "grids",
                out / "features",
                backbone=backbone,
                weights=weights,
                model=model,
                threads=threads,
                workers=workers,
            ).exit_code
        failed |= _knn(clock, reference, out / "features", out / "scores", k)
    failed |= _heatmap(clock, out / "scores", out / "heatmaps", html, workers)
    print(f"\nThe heatmaps: {out / 'heatmaps'}")  # they are there even if the report is refused
    if _has_truth(out / "scores"):
        truth = slides if slides.suffix.lower() == ".csv" else None
        failed |= _evaluate(
            clock,
            out / "scores",
            out / "report",
            slides=truth,
            heatmaps=out / "heatmaps",
            match=match,
            allow_seen=allow_seen,
            allow_missing=bool(failed),
        )
        print(f"\nThe report: {out / 'report' / 'report.html'}")
    print(f"Where the time went, {clock}")
    return failed


def demo(out: Path = Path("demo"), seed: int = 0, workers: int = 2) -> int:
    """Make a small cohort of synthetic slides and run all of histocnn over it.

    Eight slides of four patients in two laboratories: a small network is trained on the first
    laboratory's patients and tested on the second's, beside k-NN on its features and a baseline
    that sees colour only. The same seed gives the same figures.

    Args:
        out: Folder for everything the demo makes.
        seed: Of the synthetic slides and of training.
        workers: Slides in parallel processes.

    Returns:
        0, or 1 if a stage failed.
    """
    from histocnn.phantom.cohort import make_cohort
    from histocnn.stages.doctor import doctor
    from histocnn.stages.tile import tile

    clock, grids = Clock(), out / "grids"
    with clock.stage("demo", "8 synthetic H&E slides of 4 patients in 2 labs"):
        slides = make_cohort(out / "cohort", seed=seed)
    with clock.stage("doctor", "can these slides be trusted?"):
        failed = doctor(slides, DEMO_SCALE.patch_px, DEMO_SCALE.mpp).exit_code
    with clock.stage("tile", "grids, and a picture of each"):
        failed |= tile(
            slides, grids, patch_px=DEMO_SCALE.patch_px, mpp=DEMO_SCALE.mpp, workers=workers
        ).exit_code
    failed |= _train_small(clock, grids, slides, out / "model", seed)
    model = out / "model" / "model.safetensors"
    failed |= _predict(clock, grids, model, out / "cnn" / "scores", workers=1, threads=2)
    with clock.stage("embed", "the network's features, for k-NN"):
        from histocnn.stages.embed import embed

        failed |= embed(grids, out / "features", model=model).exit_code
    reference = _copy_reference(out / "features", read_cohort(slides), out / "reference")
    failed |= _knn(clock, reference, out / "features", out / "knn" / "scores", k=20)
    failed |= _heatmap(clock, out / "cnn" / "scores", out / "cnn" / "heatmaps", True, workers)
    failed |= _evaluate(
        clock,
        out / "cnn" / "scores",
        out / "report",
        slides=slides,
        split="test",
        heatmaps=out / "cnn" / "heatmaps",
        compare=out / "knn" / "scores",
    )
    print(_closing(out, clock))
    return failed


DEMO_SCALE = Scale(patch_px=112, mpp=1.0)


def _train_small(clock: Clock, grids: Path, slides: Path, out: Path, seed: int) -> int:
    from histocnn.stages.train import train

    words = {
        "seed_everything": seed,
        "out": out,
        "data.patches": grids,
        "data.slides": slides,
        "data.batch_size": 32,
        "data.workers": 1,
        "model.backbone": "resnet18",
        "model.weights": "null",  # a demo downloads nothing
        "model.learning_rate": 1e-3,
        "trainer.max_epochs": 10,
        "trainer.accelerator": "cpu",
    }
    with clock.stage("train", "a small network on the first lab's patients"):
        return train([f"--{name}={value}" for name, value in words.items()]).exit_code


def _predict(
    clock: Clock, grids: Path, model: Path | None, out: Path, workers: int, threads: int
) -> int:
    from histocnn.stages.predict import predict

    assert model is not None  # noqa: S101 - checked by the callers
    with clock.stage("predict", f"scores by {model}"):
        return predict(grids, model, out, workers=workers, threads=threads).exit_code


def _knn(clock: Clock, reference: Path, query: Path, out: Path, k: int) -> int:
    from histocnn.stages.knn import knn

    with clock.stage("knn", f"scores by the {k} nearest of {reference}"):
        return knn(reference, query, out, k=k)


def _heatmap(clock: Clock, scores: Path, out: Path, html: bool, workers: int) -> int:
    from histocnn.stages.heatmap import heatmap

    with clock.stage("heatmap", "scores over the slides"):
        return heatmap(scores, out, html=html, workers=workers)


def _evaluate(clock: Clock, scores: Path, out: Path, **options: Any) -> int:
    from histocnn.stages.evaluate import evaluate

    with clock.stage("evaluate", "figures with intervals, and a report"):
        return evaluate(scores, out, **options).exit_code


def _scale(
    model: Path | None, reference: Path | None, patch_px: int | None, mpp: float | None
) -> Scale:
    """The scale of the model or the reference; the given one where neither knows its own."""
    known: Mapping[str, Any]
    if model is not None:
        from histocnn.models.spec import read_spec

        spec = read_spec(model)
        known = {"patch_px": spec.patch_px, "mpp": spec.mpp}
    else:
        known = store.attributes(_first(reference))
    patch_px, mpp = known.get("patch_px") or patch_px, known.get("mpp") or mpp
    if not patch_px or not mpp:
        raise UsageError(
            f"{model or reference}: does not know at which scale its patches were",
            "Give --patch_px and --mpp.",
        )
    return Scale(int(patch_px), float(mpp))


def _network_of(reference: Path) -> dict[str, Any]:
    recipe = store.attributes(_first(reference)).get("recipe") or {}
    if "network" not in recipe:
        raise FeaturesError(
            f"{reference}: does not say which network made its features",
            "Make them with histocnn embed, or give the --model that did.",
        )
    network: dict[str, Any] = recipe["network"]
    return network


def _first(reference: Path | None) -> Path:
    from histocnn.reference.features import feature_files

    return feature_files(reference or Path())[0]


def _has_truth(scores: Path) -> bool:
    files = sorted(scores.glob("*.h5"))
    return any(bool(np.any(store.read(file, "labels")["labels"] >= 0)) for file in files)


def _copy_reference(features: Path, cohort: list[SlideEntry], out: Path) -> Path:
    """Collect the first laboratory's features: they are all that a k-NN needs."""
    out.mkdir(parents=True, exist_ok=True)
    for entry in cohort:
        if entry.split != "test":
            shutil.copy2(features / f"{entry.slide_id}.h5", out)
    return out


def _closing(out: Path, clock: Clock) -> str:
    report = json.loads((out / "report" / "metrics.json").read_text())
    cnn = report["patch"]["figures"]["macro_auroc"]["value"]
    knn = report["comparison"]["figures"]["macro_auroc"]["second"]
    colour_only = report["colour_only"]["figures"]["macro_auroc"]["value"]
    return "\n".join(
        [
            "",
            "AUC on the patches of the laboratory that training never saw:",
            f"  CNN          {cnn:.3f}",
            f"  k-NN         {knn:.3f}  (on the CNN's features)",
            f"  colour only  {colour_only:.3f}",
            "",
            f"The report    {out / 'report' / 'report.html'}",
            f"The heatmaps  {out / 'cnn' / 'heatmaps'}",
            f"The grids     {out / 'grids'}",
            f"Where the time went, {clock}",
        ]
    )
