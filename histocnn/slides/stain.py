"""Stain colour: jitter of haematoxylin, eosin and DAB, and Macenko normalisation.

Both are one linear map of optical density, OD = -ln((I + 1) / 256), so both are one function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.errors import ReadError

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

# Unit vectors of H, E and DAB in optical density of R, G, B: rows. Ruifrok and Johnston,
# "Quantification of histochemical staining by color deconvolution", 2001.
_ABSORBANCE: Floats = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
HED = np.asarray(_ABSORBANCE / np.linalg.norm(_ABSORBANCE, axis=1, keepdims=True), np.float64)
HED_INVERSE = np.asarray(np.linalg.inv(HED), np.float64)
# Deviation of each channel over the stained pixels of H&E patches of colon, breast and lymph node
# (mean of the three): benchmarks/stain.py prints it.
HED_STD: Floats = np.array([0.41, 0.20, 0.27])
GLASS_TINT = 2.5  # grey levels that a jitter may add to white: rounding keeps it below 3

MIN_OD = 0.15  # every channel of a stained pixel, as Macenko et al. choose it
MIN_TISSUE_PX = 500
PERCENTILES = (1.0, 99.0)
BLOCK_PX = 8
# Between one stain with noise and JPEG artefacts (at most 0.008) and H&E (at least 0.017), and
# between 4.5° and the least of 1 % of real patches (7.9°; slides have 13° and more).
MIN_SECOND_SHARE = 0.012
MIN_ANGLE_DEG = 7.0
SAMPLED_PATCHES = 32  # 1.6 million pixels of 224 px
NEARLY_ALL = 0.95

_DENSITY = (-np.log((np.arange(256) + 1) / 256)).astype(np.float32)
_LOG_256 = float(np.log(256))


def recolour(pixels: Pixels, matrix: Floats, offset: Floats | None = None) -> Pixels:
    """Map every pixel's optical density as OD @ matrix + offset.

    Args:
        pixels: uint8 [H, W, 3].
        matrix: float [3, 3].
        offset: float [3]; default 0, which leaves white white.

    Returns:
        uint8 [H, W, 3], within 1 grey level of the same in float64.
    """
    affine = np.zeros((3, 4), np.float32)
    affine[:, :3] = -np.asarray(matrix).T
    affine[:, 3] = _LOG_256 - (0 if offset is None else offset)
    density = np.take(_DENSITY, pixels)
    cv2.transform(density, affine, dst=density)
    cv2.exp(density, dst=density)
    return np.asarray(cv2.convertScaleAbs(density, alpha=1, beta=-1), np.uint8)


def hed_jitter(pixels: Pixels, alpha: Floats, beta: Floats) -> Pixels:
    """Change the amount c of each stain to alpha × c + beta.

    Args:
        pixels: uint8 [H, W, 3].
        alpha: float [3], of H, E and DAB.
        beta: float [3], in optical density.

    Returns:
        uint8 [H, W, 3].
    """
    return recolour(pixels, HED_INVERSE @ np.diag(alpha) @ HED, np.asarray(beta) @ HED)


def draw_hed_jitter(rng: np.random.Generator, sigma: float = 0.05) -> tuple[Floats, Floats]:
    """Draw (alpha, beta): alpha in 1 ± sigma, beta in ± sigma × the channel's deviation.

    Glass has no stain, so beta would tint it: where it would by more than `GLASS_TINT` grey
    levels, beta is shortened.
    """
    alpha = rng.uniform(1 - sigma, 1 + sigma, 3)
    beta = rng.uniform(-sigma, sigma, 3) * HED_STD
    tint = np.abs(256 * np.exp(-(beta @ HED)) - 256).max()
    return alpha, beta * min(1.0, GLASS_TINT / tint) if tint else beta


@dataclass(frozen=True)
class Stains:
    """Two stains of a slide: who has which colour, and how much of it.

    Attributes:
        vectors: H and E as unit vectors of optical density of R, G, B: rows.
        maxima: The 99th percentile of each stain's amount.
    """

    vectors: tuple[tuple[float, float, float], tuple[float, float, float]]
    maxima: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Give the stains as JSON holds them, for `from_dict`."""
        return {"vectors": [list(v) for v in self.vectors], "maxima": list(self.maxima)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Stains:
        """Make the stains again of what `to_dict` gave."""
        h, e = (tuple(float(x) for x in v) for v in stored["vectors"])
        return cls((h, e), tuple(float(x) for x in stored["maxima"]))  # type: ignore[arg-type]


# What the published implementations of Macenko's method normalise to.
REFERENCE = Stains(((0.5626, 0.7201, 0.4062), (0.2159, 0.8012, 0.5581)), (1.9705, 1.0308))


def estimate(pixels: Pixels) -> Stains | None:
    """Find the two stains of an H&E image; None where `find` says why there are none."""
    found = find(pixels)
    return found if isinstance(found, Stains) else None


def find(pixels: Pixels) -> Stains | str:
    """Find the two stains of H&E images, or say why they cannot be told.

    Source: Macenko et al., "A method for normalizing histology slides for quantitative analysis",
    ISBI 2009: the plane of the two largest principal components of the stained pixels' optical
    density, and in it the 1st and 99th percentile of the angle. The method gives two vectors for
    one stain too, because noise spreads the angle by 7° to 15°; what tells the two apart is that
    noise fades in means of `BLOCK_PX`² pixels, and a second stain does not (docs/benchmarks.md).

    Args:
        pixels: uint8 [..., H, W, 3].

    Returns:
        The stains, or why there are none: too few stained pixels, or one colour alone.
    """
    density = stained(pixels)
    if len(density) < MIN_TISSUE_PX:
        return f"fewer than {MIN_TISSUE_PX} stained pixels"
    if _second_share(pixels) < MIN_SECOND_SHARE:
        return "one colour alone"
    plane = np.linalg.eigh(np.cov(density.T))[1][:, :0:-1]  # [3, 2], largest first
    plane *= np.where(plane.sum(axis=0) < 0, -1, 1)
    angle = np.arctan2(*(density @ plane).T[::-1])
    edges = np.percentile(angle, PERCENTILES)
    vectors = np.stack([np.cos(edges), np.sin(edges)], axis=1) @ plane.T  # [2, 3]
    vectors = vectors[np.argsort(-vectors[:, 0])]  # haematoxylin absorbs more red than eosin
    if np.degrees(np.ptp(edges)) < MIN_ANGLE_DEG:
        return f"one colour alone: two stains would be {np.degrees(np.ptp(edges)):.1f}° apart"
    if vectors.min() < -0.2:
        return "colours that haematoxylin and eosin do not give"
    maxima = np.percentile(density @ np.linalg.pinv(vectors), PERCENTILES[1], axis=0)
    if maxima.min() <= 0:
        return "one colour alone"
    return Stains.from_dict({"vectors": vectors.tolist(), "maxima": maxima.tolist()})


def stained(pixels: Pixels) -> Floats:
    """Optical density float64 [N, 3] of the stained pixels of images uint8 [..., H, W, 3]."""
    density = _DENSITY[pixels.reshape(-1, 3)].astype(np.float64)
    return np.asarray(density[(density > MIN_OD).all(axis=1)])


def _second_share(pixels: Pixels) -> float:
    """Variance along the second colour over that along the first, of means of small blocks."""
    images = pixels.reshape(-1, *pixels.shape[-3:])
    height, width = images.shape[1:3]
    size = max(1, width // BLOCK_PX), max(1, height // BLOCK_PX)
    density = stained(
        np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images])
    )
    if len(density) < 2:
        return 0.0
    _, second, first = np.linalg.eigvalsh(np.cov(density.T))
    return float(second / first) if first > 0 else 0.0


