"""Pathology's encoders: what each is, what it was made for, and what its licence forbids.

The table is `encoders.yaml` beside this file. It is read without torch, as listing it needs none.

Its facts are those of each network's card on the hub and of its authors' repository (kaiko's README
and hubconf, Lunit's README, RetCCL's code, Hibou-B's config.json), as far as stored copies of them
could be read, cross-checked with the code of TRIDENT (its table of encoders and
`patch_encoder_models/load.py`), slide2vec 7.1.4, lazyslide-models 0.1.0, kaiko-eva 0.4.5 and
tiatoolbox 2.1.3. Where these disagree, or only one of them says it, it stands under `unverified`.
Nobody's weights were at hand: widths and parameters are counted on the networks that the rows make.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from histocnn.errors import ModelError, UsageError
from histocnn.metrics.terms import UNKNOWN, Terms
from histocnn.models import hub
from histocnn.storage.yaml import read_yaml

ROWS = Path(__file__).with_name("encoders.yaml")
IMAGENET = (
    (0.485, 0.456, 0.406),
    (0.229, 0.224, 0.225),
)  # where a row has no mean and std
UNVERIFIED = "unverified"
SCALE_TOLERANCE = 0.1  # relative difference from the nearest µm/px; beyond it is refused


@dataclass(frozen=True)
class Encoder:
    """A row of the table.

    Attributes:
        name: By which it is asked for.
        hub: ORG/NAME; "" where it is on no hub.
        files: Of its weights, there; () for the usual ones.
        architecture: `timm/NAME` or torchvision's; "" where neither can express it.
        arguments: Of the architecture, as JSON has them.
        pool: Which tokens make the feature; None: the network's own pooling.
        width: Features per patch.
        parameters: Counted; 0 where it cannot be made.
        said_parameters: As published.
        input_px: Side of its input; None: any.
        resize_px: Side to which patches of another size are scaled before the middle is cut out.
        interpolation: With which they are scaled.
        mean: Of RGB in 0..1.
        std: Of RGB in 0..1.
        mpp: The µm/px that it was made for; () where it knows none.
        licence: Its name, or `unverified`.
        forbids: What the licence forbids; None where that could not be verified.
        gated: Its terms must be accepted on the hub.
        natural: Made for photographs, not for pathology.
        unverified: Facts that the sources disagree on or do not say.
        note: What is to be known besides.
        cite: Whom to cite.
    """

    name: str
    width: int
    licence: str
    forbids: tuple[str, ...] | None
    cite: str
    architecture: str = ""
    hub: str = ""
    files: tuple[str, ...] = ()
    arguments: Mapping[str, Any] | None = None
    pool: Literal["cls", "mean", "cls+mean", "gem"] | None = None
    parameters: int = 0
    said_parameters: str = ""
    input_px: int | None = 224
    resize_px: int | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]
    mpp: tuple[float, ...] = ()
    gated: bool = False
    natural: bool = False
    unverified: tuple[str, ...] = ()
    note: str = ""

    @property
    def terms(self) -> Terms:
        """What travels with everything that is made with it."""
        licence = "" if self.licence == UNVERIFIED else self.licence
        return Terms(self.name, licence, self.forbids)

    @property
    def is_library_s(self) -> bool:
        """Whether torchvision has it, and its weights, under this very name."""
        return not self.hub and self.architecture == self.name

    def cached(self) -> Path | None:
        """Its weights in the hub's cache on this machine; the hub is not asked."""
        if not self.hub:
            return None
        found = (hub.cached(self.hub, file) for file in self.files or hub.WEIGHTS)
        return next((path for path in found if path is not None), None)

    def weights(self) -> Path:
        """Its weights, from the cache or the hub.

        Raises:
            ModelError: As `hub.weights_of`, or it is on no hub.
        """
        if not self.hub:
            raise ModelError(
                f"{self.name} is on no hub ({self.note.rstrip('.')})", "Give --weights FILE."
            )
        try:
            return hub.weights_of(self.hub, self.files or hub.WEIGHTS)
        except ModelError as error:
            more = f"`histocnn encoders {self.name}` says how to carry it here."
            raise ModelError(error.message, f"{error.remedy} {more}") from error


