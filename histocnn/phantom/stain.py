"""What a phantom is painted with: each lab's stains, the textures of materials, single cells."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.phantom.cells import EPITHELIUM, FIBROBLAST, LYMPHOCYTE, RED_CELL, TUMOUR

Pixels: TypeAlias = NDArray[np.uint8]

BLOCK_PX = 2048
TILE_PX = 256
STAIN_PER_OD = 125.0  # grey levels of a stain map per unit of optical density
GLASS_RGB = (243.0, 242.0, 244.0)
PEN_RGB = {
    "blue": (38, 62, 168),
    "green": (32, 128, 74),
    "black": (36, 34, 40),
    "red": (206, 30, 48),
}

# Optical density per channel of one unit of stain. The first row is Ruifrok and Johnston's (2001)
# haematoxylin; eosin lies between theirs (0.07, 0.99, 0.11) and the one Macenko et al. (2009)
# measured (0.22, 0.80, 0.56). Gains are how much of each stain the lab uses.
Lab: TypeAlias = tuple[tuple[float, ...], tuple[float, ...], float, float]
LABS: dict[str, Lab] = {
    "A": ((0.65, 0.70, 0.29), (0.15, 0.88, 0.37), 1.00, 1.00),
    "B": ((0.58, 0.72, 0.38), (0.24, 0.82, 0.52), 0.86, 1.22),
    "C": ((0.72, 0.64, 0.26), (0.10, 0.94, 0.27), 1.18, 0.80),
    "D": ((0.62, 0.70, 0.36), (0.20, 0.84, 0.50), 1.20, 1.12),
}

# width, height in µm, haematoxylin at the rim and inside, how far sizes vary
NUCLEI: dict[int, tuple[float, float, float, float, float]] = {
    EPITHELIUM: (8.4, 5.4, 150, 118, 0.07),
    TUMOUR: (12.0, 9.6, 152, 112, 0.20),
    FIBROBLAST: (13.0, 2.6, 150, 140, 0.18),
    LYMPHOCYTE: (6.0, 5.8, 178, 160, 0.06),
    RED_CELL: (6.2, 5.6, 112, 92, 0.05),
}
SHAPES, TURNS = 12, 16
GRAIN = 2  # the texture's mean, to be taken off again


def stains_of(lab: str) -> Lab | None:
    """Haematoxylin, eosin and how much of each a lab uses; None where nobody knows it.

    Besides `LABS` there are as many as numbers: "1", "2" … draw theirs evenly from the range that
    `LABS` spans, every one of the eight numbers by itself.
    """
    if not (lab.isascii() and lab.isdigit()):
        return LABS.get(lab)
    known = np.array([[*h, *e, *gains] for h, e, *gains in LABS.values()])
    drawn = np.random.default_rng([13, int(lab)]).uniform(known.min(axis=0), known.max(axis=0))
    return tuple(drawn[:3]), tuple(drawn[3:6]), float(drawn[6]), float(drawn[7])


def colour_table(lab: str, gain_h: float, gain_e: float) -> NDArray[np.uint32]:
    """RGBA of every pair of stains, uint32 [65536], indexed by 256 × haematoxylin + eosin.

    Args:
        lab: One that `stains_of` knows.
        gain_h: How much more haematoxylin than the lab's usual.
        gain_e: How much more eosin.
    """
    stains = stains_of(lab)
    assert stains is not None  # noqa: S101 - make_phantom asks
    vector_h, vector_e, lab_h, lab_e = stains
    level = np.arange(256) / STAIN_PER_OD
    density = (
        (level * lab_h * gain_h)[:, None, None] * np.array(vector_h)
        + (level * lab_e * gain_e)[None, :, None] * np.array(vector_e)
    )  # fmt: skip
    rgba = np.full((256, 256, 4), 255, np.uint8)
    rgba[..., :3] = np.round(np.array(GLASS_RGB) * np.exp(-density))
    return rgba.view(np.uint32).reshape(-1)


def develop(stains: Pixels, table: NDArray[np.uint32]) -> Pixels:
    """Look up the RGB of uint8 [h, w, 2] maps of eosin and haematoxylin: the index's two bytes."""
    index = stains.view("<u2")[..., 0]
    rgba = np.take(table, index).view(np.uint8).reshape(*index.shape, 4)
    return np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB))


def _noise(rng: np.random.Generator, side: int, sigma_px: float) -> NDArray[np.float32]:
    """Periodic smooth noise of zero mean and unit deviation."""
    frequency = np.fft.fftfreq(side)
    fade = np.exp(-2 * (np.pi * sigma_px) ** 2 * frequency**2)
    spectrum = np.fft.fft2(rng.normal(size=(side, side))) * fade[:, None] * fade
    noise = np.fft.ifft2(spectrum).real
    return np.asarray((noise - noise.mean()) / max(noise.std(), 1e-9), np.float32)


