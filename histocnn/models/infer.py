"""The one loop of predict and embed: patches in, a network's arrays out, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from histocnn.errors import ModelError, PatchesError
from histocnn.jobs.workers import Tick
from histocnn.models.suitable import OfSlide
from histocnn.patches.patch_set import QUALITY
from histocnn.patches.patches import Patches
from histocnn.patches.quality import Quality, unmeasured
from histocnn.reference.colour import colour
from histocnn.slides.stream import Batch
from histocnn.storage import store

Arrays = dict[str, NDArray[Any]]


@dataclass
class Shares:
    """Seconds that the loop waited for pixels, computed, and waited for the writer."""

    pixels: float = 0.0
    compute: float = 0.0
    write: float = 0.0

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Add the time the block takes."""
        start = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, name, getattr(self, name) + time.perf_counter() - start)


def infer(
    patches: Patches,
    run: Callable[[NDArray[np.uint8]], dict[str, Tensor]],
    *,
    batch_size: int = 64,
    threads: int = 2,
    shares: Shares | None = None,
    normalise: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
    quality: Quality | None = None,
) -> Iterator[tuple[NDArray[np.int64], Arrays]]:
    """Run all patches through a network, in their order.

    While a GPU computes a batch, the next is read and the last one is handed out. On a CPU a batch
    is measured before it is computed: the readers, who go on when a batch is taken from them, then
    work beside one thread and are done when the network wants all cores.

    Args:
        patches: What to read.
        run: Such as a `Runner`.
        batch_size: Patches at a time.
        threads: Readers.
        shares: Counts where the time goes.
        normalise: Stain normalisation of one patch.
        quality: Is shown the pixels as read, too.

    Yields:
        Rows int64 [B] and the arrays [B, ...] of `run` with `colour` float32 [B, 6] (of the
        pixels as read); rows that could not be read are NaN.
    """
    shares = shares or Shares()
    batches = iter(patches.batches(batch_size, threads))
    running: tuple[Batch, _OnTheWay, NDArray[np.float32]] | None = None
    while True:
        with shares.of("pixels"):
            batch = next(batches, None)
        ready, running = running, None
        if batch is not None:
            with shares.of("compute"):
                pixels = batch.pixels
                if normalise is not None:
                    pixels = np.stack([normalise(patch) for patch in pixels])
                if quality is not None:
                    quality.see(batch)
                colours = colour(batch.pixels)
                running = batch, _OnTheWay(run(pixels)), colours
        if ready is not None:
            with shares.of("compute"):
                arrays = _collect(*ready)
            yield ready[0].rows, arrays
        if batch is None:
            return