@cache
def table() -> Mapping[str, Encoder]:
    """The table, by name, in its order.

    >>> table()["uni2-h"].width, table()["uni2-h"].terms.forbids
    (1536, ('commercial use', 'sharing derived models'))
    """
    known = {field.name for field in fields(Encoder)}
    rows = {}
    for name, said in read_yaml(ROWS).items():
        assert said.keys() <= known, (name, said.keys() - known)  # noqa: S101  # ours
        facts = {k: tuple(v) if isinstance(v, list) else v for k, v in said.items()}
        facts["architecture"] = facts["architecture"] or ""
        if facts["forbids"] == UNVERIFIED:
            facts["forbids"] = None
        rows[name] = Encoder(name=name, **cast(dict[str, Any], facts))
    return rows


def find(name: str) -> Encoder | None:
    """The encoder of a name of the table, or of its name on the hub; None where it has none.

    >>> find("hf_hub:MahmoodLab/uni2-h").name
    'uni2-h'
    >>> find("resnet34") is None
    True
    """
    if name.lower() in table():
        return table()[name.lower()]
    spelled = hub.spelled(name)
    if not spelled.startswith(hub.PREFIX):
        return None
    repo = spelled.removeprefix(hub.PREFIX).lower()
    return next((row for row in table().values() if row.hub.lower() == repo != ""), None)


def named(name: str) -> Encoder:
    """The encoder of a name.

    Raises:
        UsageError: There is none; the nearest names are offered.
    """
    if (found := find(name)) is not None:
        return found
    raise UsageError(f"no encoder is called {name!r}", nearest(name))


def nearest(name: str) -> str:
    """What may have been meant by a name, as a sentence.

    >>> nearest("uni2")
    'Did you mean uni, uni2-h? `histocnn encoders` lists all.'
    """
    close = difflib.get_close_matches(name.lower(), table(), n=3, cutoff=0.5)
    meant = f"Did you mean {', '.join(close)}? " if close else ""
    return f"{meant}`histocnn encoders` lists all."


def scaled(name: str, patch_px: int | None, mpp: float | None) -> str:
    """What becomes of a patch's µm/px where an encoder's own transform scales it; "" where nothing.

    >>> scaled("uni", 256, 0.5)
    'patches of 256 px are scaled to 224: the encoder sees 0.571 µm/px'
    >>> scaled("uni", 224, 0.5), scaled("gigapath", 256, 0.5)
    ('', '')
    """
    row = find(name)
    if row is None or patch_px is None or patch_px == row.input_px or row.input_px is None:
        return ""
    side = row.resize_px or row.input_px
    if patch_px == side:
        return ""
    seen = "" if mpp is None else f": the encoder sees {mpp * patch_px / side:.3g} µm/px"
    return f"patches of {patch_px} px are scaled to {side}{seen}"


def terms_of(name: str, weights: str | None) -> Terms:
    """By whose leave the features of a network may be used.

    Args:
        name: The network's, as typed.
        weights: Its weights; None or `imagenet`: the publisher's. A file under an encoder's name is
            that encoder's; under a library's name of an architecture it may be anybody's.

    >>> terms_of("uni", "uni.bin").licence, terms_of("resnet50", "mine.pth") == UNKNOWN
    ('CC-BY-NC-ND-4.0', True)
    """
    row = find(name)
    published = weights is None or weights == "imagenet"
    if row is None or (row.is_library_s and not published):
        return UNKNOWN
    return row.terms


def check_scale(name: str, patches: Sequence[tuple[str, float | None]]) -> None:
    """Refuse patches of another scale than an encoder was made for, if none of them is of it.

    Args:
        name: The network's; of one that is no encoder, or knows no scale, nothing is asked.
        patches: Of each file its name and µm/px, None where unknown, which is taken to fit.

    Raises:
        ModelError: With the nearest scale; beyond `SCALE_TOLERANCE`, relative.

    >>> check_scale("virchow2", [("a", 0.26), ("b", 3.0)])
    """
    row = find(name)
    if row is None or not row.mpp or not patches:
        return
    said = [
        (file, mpp, min(row.mpp, key=lambda own: abs(own - (mpp or own)))) for file, mpp in patches
    ]
    off = [one for one in said if one[1] and abs(one[1] / one[2] - 1) > SCALE_TOLERANCE + 1e-9]
    if len(off) == len(said):
        file, mpp, near = off[0]
        made_for = ", ".join(f"{own:g}" for own in row.mpp)
        raise ModelError(
            f"{file}: patches at {mpp:g} µm/px, and {row.name} was made for {made_for}",
            f"Tile at --mpp {near:g}, or go on with --any_scale true.",
        )


def _off(row: Encoder, mpp: float) -> float:
    """How far a µm/px is from the nearest that an encoder was made for, relative; 0.1 is 0.1."""
    return min(round(abs(mpp / own - 1), 9) for own in row.mpp)
