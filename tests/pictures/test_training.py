"""The picture of a training run."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from histocnn.pictures.training import write_history

HISTORY = {
    "train_loss": [(0, 1.0), (1, 0.5)],
    "val_loss": [(0, 1.1), (1, 0.9)],
    "val_auroc": [(0, 0.6), (1, 0.8)],
}
BLUE, ORANGE = (31, 119, 180), (255, 127, 14)  # matplotlib's tab:blue and tab:orange


def panels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = cv2.imread(str(path))[..., ::-1]
    return np.hsplit(image[:, : image.shape[1] // 2 * 2], 2)  # type: ignore[return-value]


def has(image: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return int((image == colour).all(axis=-1).sum()) > 20


def test_a_panel_for_each_figure_and_a_colour_for_each_split(tmp_path: Path) -> None:
    write_history(tmp_path / "a.png", HISTORY)
    loss, auroc = panels(tmp_path / "a.png")
    assert (has(loss, BLUE), has(loss, ORANGE)) == (True, True)
    assert (has(auroc, BLUE), has(auroc, ORANGE)) == (False, True)


def test_the_best_epoch_is_marked_in_every_panel(tmp_path: Path) -> None:
    write_history(tmp_path / "a.png", HISTORY)
    write_history(tmp_path / "b.png", HISTORY, best_epoch=1)
    for plain, marked in zip(panels(tmp_path / "a.png"), panels(tmp_path / "b.png"), strict=True):
        changed = (plain != marked).any(axis=-1).sum(axis=0)  # of each column's 432 pixels
        assert changed.max() > 150  # a dashed line from top to bottom
