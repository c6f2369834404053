"""The one loop of predict and embed: patches in, a network's arrays out, in order."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from histocnn.errors import ModelError, UsageError
from histocnn.jobs import run as runs
from histocnn.models.spec import ModelSpec, to_input
from histocnn.patches.patches import Patches
from histocnn.reference.colour import colour
from histocnn.slides.stain import Normaliser
from histocnn.slides.stream import Batch
from histocnn.storage import store

Precision = Literal["auto", "fp32", "bf16"]
Arrays = dict[str, NDArray[Any]]
SAME_SCALE = 0.01  # relative difference of µm/px that rounding explains
Step = Callable[[Tensor], dict[str, Tensor]]


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


@dataclass(frozen=True)
class Runner:
    """A network on a device, called with uint8 patches.

    Args:
        network: float [B, 3, h, w], normalised → outputs [B, ...].
        spec: How pixels become input.
        device: Where it runs.
        bf16: Autocast to bfloat16.
        finish: Outputs (float32) → the arrays to store, by name.
        augment: Applied to the input; every result is averaged before `finish`.
    """

    network: nn.Module
    spec: ModelSpec
    device: torch.device
    bf16: bool
    finish: Step
    augment: tuple[Callable[[Tensor], Tensor], ...] = field(default=(lambda images: images,))

    @torch.inference_mode()
    def __call__(self, pixels: NDArray[np.uint8]) -> dict[str, Tensor]:
        """Arrays of patches uint8 [B, H, W, 3], still on the device.

        Raises:
            ModelError: The batch does not fit the device's memory.
        """
        patches = torch.from_numpy(pixels)
        if self.device.type == "cuda":
            patches = patches.pin_memory().to(self.device, non_blocking=True)
        try:
            images = to_input(patches, self.spec)
            with self._autocast():
                outputs = [self.network(view(images)).float() for view in self.augment]
            return self.finish(torch.stack(outputs).mean(0) if len(outputs) > 1 else outputs[0])
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"a batch of {len(pixels)} patches does not fit the memory of {self.device}",
                "Lower --batch_size.",
            ) from error

    def _autocast(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()


def infer(
    patches: Patches,
    run: Callable[[NDArray[np.uint8]], dict[str, Tensor]],
    *,
    batch_size: int = 64,
    threads: int = 2,
    shares: Shares | None = None,
    normalise: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
) -> Iterator[tuple[NDArray[np.int64], Arrays]]:
    """Run all patches through a network, in their order.

    While a GPU computes a batch, the next is read and the last one is handed out.

    Args:
        patches: What to read.
        run: Such as a `Runner`.
        batch_size: Patches at a time.
        threads: Readers.
        shares: Counts where the time goes.
        normalise: Stain normalisation of one patch.

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
                running = batch, _OnTheWay(run(pixels)), colour(batch.pixels)
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
        array[~batch.readable] = np.nan
    return arrays


def write_results(
    target: Path,
    patches: Patches,
    run: Callable[[NDArray[np.uint8]], dict[str, Tensor]],
    *,
    dtypes: dict[str, str],
    attributes: dict[str, Any],
    tick: runs.Tick,
    copy: dict[str, Any] | None = None,
    normalise: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
    batch_size: int = 64,
    threads: int = 2,
) -> dict[str, Any]:
    """Write a file of what `infer` yields beside what the patches carry on.

    Args:
        target: The file.
        patches: What to read.
        run: As for `infer`.
        dtypes: Of the arrays that are not stored as float32, by name.
        attributes: Besides the carried ones.
        tick: Called with patches done and total.
        copy: Further datasets, as they are.
        normalise: As for `infer`.
        batch_size: As for `infer`.
        threads: As for `infer`.

    Returns:
        The facts that `jobs.run.run` keeps: patches, outcome, notes, shares.
    """
    carried, carried_attributes = patches.carried()
    side = patches.patch_px or 224
    shapes = {k: tuple(v.shape[1:]) for k, v in run(np.zeros((1, side, side, 3), np.uint8)).items()}
    columns = {
        name: store.Column(shape, dtypes.get(name, "float32"), np.nan)
        for name, shape in {**shapes, "colour": (6,)}.items()
    }
    carried = {k: v for k, v in carried.items() if k not in columns} | (copy or {})
    shares, unreadable, done = Shares(), 0, 0
    with store.Writer(
        target, len(patches), columns, {**carried_attributes, **attributes}, carried
    ) as writer:
        for rows, arrays in infer(
            patches, run,
            batch_size=batch_size, threads=threads, shares=shares, normalise=normalise,
        ):  # fmt: skip
            writer.put(rows, arrays)
            unreadable += int(np.isnan(arrays["colour"][:, 0]).sum())
            done += len(rows)
            tick(done, len(patches))
    shares.write = writer.seconds_waited
    notes = [f"{unreadable} of {done} patches unreadable, NaN"] if unreadable else []
    return {
        "patches": done,
        "outcome": "ok" if done else "empty",
        "notes": notes + patches.problems[:3],
        "shares": vars(shares),
    }


