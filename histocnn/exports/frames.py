"""Files between stages as pandas tables, for notebooks and for other tools' tables.

A row is a patch, in the order of the files (by name) and of their rows; none is left out. Places
and sizes are level-0 pixels of the slide, as `PatchGrid` has them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histocnn.cohort.seen import SEEN
from histocnn.errors import PatchesError, UsageError
from histocnn.patches import door
from histocnn.patches.patch_set import QUALITY
from histocnn.patches.patches import FilePatches
from histocnn.scores.scorefile import open_score_file

if TYPE_CHECKING:
    import pandas as pd


def read_features(source: str | Path) -> tuple[NDArray[np.float32], pd.DataFrame]:
    """Read what embed wrote (or CLAM, or TRIDENT): the features, and what is known of each row.

    Args:
        source: A folder of feature files, or one.

    Returns:
        X float32 [N, D], a row of NaN where the patch could not be read; and obs with N rows:
        `file`, `slide_id`, `patient_id`, `label` (None unknown), and for patches of slides `x_l0`,
        `y_l0` (top left corner, level-0 px), `width_l0`, `height_l0` (footprint, level-0 px), else
        `path`. `X[obs.label == "tumour"]` are the features of a class.

    Raises:
        StoreError: A file is not whole or holds no features.
        PatchesError: There is no file, or the files' features differ in width.
    """
    import pandas as pd

    files = _files(source)
    parts = [door.read_features(file) for file in files]
    if len(widths := {part.shape[1] for part in parts}) > 1:
        raise PatchesError(
            f"{source}: features of widths {', '.join(map(str, sorted(widths)))}",
            "Read one network's features at a time.",
        )
    obs = pd.concat([describe(FilePatches(file)) for file in files], ignore_index=True)
    return np.concatenate(parts), obs


def read_scores(source: str | Path) -> pd.DataFrame:
    """Read what predict, knn or probe wrote.

    Args:
        source: A folder of score files, or one.

    Returns:
        The columns of `read_features`' obs; `prob_<class>` (float32, 0 to 1, all NaN where the
        patch was not scored or the file does not know the class), `novelty` (float32, percentile
        0 to 100) where knn wrote it, `blur_um` (deviation of a Gaussian, µm), `pen_fraction`,
        `fold_fraction` and `edge_fraction` (0 to 1) where they were measured, and `seen` (train,
        val, no, unknown) where it is said.

    Raises:
        StoreError: A file is not whole or holds no scores.
        PatchesError: There is no file.
    """
    import pandas as pd

    frames = [frame_of_scores(FilePatches(file)) for file in _files(source)]
    return pd.concat(frames, ignore_index=True)


def read_grid(source: str | Path) -> pd.DataFrame:
    """Read where a slide's patches lie: what tile wrote, or the grid within any stage's file.

    Args:
        source: A folder of files, or one.

    Returns:
        The columns of `read_features`' obs; `row`, `col` (cell of the grid), `tissue_fraction`
        (0 to 1, NaN unknown), the columns of quality (see `read_scores`) and `coverage_<class>`
        (0 to 1) where the file has them.

    Raises:
        StoreError: A file is not whole.
        PatchesError: There is no file, or it holds no patches.
    """
    import pandas as pd

    frames = []
    for file in _files(source):
        patches = FilePatches(file)
        frame = describe(patches)
        if "cell" in patches.datasets:
            frame["row"], frame["col"] = np.asarray(patches.datasets["cell"]).T
        for name in ("tissue_fraction", *QUALITY):
            if name in patches.datasets:
                frame[name] = patches.datasets[name]
        names = patches.attributes.get("coverage.class_names", ())
        for index, name in enumerate(names):
            frame[f"coverage_{name}"] = patches.datasets["coverage"][:, index]
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def describe(patches: FilePatches) -> pd.DataFrame:
    """What is known of each patch beside pixels and scores: the obs of `read_features`."""
    import pandas as pd

    names: NDArray[Any] = np.array([*patches.class_names, None], object)
    columns: dict[str, Any] = {
        "file": _text([patches.name] * len(patches)),
        "slide_id": _text(patches.slide_ids),
        "patient_id": _text(patches.patient_ids),
        "label": _text(names[patches.labels]),
    }
    if patches.coords is not None:
        columns["x_l0"], columns["y_l0"] = np.asarray(patches.coords, np.int64).T
        if patches.patch_px and patches.mpp and "slide_mpp" in patches.attributes:
            for side, mpp in zip("xy", patches.attributes["slide_mpp"], strict=True):
                name = {"x": "width_l0", "y": "height_l0"}[side]
                columns[name] = patches.patch_px * patches.mpp / mpp
    if patches.paths is not None:
        columns["path"] = _text(patches.paths)
    return pd.DataFrame(columns, index=pd.RangeIndex(len(patches)))


def frame_of_scores(patches: FilePatches) -> pd.DataFrame:
    """Make one file's rows of `read_scores`."""
    file, frame = open_score_file(patches.file), describe(patches)
    for name, scores in zip(file.class_names, file.scores().T, strict=True):
        frame[f"prob_{name}"] = scores
    novelty = file.novelty()
    if novelty is not None:
        frame["novelty"] = np.asarray(novelty, np.float32)
    for name, values in file.quality().items():
        frame[name] = values
    if "seen" in {*file.attributes, *file.shapes}:
        frame["seen"] = _text(np.array(SEEN, object)[file.seen()])
    return frame


def only_class(frame: pd.DataFrame, class_name: str | None, slide_id: str) -> pd.DataFrame:
    """The rows of `read_scores` without the other classes' columns; all of them for None.

    Raises:
        UsageError: There is no such class; its names are offered.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"slide_id": ["s1"], "prob_normal": [0.2], "prob_tumour": [0.8]})
    >>> list(only_class(frame, "tumour", "s1").columns)
    ['slide_id', 'prob_tumour']
    """
    columns = [name for name in frame.columns if name.startswith("prob_")]
    wanted = f"prob_{class_name}"
    if class_name is None:
        return frame
    if wanted not in columns:
        offered = ", ".join(name.removeprefix("prob_") for name in columns)
        raise UsageError(
            f"{slide_id} has no scores for class {class_name!r}",
            f"Give --class_name one of: {offered}.",
        )
    return frame.drop(columns=[name for name in columns if name != wanted])


def _files(source: str | Path) -> list[Path]:
    source = Path(source)
    files = sorted(source.glob("*.h5")) if source.is_dir() else [source]
    if not files:
        raise PatchesError(f"{source}: no .h5 files in it", "Give a folder that a stage wrote.")
    return files


def _text(values: Iterable[str | None]) -> pd.Series[Any]:
    """Texts as objects, in any version of pandas; None for the empty one, which means unknown."""
    import pandas as pd

    return pd.Series([value or None for value in values], dtype=object)
