"""The truth of a slide's patches: what decides it, and the one function that makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from histocnn.errors import StoreError
from histocnn.patches.labels import Boxes, coverage, labels_of, touches
from histocnn.regions.annotations import EXCLUSION, Annotations, read_annotations
from histocnn.regions.geojson import Bounds, Frame

STATES = ("labelled", "border", "excluded", "unknown")  # of a patch, as a file numbers them
LABELLED, BORDER, EXCLUDED, UNKNOWN = range(len(STATES))
_IN_RECIPE = ("annotation", "background", "frame", "label_coverage", "max_background_coverage")


@dataclass(frozen=True, kw_only=True)
class TruthRule:
    """From which file, and by which options, the truth of a slide is made; grids record it.

    Attributes:
        annotation: sha256 of the annotation; None without one.
        background: Class of what no polygon covers; None if that is unknown.
        frame: Origin of GeoJSON coordinates where the slide has bounds.
        label_coverage: Least share of a patch that names it.
        max_background_coverage: Largest share of other classes in a background patch.
        exclusion: The class whose regions patches may not touch.
        mapping: The file's class or group to our class; None = the format's own convention.
        paint_order: Groups in the order of painting; None = the format's own convention.
    """

    annotation: str | None = None
    background: str | None = None
    frame: Frame = "bounds"
    label_coverage: float = 0.5
    max_background_coverage: float = 0.0
    exclusion: str = EXCLUSION
    mapping: Mapping[str, str | None] | None = None
    paint_order: tuple[str, ...] | None = None

    def read(self, path: Path, size_l0: tuple[int, int], bounds_l0: Bounds | None) -> Annotations:
        """Read an annotation as these options say.

        Raises:
            AnnotationError: As `read_annotations`.
        """
        mapping = {**(self.mapping or {}), self.exclusion: EXCLUSION}
        return read_annotations(
            path, size_l0, bounds_l0,
            frame=self.frame, mapping=mapping, paint_order=self.paint_order,
        )  # fmt: skip

    def stored(self) -> dict[str, Any]:
        """As a file's attribute `truth` holds it."""
        return asdict(self)

    @classmethod
    def from_stored(cls, stored: Any, file: Path) -> TruthRule:
        """Make the options of a stored file again.

        Raises:
            StoreError: They are no such options.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(stored, Mapping) or not known >= stored.keys() or not _fits(stored):
            raise StoreError(
                f"{file}: what it says of its truth is not what tile writes: {str(stored)[:80]}",
                "Tile the slide again, and make again what was made from its grid.",
            )
        order = stored.get("paint_order")
        return cls(**{**stored, "paint_order": None if order is None else tuple(order)})


@dataclass(frozen=True, eq=False)
class PatchTruth:
    """What is known of N patches.

    Attributes:
        names: The C classes.
        index: int64 [N] into `names`, -1 without label.
        coverage: float32 [N, C], share of the patch that each class covers.
        excluded: bool [N], patches that touch an exclusion region.
    """

    names: Sequence[str]
    index: NDArray[np.int64]
    coverage: NDArray[np.float32]
    excluded: NDArray[np.bool_]

    @property
    def state(self) -> NDArray[np.uint8]:
        """uint8 [N] into STATES; a border patch is crossed by an outline and has no label."""
        crossed = self.coverage.sum(axis=1) > 0
        kinds = [self.excluded, self.index >= 0, crossed]
        return np.select(kinds, [EXCLUDED, LABELLED, BORDER], UNKNOWN).astype(np.uint8)

    def with_border(self, background: str | None) -> NDArray[np.int64]:
        """The labels, border patches by their largest part: int64 [N].

        What no polygon covers is a part, too, of the background class; where that is unknown, a
        patch whose largest part it is stays without label. Equal parts by class name.
        """
        rest = np.clip(1 - self.coverage.sum(axis=1, dtype=np.float64), 0, None)
        parts = np.column_stack([self.coverage.astype(np.float64), rest])
        known = background is not None and background in self.names
        of_rest = list(self.names).index(str(background)) if known else -1
        classes = np.array([*range(len(self.names)), of_rest])
        by_name = np.argsort([*self.names, str(background) if known else ""], kind="stable")
        largest = classes[by_name[parts[:, by_name].argmax(axis=1)]]
        return np.where(self.state == BORDER, largest, self.index)


def patch_truth(boxes_l0: Boxes, drawn: Annotations | None, rule: TruthRule) -> PatchTruth:
    """The truth of patches: by the annotated class that covers them, or as background.

    Whoever needs the truth of a slide has it from here: `tile`, and `evaluate` where the truth of
    today is not what `tile` stored.

    Args:
        boxes_l0: float64 [N, 4], minx, miny, maxx, maxy in level-0 pixels.
        drawn: As `rule` reads it; None without annotation.
        rule: The options.
    """
    classes = set(drawn.classes) if drawn else set()
    names = sorted(classes | ({rule.background} if rule.background else set()))
    if drawn:
        share = coverage(drawn, boxes_l0, names)
        excluded = touches(drawn.exclusion, boxes_l0)
    else:
        share = np.zeros((len(boxes_l0), len(names)), np.float32)
        excluded = np.zeros(len(boxes_l0), bool)
    index = labels_of(
        share,
        names,
        excluded=excluded,
        background=rule.background,
        label_coverage=rule.label_coverage,
        max_background_coverage=rule.max_background_coverage,
    )
    return PatchTruth(names, index, share, excluded)


def recorded_rule(attributes: Mapping[str, Any], file: Path) -> TruthRule | None:
    """The options by which a file's truth was made; None where nothing says them.

    Version 0.1.0 had no attribute `truth`, but the grid's recipe says the same, also within that of
    the scores and features that `predict` and `embed` made from it.

    Args:
        attributes: Of a file of any stage.
        file: Its path, for the error.

    Raises:
        StoreError: As `TruthRule.from_stored`.
    """
    if attributes.get("truth") is not None:
        return TruthRule.from_stored(attributes["truth"], file)
    recipe = attributes.get("recipe")
    while isinstance(recipe, Mapping) and recipe.get("stage") != "tile":
        source = recipe.get("source")
        recipe = source.get("recipe") if isinstance(source, Mapping) else None
    if recipe is None or not recipe.keys() >= set(_IN_RECIPE):
        return None
    return TruthRule.from_stored({name: recipe[name] for name in _IN_RECIPE}, file)


def _fits(stored: Mapping[str, Any]) -> bool:
    """Whether each stored option is of its kind and in its range."""
    texts = [stored.get(name) for name in ("annotation", "background")]
    shares = [stored.get(name, 0.0) for name in ("label_coverage", "max_background_coverage")]
    mapping, order = stored.get("mapping"), stored.get("paint_order")
    return (
        all(text is None or isinstance(text, str) for text in texts)
        and all(isinstance(share, int | float) and 0 <= share <= 1 for share in shares)
        and stored.get("frame", "bounds") in get_args(Frame)
        and isinstance(stored.get("exclusion", EXCLUSION), str)
        and (mapping is None or isinstance(mapping, Mapping))
        and (order is None or (isinstance(order, list | tuple) and all(map(_is_text, order))))
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