@lru_cache(maxsize=2)
def textures(mpp: float, margin_px: int) -> dict[str, Pixels]:
    """Stain maps of each material, periodic, cut to a block with its margin."""
    rng = np.random.default_rng(7)
    period = 1024

    def lay(texture: NDArray[np.floating]) -> Pixels:
        pad = margin_px
        tiled = np.pad(np.tile(texture, (BLOCK_PX // period,) * 2), pad, mode="wrap")
        return np.ascontiguousarray(np.clip(np.round(tiled), 0, 255).astype(np.uint8))

    bend = _noise(rng, period, 26 / mpp) * (30 / mpp) + _noise(rng, period, 6 / mpp) * (3 / mpp)
    line = np.fft.fft(rng.normal(size=period))
    line *= np.exp(-2 * (np.pi * 1.0 / mpp * np.fft.fftfreq(period)) ** 2)
    strand = np.fft.ifft(line).real
    strand /= strand.std()
    rows = (np.arange(period)[:, None] + bend) % period
    fibre = np.interp(rows, np.arange(period + 1), np.append(strand, strand[0]))
    fibre = fibre + 0.35 * _noise(rng, period, 1.2 / mpp)
    cleft = np.clip((fibre + 1.75) / 0.35, 0.08, 1)  # thin gaps between bundles
    fine, coarse = _noise(rng, period, 0.8 / mpp), _noise(rng, period, 4.0 / mpp)
    return {
        "fibre_e": lay((62 + 12 * fibre + 4 * coarse) * cleft),
        "fibre_h": lay((10 + 2.5 * coarse) * cleft),
        "cytoplasm_e": lay(52 + 5 * fine + 5 * coarse),
        "cytoplasm_h": lay(27 + 4 * fine + 4 * coarse),
        "apical_e": lay(42 + 6 * fine + 5 * coarse),
        "apical_h": lay(17 + 4 * fine + 4 * coarse),
        "mucus_e": lay(5 + 4 * np.maximum(coarse + 0.5 * fine - 0.6, 0)),
        "mucus_h": lay(np.full((period, period), 3)),
        "grain": lay(GRAIN + rng.normal(0, 1.1, (period, period))),
    }


@lru_cache(maxsize=4)
def stamps(mpp: float) -> dict[int, list[list[Pixels]]]:
    """Pictures of single cells by kind, shape and turn: uint8 stain maps, all equally large."""
    rng = np.random.default_rng(11)
    half_px = int(np.ceil(9.5 / mpp)) + 1
    return {
        kind: [_turned(rng, half_px, mpp, kind) for _ in range(SHAPES)] for kind in sorted(NUCLEI)
    }


def _turned(rng: np.random.Generator, half_px: int, mpp: float, kind: int) -> list[Pixels]:
    """Draw one cell in all its turns: an oval with a dark rim, mottled chromatin and nucleoli."""
    width, height, rim, middle, vary = NUCLEI[kind]
    width, height = np.array((width, height)) * np.clip(1 + rng.normal(0, vary, 2), 0.6, 1.45)
    wobble = [(k, rng.normal(0, 0.035), rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4)]
    ink = 1 + np.clip(rng.normal(0, 0.07), -0.15, 0.15)
    speckle = _noise(rng, 96, 1.8)
    nucleoli = rng.uniform(-0.45, 0.45, (rng.integers(1, 3) if kind == TUMOUR else 0, 2))
    y, x = np.mgrid[: 2 * half_px, : 2 * half_px] + 0.5 - half_px
    edge_px = min(width, height) / 2 / mpp
    turns = []
    for turn in range(TURNS):
        angle = np.pi * turn / TURNS
        u = (x * np.cos(angle) + y * np.sin(angle)) * mpp / (width / 2)
        v = (y * np.cos(angle) - x * np.sin(angle)) * mpp / (height / 2)
        polar = np.arctan2(v, u)
        edge = 1 + sum(a * np.cos(k * polar + p) for k, a, p in wobble)
        r = np.hypot(u, v) / edge
        grain = speckle[(v * 20).astype(int) % 96, (u * 20).astype(int) % 96]
        stain = middle + (rim - middle) * np.clip((r - 0.55) / 0.35, 0, 1) + 9 * grain
        for nu, nv in nucleoli:
            stain += 45 * (np.hypot((u - nu) * width, (v - nv) * height) < 2.3)
        cover = np.clip((1 - r) * edge_px + 0.5, 0, 1)  # a smooth edge
        turns.append(np.round(np.clip(stain * ink, 0, 255) * cover).astype(np.uint8))
    return turns
