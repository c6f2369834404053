"""`histocnn demo`: the whole of histocnn on a cohort that it makes.

>>> import histocnn
>>> histocnn.demo("demo").parts["tile"].to_dataframe().patches.sum()  # doctest: +SKIP
1389
"""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histocnn.cohort.sheet import SlideEntry, read_cohort
from histocnn.jobs.ownership import check_files, claim_files
from histocnn.jobs.ranges import NonNegativeInt, PositiveInt
from histocnn.jobs.steps import RunResult, Steps

if TYPE_CHECKING:
    from histocnn.metrics.report import Report
    from histocnn.metrics.sections import ColourReport

# Stages are imported where they run: half of them bring torch, and none is needed for --help.

PATCH_PX, MPP = 112, 1.0
# The preset `histology`, but for a blur of up to 3 µm: no slide that trains is out of focus, and
# blurred patches would be called tumour (docs/benchmarks.md).
AUGMENT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("albumentations.D4", {"p": 1}),
    (
        "albumentations.Affine",
        {"scale": [0.85, 1.15], "rotate": [-10, 10], "border_mode": 4, "p": 0.5},
    ),
    ("histocnn.models.augment.StainJitter", {}),
    (
        "albumentations.RandomBrightnessContrast",
        {"brightness_limit": 0.1, "contrast_limit": 0.1, "p": 0.5},
    ),
    ("albumentations.GaussianBlur", {"blur_limit": 0, "sigma_limit": [0.5, 3.0], "p": 0.3}),
    ("albumentations.ImageCompression", {"quality_range": [60, 95], "p": 0.2}),
)
SLIDES, PATIENTS, SIZE_PX = (4, 8), (4, 4), (3072, 3072)  # of the first and the second laboratory


def demo(out: str | Path = "demo", seed: NonNegativeInt = 0, workers: PositiveInt = 2) -> RunResult:
    """Make a small cohort of synthetic slides and run all of histocnn over it.

    Twelve slides of eight patients in two laboratories: a small network is trained on the first
    laboratory's four, brought to the second's stain by its slides alone, and tested there,
    beside k-NN on its features and a baseline that sees colour only. The same seed gives the same
    figures.

    Args:
        out: Folder for everything the demo makes.
        seed: Of the synthetic slides and of training.
        workers: Slides in parallel processes.

    Returns:
        What came of every stage, as `parts`, and the `report`.
    """
    from histocnn.pages.index import check as check_index
    from histocnn.phantom.cohort import make_cohort

    steps, out = Steps(), Path(out)
    own = ("cohort", "reference", "second")
    check_files(out, "demo", own, lambda: _is_demo(out))
    check_index(out)
    claim_files(out, "demo", own)
    make = partial(
        make_cohort, out / "cohort", slides=SLIDES, patients=PATIENTS, size_px=SIZE_PX, seed=seed
    )
    slides = steps.take("demo", "12 synthetic H&E slides of 8 patients in 2 labs", make)
    _tile(steps, slides, out, workers)
    _train(steps, slides, out, seed)
    _score(steps, slides, out)
    _report(steps, slides, out, workers)
    if steps.result.report is not None:
        print(_closing(steps.result.report, _auroc_of_neighbours(slides, out), steps, out))
    return steps.result


def _is_demo(out: Path) -> bool:
    """Whether a version that kept no record of its files made this cohort."""
    return (out / "cohort" / "slides" / "phantom_01.tif").is_file()


def _tile(steps: Steps, slides: Path, out: Path, workers: int) -> None:
    from histocnn.stages.doctor import doctor
    from histocnn.stages.tile import tile

    step = partial(doctor, slides, patch_px=PATCH_PX, mpp=MPP)
    steps.take("doctor", "can these slides be trusted?", step)
    cut = partial(tile, slides, out / "grids", patch_px=PATCH_PX, mpp=MPP, workers=workers)
    steps.take("tile", "grids, and a picture of each", cut)


