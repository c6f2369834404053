"""What predict and embed are asked for, checked before torch is loaded to do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histocnn.errors import UsageError
from histocnn.models import hub
from histocnn.models.custom import function_at, is_custom
from histocnn.models.encoders import find
from histocnn.models.model_file import text_of
from histocnn.patches.dense_grid import check_places, inputs_of
from histocnn.patches.patches import Patches


@dataclass(frozen=True)
class DenseOptions:
    """How windows are laid: the options of predict and embed.

    Attributes:
        stride_px: From window to window, px of the patches; None: the network's own.
        exact: Give every region the whole receptive field as context.
    """

    stride_px: int | None = None
    exact: bool = False

    @classmethod
    def asked(
        cls, dense: bool, stride_px: int | None, exact: bool, items: Sequence[Patches]
    ) -> DenseOptions | None:
        """What was asked for these items; None where patches are scored one by one.

        Raises:
            UsageError: A detail of dense scoring without it.
            PatchesError: The items are image files.
        """
        if dense:
            check_places(items)
        if not dense and (stride_px is not None or exact):
            name = "--exact" if stride_px is None else "--dense_stride_px"
            raise UsageError(f"{name} says how to score densely", "Give --dense true, too.")
        return cls(stride_px, exact) if dense else None

    def recipe(self, patches: Patches) -> dict[str, Any]:
        """What decides a dense file beside network and patches."""
        return {"stride_px": self.stride_px, "exact": self.exact, **inputs_of(patches)}


def check_sets(confidence: float | None, tta: bool, dense: bool) -> None:
    """Refuse prediction sets of scores that nobody calibrated: windows', or averaged ones.

    Raises:
        UsageError: Names the option that does not go with them.
    """
    if confidence is not None and (tta or dense):
        raise UsageError(
            f"--confidence with --{'tta' if tta else 'dense'}: prediction sets are "
            "calibrated on single patches, each scored once",
            "Leave one of them out.",
        )


def check_network(backbone: str | None, weights: str | None, model: Path | None) -> None:
    """Refuse what names no network to embed with, or one without weights.

    Raises:
        UsageError: Neither or both of backbone and model; no weights.
        ModelError: The model is no file that histocnn wrote.
    """
    if model is not None and (backbone is None or is_custom(backbone)):
        text_of(model)
        return
    if backbone is None or model is not None:
        raise UsageError("embed needs --backbone NAME or --model FILE", "Give one of the two.")
    if weights is None and not has_own_weights(backbone):
        if is_custom(backbone) and function_at("--backbone", backbone):
            return
        raise UsageError(
            f"{backbone} without weights is random, and so are its features",
            "Give --weights FILE, or --weights imagenet to download them.",
        )


def has_own_weights(backbone: str) -> bool:
    """Whether a network without weights means those that it was published with."""
    row = find(backbone)
    return (row is not None and not row.is_library_s) or hub.is_published(hub.spelled(backbone))
