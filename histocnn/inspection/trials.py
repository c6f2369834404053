"""The pictures that a network is tried on, one kind after the other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from histocnn.inspection import attacks, changed, drawing, made_up
from histocnn.inspection.bench import Bench
from histocnn.inspection.fool_report import Kind
from histocnn.inspection.noticing import SURE
from histocnn.inspection.on_pixels import Pixels

FAINT = 4  # noise so many times weaker than the tissue's own spread


class Made(NamedTuple):
    """Pictures of a trial; `derived`: the patches themselves, altered."""

    kind: Kind
    name: str
    pixels: Pixels
    derived: bool = True
    epsilon: int | None = None


def attacked(bench: Bench) -> Iterator[Made]:
    """The patches under FGSM and PGD, led away from what is right."""
    options, run = bench.options, bench.network.altered
    for epsilon in options.epsilons:
        step = partial(attacks.fgsm, epsilon=float(epsilon))
        made = run(bench.patches, bench.truth, step, bench.batch_size)
        yield Made("attack", f"FGSM, ε = {epsilon}", made, epsilon=epsilon)
    for epsilon in options.epsilons:
        generator = torch.Generator().manual_seed(options.seed)
        step = partial(
            attacks.pgd, epsilon=float(epsilon), steps=options.steps, generator=generator
        )
        made = run(bench.patches, bench.truth, step, bench.batch_size)
        yield Made("attack", f"PGD, ε = {epsilon}", made, epsilon=epsilon)


def altered(bench: Bench) -> Iterator[Made]:
    """The patches in other stains, blurred, compressed, scaled; then in the model's stain."""
    for name, change in changed.changes().items():
        pixels = changed.apply(change, bench.pixels)
        yield Made("change", name, drawing.shown(bench.found, pixels, bench.network.spec))


def noises(bench: Bench) -> dict[str, Pixels]:
    """Noise of several kinds, as many pictures of each as are asked for."""
    options, shape = bench.options, bench.pixels.shape[1:3]
    size = (shape[0], shape[1])
    mean, std = made_up.colour_of(bench.pixels)
    count, seed = options.made_up, options.seed
    return {
        "uniform noise": made_up.uniform(count, size, seed),
        "Gaussian noise": made_up.gaussian(count, size, seed=seed),
        "Gaussian noise in the tissue's colours": made_up.gaussian(count, size, mean, std, seed),
        "faint noise in the tissue's colours": made_up.gaussian(
            count, size, mean, std / FAINT, seed
        ),
    }


def invented(bench: Bench) -> Iterator[Made]:
    """Noise, and the things that were given, in the model's stain."""
    spec = bench.network.spec
    for name, pixels in noises(bench).items():
        yield Made("noise", name, drawing.shown_alone(pixels, spec), derived=False)
    if bench.things is not None:
        pixels = drawing.shown_alone(bench.things, spec)
        yield Made("thing", "things that are not tissue", pixels, derived=False)


def ascended(bench: Bench) -> Iterator[Made]:
    """Pictures that begin as noise and end where the network is sure of a class.

    Of the kinds of noise each class begins with the one of which the network is least sure of it.
    """
    spec, begun = bench.network.spec, noises(bench)
    logits = {
        name: bench.network.respond(pixels, bench.batch_size).logits
        for name, pixels in begun.items()
    }
    climb = partial(attacks.ascend, confidence=SURE, temperature=spec.temperature)
    for number, name in enumerate(spec.class_names):
        own = {kind: odds_of(found, number).mean() for kind, found in logits.items()}
        least = min(own, key=lambda kind: own[kind])
        start = begun[least]
        classes = np.full(len(start), number, np.int64)
        made = bench.network.altered(start, classes, climb, bench.batch_size)
        still = int((made == start).all(axis=(1, 2, 3)).sum())
        if still:
            bench.notes.append(
                f"Of {len(start)} pictures of {least} {still} are called {name} with 99 % and "
                "more as they are: there the ascent had nothing to do."
            )
        yield Made("ascent", f"ascent to {name} from {least}", made, derived=False)


def odds_of(logits: NDArray[np.float32], number: int) -> NDArray[np.float64]:
    """Log-odds of a class, float64 [N], of logits [N, C]."""
    classes = torch.full((len(logits),), number)
    return np.asarray(attacks.log_odds(torch.from_numpy(logits).double(), classes))


def everything(bench: Bench) -> Iterator[Made]:
    """All of it; without attacks and ascent where no gradient reaches the pixels, which is noted.

    Raises:
        ModelError: A batch does not fit the device's memory; the network has one class alone.
    """
    some = slice(0, bench.batch_size)
    try:
        bench.network.altered(bench.patches[some], bench.truth[some], _proof, bench.batch_size)
        has_gradient = True
    except attacks.NoGradientError as error:
        bench.notes.append(f"No attack and no ascent: {error.message}.")
        has_gradient = False
    if has_gradient:
        yield from attacked(bench)
    yield from altered(bench)
    yield from invented(bench)
    if has_gradient:
        yield from ascended(bench)


def _proof(network: torch.nn.Module, pixels: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    attacks.check_gradient(network, pixels, classes)
    return pixels