@dataclass(frozen=True)
class Sampled:
    """The stains of a slide, and how they were looked for.

    Attributes:
        stains: None where there are none.
        none: Why not.
        patches: How many patches were looked at.
        seed: By which they were drawn.
    """

    stains: Stains | None
    none: str = ""
    patches: int = 0
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Give it as files hold it, for `from_dict`."""
        how = {"patches": self.patches, "seed": self.seed}
        return (self.stains.to_dict() if self.stains else {"none": self.none}) | how

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Sampled:
        """Make it again of what `to_dict` gave, or earlier versions: stains from an overview."""
        how = int(stored.get("patches", 0)), int(stored.get("seed", 0))
        if "none" in stored:
            return cls(None, str(stored["none"]), *how)
        return cls(Stains.from_dict(stored), "", *how)


def sample(
    read: Callable[[int], Pixels], tissue: NDArray[np.floating[Any]], seed: int = 0
) -> Sampled:
    """Estimate a slide's stains from some of its patches, at their own resolution.

    An overview will not do: the mean of a large pixel is paler than the nuclei in it, so that
    everything is then brought to too dark a stain.

    Args:
        read: Gives the pixels of a patch; may raise ReadError.
        tissue: Share of each patch [N] that is tissue; NaN where unknown. Of patches that are
            nearly all tissue `SAMPLED_PATCHES` are drawn; where they are few, those with most.
        seed: Of the drawing.
    """
    share = np.minimum(np.nan_to_num(tissue, nan=0.0), NEARLY_ALL)
    drawn = np.lexsort((np.random.default_rng(seed).permutation(len(share)), -share))
    patches = []
    for row in np.sort(drawn[:SAMPLED_PATCHES]):
        with suppress(ReadError):
            patches.append(read(int(row)))
    found = find(np.stack(patches)) if patches else "no patch could be read"
    if isinstance(found, str):
        return Sampled(None, found, len(patches), seed)
    return Sampled(found, "", len(patches), seed)


def normalise(pixels: Pixels, source: Stains, reference: Stains = REFERENCE) -> Pixels:
    """Exchange the stains of `source` in the image for those of `reference`."""
    scale = np.diag(np.divide(reference.maxima, source.maxima))
    return recolour(pixels, np.linalg.pinv(source.vectors) @ scale @ np.array(reference.vectors))


@dataclass
class Normaliser:
    """Stain normalisation as a recipe keeps it.

    Attributes:
        reference: What every slide is brought to.
        per_patch: Estimate on each patch alone; it makes seams between neighbours.
        unchanged: Patches left as they were, for want of tissue.
    """

    reference: Stains = REFERENCE
    per_patch: bool = False
    unchanged: int = 0

    def __call__(self, pixels: Pixels, slide: Stains | None) -> Pixels:
        """The patch uint8 [H, W, 3], normalised from its slide's stains (or its own)."""
        source = estimate(pixels) if self.per_patch else slide
        if source is None:
            self.unchanged += 1
            return pixels
        return normalise(pixels, source, self.reference)

    def notes(self, patches: int) -> list[str]:
        """Say how many of so many patches were left as they were; nothing where none was."""
        if not self.unchanged:
            return []
        return [f"stain of {self.unchanged} of {patches} patches left as it is: none to go by"]

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as a recipe holds them, for `from_dict`."""
        return {"reference": self.reference.to_dict(), "per_patch": self.per_patch}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Normaliser:
        """Make the normaliser again of what `to_dict` gave."""
        return cls(Stains.from_dict(stored["reference"]), bool(stored["per_patch"]))
