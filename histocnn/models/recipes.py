"""What a function of one's own says of the network that it returns.

>>> from histocnn import Recipe
>>> Recipe(input_px=224, mpp=0.5, licence="MIT", forbids=()).terms("lab.nets:load").sentence()
'Made with lab.nets:load (MIT).'
>>> Recipe().terms("lab.nets:load").sentence()
'Made with lab.nets:load (licence unknown); what its licence forbids is unknown.'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from histocnn.errors import UsageError
from histocnn.metrics.terms import Terms
from histocnn.models.preparation import Interpolation, Preparation


@dataclass(frozen=True)
class Recipe(Preparation):
    """How pixels become the network's input, for which scale, and by whose leave.

    Attributes:
        mpp: µm/px that patches must have; None: any.
        licence: Of its weights; "" unknown.
        forbids: What the licence forbids, such as `commercial use`; None: unknown.
    """

    mpp: float | None = None
    licence: str = ""
    forbids: tuple[str, ...] | None = None

    def terms(self, name: str) -> Terms:
        """What travels with the features of a network of this name."""
        return Terms(name, self.licence, self.forbids)


def recipe_from(where: str, given: Any) -> Recipe:
    """A recipe of what a function returned beside its network: a `Recipe`, or its fields by name.

    Args:
        where: The function, for messages.
        given: What it returned.

    Raises:
        UsageError: It is something else, or a field is not of its kind.
    """
    if isinstance(given, Mapping):
        known = {field.name for field in fields(Recipe)}
        if unknown := sorted(map(str, given.keys() - known)):
            raise UsageError(f"{where}: its recipe has {unknown[0]}", f"It knows {sorted(known)}.")
        listed: dict[str, Any] = {
            str(k): tuple(v) if isinstance(v, list) else v for k, v in given.items()
        }
        given = Recipe(**listed)
    if not isinstance(given, Recipe):
        raise UsageError(f"{where}: beside the network it returns no recipe", "Return a Recipe.")
    for name, fits in (
        ("mean", _colours(given.mean)),
        ("std", _colours(given.std) and min(given.std) > 0),
        ("input_px", _side(given.input_px)),
        ("resize_px", _side(given.resize_px)),
        ("interpolation", given.interpolation in get_args(Interpolation)),
        ("mpp", given.mpp is None or (_number(given.mpp) and given.mpp > 0)),
        ("licence and forbids", _is_terms(given)),
    ):
        if not fits:
            raise UsageError(f"{where}: its recipe's {name} cannot be meant", "Correct it there.")
    return given


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _side(value: Any) -> bool:
    return value is None or (isinstance(value, int) and 1 <= value <= 4096)


def _colours(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and all(map(_number, value))


def _is_terms(given: Recipe) -> bool:
    try:
        Terms.from_dict(given.terms("").to_dict())
    except (ValueError, TypeError):
        return False
    return True