def normaliser(spec: ModelSpec, patches: Patches) -> Callable[..., NDArray[np.uint8]] | None:
    """The spec's stain normalisation for these patches; None where it has none.

    A slide is normalised by its own stains (as tile stored them, else from its thumbnail), an
    image file by those of its pixels.
    """
    if spec.stain is None:
        return None
    normalise = Normaliser.from_dict(spec.stain)
    normalise.per_patch = normalise.per_patch or patches.coords is None
    stains = None if normalise.per_patch else patches.stains()
    return lambda pixels: normalise(pixels, stains)


def choose_device(name: str = "auto", worker: int = 0) -> torch.device:
    """`cpu`, `cuda` (worker i on GPU i), `cuda:N`, or `auto`: a GPU where there is one.

    Raises:
        UsageError: CUDA is asked for and absent.
    """
    count = torch.cuda.device_count()
    if name == "auto":
        name = "cuda" if count else "cpu"
    if name.startswith("cuda") and not count:
        raise UsageError("--device cuda, but no GPU is visible", "Use --device cpu.")
    if name == "cuda":
        return torch.device("cuda", worker % count)
    try:
        return torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name} is unknown", "Use auto, cpu, cuda or cuda:N.") from None


def choose_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether to compute in bfloat16: `auto` where the hardware multiplies it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capable = torch.cpu.get_capabilities()
    return bool(capable.get("avx512_bf16") or capable.get("amx_bf16"))


def say_how(device: torch.device, bf16: bool) -> None:
    """Tell what the network will run on and in which numbers."""
    print(f"{device}, {'bf16' if bf16 else 'float32'}, channels_last", file=sys.stderr)


def share_cores(workers: int) -> None:
    """Give each of several processes its part of the cores."""
    if workers > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


def flips_and_turns() -> tuple[Callable[[Tensor], Tensor], ...]:
    """The 8 symmetries of a square, on images [B, 3, H, W]."""

    def symmetry(turns: int, flip: bool) -> Callable[[Tensor], Tensor]:
        def view(images: Tensor) -> Tensor:
            turned = torch.rot90(images, turns, (2, 3))
            return turned.flip(3) if flip else turned

        return view

    return tuple(symmetry(turns, flip) for flip in (False, True) for turns in range(4))


def checked(patches: Patches, spec: ModelSpec) -> None:
    """Refuse patches of another size or scale than the network was trained on.

    Raises:
        ModelError: With both values and what to do.
    """
    px_differs = None not in (spec.patch_px, patches.patch_px)
    px_differs = px_differs and spec.patch_px != patches.patch_px
    mpp_differs = spec.mpp is not None and patches.mpp is not None
    mpp_differs = mpp_differs and abs((spec.mpp or 1) / (patches.mpp or 1) - 1) > SAME_SCALE
    if px_differs or mpp_differs:
        raise ModelError(
            f"{patches.name}: patches of {_scale(patches.patch_px, patches.mpp)}, and the model "
            f"was trained on {_scale(spec.patch_px, spec.mpp)}",
            f"Tile with --patch_px {spec.patch_px} --mpp {spec.mpp}, or use another model.",
        )


def _scale(patch_px: int | None, mpp: float | None) -> str:
    known = [f"{patch_px} px"] * (patch_px is not None) + [f"{mpp} µm/px"] * (mpp is not None)
    return " at ".join(known) or "unknown scale"
