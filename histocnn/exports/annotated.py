"""AnnData (.h5ad): patches as observations, for scanpy, squidpy and LazySlide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histocnn.exports.frames import frame_of_scores, only_class, read_features
from histocnn.exports.parquet import facts_of
from histocnn.patches import door
from histocnn.patches.patches import FilePatches
from histocnn.storage.atomic import replacing

if TYPE_CHECKING:
    import pandas as pd


def write_anndata(patches: FilePatches, path: Path, *, class_name: str | None = None) -> int:
    """Write scores, or the features of embed, as an AnnData.

    X is float32 [N, C] with a variable per class, or [N, D] with one per feature; `obs` is as
    `frames.describe` has it, named `<slide_id>:<row>`, with novelty and `seen` where known;
    `obsm["spatial"]` float64 [N, 2] is each patch's centre (x, y) in level-0 pixels, as squidpy
    has spots; `uns["histocnn"]` the slide's scale. Unscored patches and unread ones are NaN.

    Args:
        patches: A score file or a feature file.
        path: The file to write.
        class_name: Write this class's score only.

    Returns:
        The number of observations.

    Raises:
        StoreError: The file holds neither scores nor features.
        UsageError: There is no such class.
    """
    import anndata

    if "scores.class_names" in door.attributes(patches.file):
        obs = only_class(frame_of_scores(patches), class_name, patches.name)
        classes = [name for name in obs.columns if name.startswith("prob_")]
        values = obs[classes].to_numpy(np.float32)
        names = [name.removeprefix("prob_") for name in classes]
        obs = obs.drop(columns=classes)
    else:
        values, obs = read_features(patches.file)
        names = [f"feature_{number}" for number in range(values.shape[1])]
    obs.index = [f"{patches.name}:{row}" for row in range(len(obs))]
    centres = _centres_l0(obs)
    for name in obs.select_dtypes("object").columns:
        obs[name] = obs[name].astype("category")
    table = anndata.AnnData(X=values, obs=obs)
    table.var_names = names
    if centres is not None:
        table.obsm["spatial"] = centres
    table.uns["histocnn"] = {k: _plain(v) for k, v in facts_of(patches).items()}
    with replacing(path) as temporary:
        table.write_h5ad(temporary, compression="gzip")
    return len(obs)


def _centres_l0(obs: pd.DataFrame) -> NDArray[np.float64] | None:
    """Centres (x, y) of the patches, float64 [N, 2] in level-0 px; None for image files."""
    if "width_l0" not in obs:
        return None
    corner, size = obs[["x_l0", "y_l0"]].to_numpy(), obs[["width_l0", "height_l0"]].to_numpy()
    centres: NDArray[np.float64] = corner + size / 2
    return centres


def _plain(value: object) -> object:
    """Turn numbers in a row into an array, which AnnData can store."""
    return np.asarray(value) if isinstance(value, tuple) else value
