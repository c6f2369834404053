"""Every stage over a small cohort: its command, its folder, and what it leaves undisturbed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from histocnn.phantom.cohort import make_cohort
from tests.chaos import trees
from tests.chaos.warm import Command, Ended, Warm

IDS = ["Präparat 01", *(f"phantom_0{number}" for number in range(2, 4))]
TRAINED_ON = IDS[:2]
Words = Callable[[Path], list[str | Path]]


@dataclass(frozen=True)
class Stage:
    """One command.

    Attributes:
        name: The command, and the option that makes another stage of it.
        begins: "module function" whose first line is the beginning of its work.
        words: Its options but `--out`, given the folder of all.
        inputs: The folders that it reads, by name.
        slow: Seconds that a step of writing takes longer, so that a kill finds it.
        per_slide: Whether it keeps run.json and failures.csv.
        suffix: Of a slide's file.
    """

    name: str
    begins: str
    words: Words
    inputs: tuple[str, ...]
    slow: float = 0.01
    per_slide: bool = True
    suffix: str = ".h5"


def _train(here: Path) -> list[str | Path]:
    options: dict[str, Any] = {
        "data.patches": here / "tile", "data.slides": here / "cohort" / "slides.csv",
        "model.backbone": "lenet5", "model.weights": "null", "data.input_px": 28,
        "data.workers": 0, "trainer.max_epochs": 1, "trainer.accelerator": "cpu",
        "trainer.enable_progress_bar": "false", "seed_everything": 1,
    }  # fmt: skip
    return [f"--{name}={value}" for name, value in options.items()]


_LISTED = (
    Stage(
        "tile", "histocnn.stages.tile tile",
        lambda at: ["--slides", at / "cohort" / "slides.csv", "--patch_px", "56", "--mpp", "1.0"],
        ("cohort",),
    ),
    Stage("train", "histocnn.models.training train", _train, ("cohort", "tile"), per_slide=False),
    Stage(
        "predict", "histocnn.stages.predict predict",
        lambda at: ["--patches", at / "tile", "--model", at / "train" / "model.safetensors",
                    "--device", "cpu"],
        ("cohort", "tile", "train"),
    ),
    Stage(
        "predict --dense", "histocnn.stages.predict predict",
        lambda at: ["--patches", at / "tile", "--model", at / "train" / "model.safetensors",
                    "--device", "cpu", "--dense", "true"],
        ("cohort", "tile", "train"),
    ),
    Stage(
        "embed", "histocnn.stages.embed embed",
        lambda at: ["--patches", at / "tile", "--model", at / "train" / "model.safetensors",
                    "--device", "cpu"],
        ("cohort", "tile", "train"),
    ),
    Stage(
        "knn", "histocnn.stages.knn knn",
        lambda at: ["--reference", at / "reference", "--query", at / "embed"],
        ("embed", "reference"),
    ),
    Stage(
        "probe", "histocnn.stages.probe probe",
        lambda at: ["--reference", at / "reference", "--query", at / "embed"],
        ("embed", "reference"),
    ),
    Stage(
        "heatmap", "histocnn.stages.heatmap heatmap",
        lambda at: ["--scores", at / "predict", "--class_name", "tumour"],
        ("predict", "cohort"), suffix=".png",
    ),
    Stage(
        "export", "histocnn.stages.export export",
        lambda at: ["--scores", at / "predict", "--to", "geojson"],
        ("predict",), suffix=".geojson",
    ),
    Stage(
        "evaluate", "histocnn.stages.evaluate evaluate",
        lambda at: ["--scores", at / "predict", "--slides", at / "cohort" / "slides.csv",
                    "--split", "test", "--compare", at / "knn", "--replicates", "100"],
        ("predict", "knn", "cohort"), per_slide=False,
    ),
    Stage(
        "mine", "histocnn.stages.mine mine",
        lambda at: ["--scores", at / "predict", "--slides", at / "cohort" / "slides.csv",
                    "--min_confidence", "0", "--sheet", "24"],
        ("predict", "cohort"), slow=0.1, per_slide=False,
    ),
)  # fmt: skip
STAGES = {stage.name: stage for stage in _LISTED}
RUN = Stage(
    "run", "histocnn.pipeline run",
    lambda at: ["--slides", at / "cohort" / "slides.csv", "--allow_seen",
                "--model", at / "train" / "model.safetensors"],
    ("cohort", "train"), per_slide=False,
)  # fmt: skip
DEMO = Stage(
    "demo", "histocnn.demonstration demo", lambda at: ["--workers", "1"], (), per_slide=False
)
_ALL = {**STAGES, "run": RUN}


@dataclass
class House:
    """A cohort, and the stages' folders beside it as they are undisturbed."""

    place: Path
    warm: Warm
    seconds: dict[str, float] = field(default_factory=dict)
    undisturbed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        table = make_cohort(
            self.place / "cohort", slides=3, patients=3, size_px=(1024, 1024), seed=3
        )
        text = table.read_text(encoding="utf-8").replace("phantom_01", IDS[0])
        table.write_text(text, encoding="utf-8")
        for path in (self.place / "cohort").glob("*/phantom_01.*"):
            path.rename(path.with_stem(IDS[0]))

    def stage(self, name: str) -> Stage:
        """A stage, once it and those that it needs have run undisturbed."""
        if name not in self.undisturbed:
            for needed in _ALL[name].inputs:
                if needed in STAGES:
                    self.stage(needed)
            if "reference" in _ALL[name].inputs and not (self.place / "reference").exists():
                (self.place / "reference").mkdir()
                for slide_id in TRAINED_ON:
                    shutil.copy2(self.place / "embed" / f"{slide_id}.h5", self.place / "reference")
            self._calm(_ALL[name])
        return _ALL[name]

    def out(self, stage: Stage) -> Path:
        """Where the disturbed runs write."""
        return self.place / "disturbed" / stage.name

    def words(self, stage: Stage, out: Path) -> list[str | Path]:
        """The whole command."""
        target = out / "hard.csv" if stage.name == "mine" else out
        if stage.name == "train":
            return ["train", *stage.words(self.place), f"--out={target}"]
        return [stage.name.split()[0], *stage.words(self.place), "--out", target]

    def start(self, stage: Stage, *more: str, **how: Any) -> Command:
        """Start the stage into the folder of the disturbed runs, with more options if there are."""
        words = [*self.words(stage, self.out(stage)), *more]
        return self.warm.start(words, stage=stage.begins, **how)

    def run(self, stage: Stage, *more: str, **how: Any) -> Ended:
        """The same, and wait for its end."""
        return self.start(stage, *more, **how).end()

    def _calm(self, stage: Stage) -> None:
        """Run a stage undisturbed, keep its folder for later stages, and time it slowed down."""
        ended = self.run(stage)
        assert ended.exit_code == 0, ended.said
        out = self.out(stage)
        self.undisturbed[stage.name] = trees.content(out)
        shutil.move(out, self.place / stage.name)
        ended = self.run(stage, slow=stage.slow)
        assert ended.exit_code == 0, ended.said
        self.seconds[stage.name] = ended.seconds
        print(f"{stage.name}: {ended.seconds:.1f} s undisturbed", flush=True)
        again = trees.differing(trees.content(out), self.undisturbed[stage.name])
        assert again == [], "an undisturbed run is not equal to another"
        self.clear(stage)

    def clear(self, stage: Stage) -> None:
        """Begin anew."""
        shutil.rmtree(self.out(stage), ignore_errors=True)
        if stage.name == "mine":
            self.out(stage).mkdir(parents=True)

    def losses(self, stage: Stage, again: Ended, *, failed: tuple[str, ...] = ()) -> list[str]:
        """What is wrong in the folder after the last, undisturbed run."""
        out, wrong = self.out(stage), []
        if again.exit_code != 0:
            wrong.append(f"exit code {again.exit_code}: {again.said[-2000:]}")
        if "Traceback" in again.said:
            wrong.append(f"a traceback: {again.said[-2000:]}")
        if again.left:
            wrong.append(f"processes that stayed: {again.left}")
        if left := trees.unfinished(out):
            wrong.append(f"left: {left}")
        if names := trees.differing(trees.content(out), self.undisturbed[stage.name]):
            wrong.append(f"differ: {names}")
        if stage.per_slide:
            wrong += trees.sums_disagree(out, IDS, failed)
        return wrong
