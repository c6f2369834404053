"""By whose leave features may be used: the encoder behind them, its licence, what that forbids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COMMERCIAL = "commercial use"
LONGEST = 300  # characters of a name or a licence, which come from files


@dataclass(frozen=True)
class Terms:
    """What travels with features and with everything that is made of them.

    Attributes:
        encoder: The network whose weights made the features, or a model began with; "" unknown.
        licence: Of its weights; "" unknown.
        forbids: What the licence forbids; None where nobody recorded or verified it.
    """

    encoder: str = ""
    licence: str = ""
    forbids: tuple[str, ...] | None = None

    @property
    def commercial(self) -> bool | None:
        """Whether commercial use is allowed; None: unknown, which is not yes."""
        return None if self.forbids is None else COMMERCIAL not in self.forbids

    def to_dict(self) -> dict[str, Any]:
        """As JSON: `encoder`, `licence`, `forbids` (null: unknown)."""
        forbids = None if self.forbids is None else list(self.forbids)
        return {"encoder": self.encoder, "licence": self.licence, "forbids": forbids}

    @classmethod
    def from_dict(cls, stored: Any) -> Terms:
        """What `to_dict` gave.

        Raises:
            ValueError: It is something else.

        >>> Terms.from_dict(Terms("uni", "MIT", (COMMERCIAL,)).to_dict()).commercial
        False
        """
        if not isinstance(stored, Mapping) or stored.keys() != UNKNOWN.to_dict().keys():
            raise ValueError("terms are encoder, licence and forbids")
        forbids = stored["forbids"]
        texts = [stored["encoder"], stored["licence"], *(forbids or [])]
        if not (forbids is None or isinstance(forbids, list)) or len(texts) > 12:
            raise ValueError("what terms forbid is a short list")
        if not all(isinstance(text, str) and len(text) <= LONGEST for text in texts):
            raise ValueError("terms are texts")
        return cls(texts[0], texts[1], None if forbids is None else tuple(forbids))

    @property
    def is_bound(self) -> bool:
        """Whether a named encoder's licence forbids something, or may do."""
        return bool(self.forbids or (self.encoder and self.forbids is None))

    @classmethod
    def stored_in(cls, attributes: Mapping[str, Any]) -> Terms:
        """What a file of features or scores, or a report's facts of the model, say."""
        try:
            return cls.from_dict(attributes.get("encoder"))
        except ValueError:
            return UNKNOWN

    def sentence(self) -> str:
        """What a person must know, in a sentence.

        >>> Terms("uni", "CC-BY-NC-ND-4.0", ("commercial use",)).sentence()
        'Made with uni (CC-BY-NC-ND-4.0), whose licence forbids commercial use.'
        >>> UNKNOWN.sentence()
        'The licence of the network behind this is unknown.'
        """
        if self == NOBODYS:
            return "No network of others is behind this."
        if not self.encoder and not self.licence:
            return "The licence of the network behind this is unknown."
        who = f"Made with {self.encoder} ({self.licence or 'licence unknown'})"
        if self.forbids is None:
            return f"{who}; what its licence forbids is unknown."
        if not self.forbids:
            return f"{who}."
        return f"{who}, whose licence forbids {' and '.join(self.forbids)}."


UNKNOWN = Terms()
NOBODYS = Terms(forbids=())  # weights that began at random, here


def together(said: Sequence[Terms]) -> Terms:
    """Of files that one network made: those that name an encoder, else what all say alike.

    >>> together([UNKNOWN, Terms("uni")]).encoder, together([NOBODYS, UNKNOWN]) == UNKNOWN
    ('uni', True)
    """
    alike = said[0] if len({*said}) == 1 else UNKNOWN
    return next((terms for terms in said if terms.encoder), alike)
