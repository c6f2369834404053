"""Pictures of a training run: its history, and who was taken for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from histocnn.storage.atomic import replacing


def write_history(
    path: Path, history: Mapping[str, Sequence[tuple[int, float]]], best_epoch: int | None = None
) -> None:
    """Draw training and validation curves, so that overfitting can be seen.

    Args:
        path: A PNG.
        history: {"train_loss": [(epoch, value), …], …}; what is before the `_` is the curve's
            colour, what is behind it the panel.
        best_epoch: The one that the model is of, marked in every panel.
    """
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys(name.partition("_")[2] for name in history))
    figure = Figure(figsize=(4.2 * len(panels), 3.6), layout="constrained")
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(all_axes, panels, strict=True):
        for part, colour in (("train", "tab:blue"), ("val", "tab:orange")):
            points = history.get(f"{part}_{panel}", ())
            if points:
                axes.plot(*zip(*points, strict=True), "o-", color=colour, label=part, ms=3)
        if best_epoch is not None:
            axes.axvline(best_epoch, color="0.4", ls="--", lw=1, label=f"best: {best_epoch}")
        axes.set(title=panel, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def write_confusion(
    path: Path, confusion: ArrayLike, class_names: Sequence[str], title: str = ""
) -> None:
    """Draw a confusion matrix [C, C], rows are truth: counts, shaded by the share of their row."""
    from matplotlib.figure import Figure

    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.6 * len(class_names)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        dark = shares[row, column] > 0.5
        axes.text(column, row, f"{count:,}", ha="center", va="center",
                  color="white" if dark else "black", fontsize=8)  # fmt: skip
    axes.set(xlabel="predicted", ylabel="truth", title=title)
    axes.set_xticks(range(len(class_names)), class_names, rotation=45, ha="right")
    axes.set_yticks(range(len(class_names)), class_names)
    figure.colorbar(picture, label="share of the true class")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