def _train(steps: Steps, slides: Path, out: Path, seed: int) -> None:
    from histocnn.stages.train import train

    options = {
        "seed_everything": seed,
        "out": out / "model",
        "data.patches": out / "grids",
        "data.slides": slides,
        "data.augment": json.dumps(
            [{"class_path": path, "init_args": arguments} for path, arguments in AUGMENT]
        ),
        "data.batch_size": 16,
        "data.workers": 1,
        "model.backbone": "timm/test_resnet",  # 0.37 million weights: seconds an epoch
        "model.weights": "null",  # a demo downloads nothing
        "model.learning_rate": 1e-3,
        "trainer.max_epochs": 16,
        "trainer.accelerator": "cpu",
        "early_stopping.monitor": "train_loss",  # one patient's validation would choose by chance
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    steps.take("train", "a small network on the first lab's patients", partial(train, words))


def _score(steps: Steps, slides: Path, out: Path) -> None:
    """Score the second laboratory's windows by the network, and all patches by its neighbours.

    Windows of one slide overlap: the 20 nearest of them would be one neighbour 20 times.
    """
    from histocnn.stages.adapt import adapt
    from histocnn.stages.embed import embed
    from histocnn.stages.knn import knn
    from histocnn.stages.predict import predict

    grids, model = out / "grids", out / "model" / "model.safetensors"
    first, second = _laboratories(read_cohort(slides))
    adapted, features = out / "adapted.safetensors", out / "features"
    unlabelled = _copied(grids, second, out / "second")
    step = partial(adapt, unlabelled, model, adapted, seed=0)
    steps.take("adapt", "batch norms of the second lab's slides, without a label", step)
    score = partial(predict, unlabelled, adapted, out / "cnn" / "scores", dense=True, slides=slides)
    steps.take("predict", f"scores by {adapted}, at the network's own stride", score)
    step = partial(embed, grids, features, model=model)
    steps.take("embed", "the network's features, for k-NN", step)
    reference = _copied(features, first, out / "reference")
    vote = partial(knn, reference, features, out / "knn" / "scores", k=20)
    steps.take("knn", f"scores by the 20 nearest of {reference}", vote)


def _report(steps: Steps, slides: Path, out: Path, workers: int) -> None:
    from histocnn.pages.index import Folder, write_index
    from histocnn.stages.evaluate import evaluate
    from histocnn.stages.heatmap import heatmap

    scores, heatmaps = out / "cnn" / "scores", out / "cnn" / "heatmaps"
    draw = partial(heatmap, scores, heatmaps, slides=slides, html=True, workers=workers)
    steps.take("heatmap", "scores over the slides", draw)
    judge = partial(
        evaluate,
        scores,
        out / "report",
        slides=slides,
        split="test",
        heatmaps=heatmaps,
    )
    steps.take("evaluate", "figures with intervals, and a report", judge)
    others = (out / "features", out / "cnn" / "scores", out / "knn" / "scores")
    write_index(Folder(out, heatmaps, out / "grids", others, out / "report"), "The demo's slides")


def _laboratories(cohort: list[SlideEntry]) -> tuple[list[str], list[str]]:
    """The slides of the laboratory that trains, and of the other."""
    first = [entry.slide_id for entry in cohort if entry.split != "test"]
    return first, [entry.slide_id for entry in cohort if entry.split == "test"]


def _copied(folder: Path, slide_ids: list[str], out: Path) -> Path:
    """Collect what a stage wrote of these slides."""
    out.mkdir(parents=True, exist_ok=True)
    for slide_id in slide_ids:
        for path in folder.glob(f"{slide_id}.*"):
            shutil.copy2(path, out)
    return out


def _auroc_of_neighbours(slides: Path, out: Path) -> float | None:
    """Of the k-NN, on the patches of the second laboratory."""
    from histocnn.evaluation.judged import judge
    from histocnn.evaluation.options import Resampling
    from histocnn.evaluation.patch_report import patch_report
    from histocnn.scores.scorefile import open_score_file

    _, tested = _laboratories(read_cohort(slides))
    files = [open_score_file(out / "knn" / "scores" / f"{slide}.h5") for slide in tested]
    return patch_report(judge(files), Resampling()).figures["macro_auroc"].value


def _auroc(baseline: ColourReport | str | None) -> float | None:
    return None if baseline is None or isinstance(baseline, str) else (
        baseline.figures["macro_auroc"].value
    )  # fmt: skip


def _closing(report: Report, neighbours: float | None, steps: Steps, out: Path) -> str:
    lines = {
        "CNN adapted to it, on windows at its own stride": report.patch.figures[
            "macro_auroc"
        ].value,
        "k-NN on its features, patch by patch": neighbours,
        "colour alone, by the patients of training": _auroc(report.colour_training),
        "colour alone, by the other patients of this laboratory": _auroc(report.colour_within),
    }
    return "\n".join(
        [
            "",
            "AUC on the laboratory that training never saw:",
            *(f"  {name:<55} {figure:.3f}" for name, figure in lines.items() if figure is not None),
            "",
            f"All slides    {out / 'index.html'}",
            f"The report    {out / 'report' / 'report.html'}",
            f"The heatmaps  {out / 'cnn' / 'heatmaps'}",
            f"The grids     {out / 'grids'}",
            f"Where the time went, {steps}",
        ]
    )