class _OnTheWay:
    """Tensors being copied to the host, behind the work of their own batch but no later one."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self._host = {k: t.to("cpu", non_blocking=True) for k, t in tensors.items()}
        self._copied: Any = None
        if any(t.is_cuda for t in tensors.values()):
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record()

    def arrays(self) -> Arrays:
        if self._copied is not None:
            self._copied.synchronize()
        return {name: tensor.numpy() for name, tensor in self._host.items()}


def _collect(batch: Batch, results: _OnTheWay, colours: NDArray[np.float32]) -> Arrays:
    arrays = results.arrays() | {"colour": colours}
    for array in arrays.values():
        array[~batch.readable] = _nothing(array.dtype)
    return arrays


def _nothing(dtype: Any) -> float:
    """What stands for "not read": NaN, and in sets of classes none of them."""
    return False if np.dtype(dtype) == bool else np.nan


def _check_finite(arrays: Arrays) -> None:
    """Refuse a network that gives nothing for a patch that was read: NaN would say "not read".

    Raises:
        ModelError: With the number of patches of this batch.
    """
    read = ~np.isnan(arrays["colour"]).any(axis=1)
    for name, array in arrays.items():
        lost = int((~np.isfinite(array[read]).all(axis=tuple(range(1, array.ndim)))).sum())
        if name != "colour" and lost:
            raise ModelError(
                f"the network's {name} are NaN or infinite for {lost} of {int(read.sum())} patches "
                "that could be read",
                "Its weights are damaged, or bfloat16 is too coarse: try --precision float32.",
            )


@dataclass(frozen=True)
class Loading:
    """How patches are brought to the network.

    Attributes:
        batch_size: Patches at a time.
        threads: Readers.
        normalise: Stain normalisation of one patch.
    """

    batch_size: int = 64
    threads: int = 2
    normalise: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None


def write_results(
    target: Path,
    patches: Patches,
    run: Callable[[NDArray[np.uint8]], dict[str, Tensor]],
    *,
    attributes: dict[str, Any],
    tick: Tick,
    dtypes: dict[str, str] | None = None,
    copy: dict[str, Any] | None = None,
    loading: Loading = Loading(),
) -> dict[str, Any]:
    """Write a file of what `infer` yields beside what the patches carry on.

    Args:
        target: The file.
        patches: What to read.
        run: As for `infer`.
        attributes: Besides the carried ones.
        tick: Called with patches done and total.
        dtypes: Of the arrays that are not stored as float32, by name.
        copy: Further datasets, as they are.
        loading: How patches are brought to the network.

    Returns:
        The facts that `jobs.run.run` keeps: patches, outcome, notes, shares.

    Raises:
        ModelError: The network gives NaN for a patch that could be read.
        PatchesError: Not one patch could be read.
        SlideError: The slide was changed meanwhile.
    """
    carried, carried_attributes = patches.carried()
    shares, quality = Shares(), unmeasured(patches)
    results = infer(patches, run, shares=shares, quality=quality, **vars(loading))
    first = list(islice(results, 1))  # whose arrays say their shapes
    side = patches.patch_px or 224
    arrays = first[0][1] if first else run(np.zeros((1, side, side, 3), np.uint8))
    facts = write_rows(
        target,
        patches,
        chain(first, results),
        columns_of({name: tuple(array.shape[1:]) for name, array in arrays.items()}, dtypes),
        Frame(len(patches), carried_attributes | attributes, carried | (copy or {})),
        tick=tick,
        shares=shares,
        quality=quality,
    )
    if isinstance(loading.normalise, OfSlide):
        facts["notes"] += loading.normalise.normalise.notes(facts["patches"])
    return facts | {"notes": facts["notes"] + patches.problems[:3]}


class Frame(NamedTuple):
    """What a file holds beside a network's arrays.

    Attributes:
        rows: Of every dataset.
        attributes: By name.
        datasets: Written whole at the start.
    """

    rows: int
    attributes: dict[str, Any]
    datasets: dict[str, Any]


def columns_of(
    shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, str] | None = None
) -> dict[str, store.Column]:
    """The datasets of a network's arrays, and colour: float32 if `dtypes` does not say another."""
    kinds = {name: (dtypes or {}).get(name, "float32") for name in (*shapes, "colour")}
    return {
        name: store.Column(shape, kinds[name], _nothing(kinds[name]))
        for name, shape in {**shapes, "colour": (6,)}.items()
    }


def write_rows(
    target: Path,
    patches: Patches,
    results: Iterable[tuple[NDArray[np.int64], Arrays]],
    columns: dict[str, store.Column],
    frame: Frame,
    *,
    tick: Tick,
    shares: Shares,
    quality: Quality | None = None,
) -> dict[str, Any]:
    """Write a file of a network's arrays while they are made.

    Args:
        target: The file.
        patches: Of which slide or images.
        results: Rows and arrays, as `infer` yields them.
        columns: The arrays' datasets.
        frame: What else the file holds.
        tick: Called with rows done and total.
        shares: Where the time went so far; the writer's is added.
        quality: What sees the pixels meanwhile; its columns are written at the end.

    Returns:
        As `write_results`, which raises the same.
    """
    unreadable, done = 0, 0
    if quality is not None:
        columns = columns | dict.fromkeys(QUALITY, store.Column((), "float32", np.nan))
    kept = {name: values for name, values in frame.datasets.items() if name not in columns}
    with store.Writer(target, frame.rows, columns, frame.attributes, kept) as writer:
        for rows, arrays in results:
            _check_finite(arrays)
            writer.put(rows, arrays)
            unreadable += int(np.isnan(arrays["colour"][:, 0]).sum())
            done += len(rows)
            tick(done, frame.rows)
        if quality is not None:
            writer.put(np.arange(frame.rows), quality.columns())
        patches.check_same()
        if done and unreadable == done:
            raise PatchesError(
                f"{patches.name}: none of its {done} patches can be read",
                "Check that the slide, or the images, are whole.",
            )
    shares.write = writer.seconds_waited
    return {
        "patches": done,
        "outcome": "ok" if done else "empty",
        "notes": [f"{unreadable} of {done} patches unreadable, NaN"] * bool(unreadable),
        "shares": vars(shares),
    }
