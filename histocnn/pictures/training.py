"""The picture of a training run: its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


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

    from histocnn.pictures.curves import save_png

    panels = list(dict.fromkeys(name.partition("_")[2] for name in history))
    picture = Figure(figsize=(4.2 * len(panels), 3.6), layout="constrained")
    all_axes = picture.subplots(1, len(panels), squeeze=False)[0]
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
    save_png(picture, path, dpi=120)
