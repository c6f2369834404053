"""Pixels of patches that are image files, decoded ahead by threads."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from histocnn.errors import PatchesError, StoreError
from histocnn.slides.stream import Batch
from histocnn.storage.ordinary import check_ordinary

WHITE = 255
_FILES_FOR_SIZE = 15  # some of the first may be cut at the slide's edge
_TAIL_BYTES = 1024  # the end of a PNG or JPEG depends on all of its pixels


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image file as RGB uint8 [H, W, 3].

    Grey becomes three equal channels, transparency becomes white, 16 bits become the upper 8.

    Raises:
        PatchesError: The file is missing, truncated, or of a kind that is no 8- or 16-bit image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PatchesError(f"{path}: {error.strerror or error}") from None
    image: NDArray[Any] | None = None
    if data:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise PatchesError(f"{path}: not a whole image", "Replace or remove the file.")
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.dtype != np.uint8:
        raise PatchesError(f"{path}: {image.dtype} pixels", "Save it with 8 or 16 bits a channel.")
    return _to_rgb(image, premultiplied=data[:2] in (b"II", b"MM"))


def _to_rgb(image: NDArray[Any], *, premultiplied: bool) -> NDArray[np.uint8]:
    """OpenCV's grey, BGR or BGRA as RGB on white; it returns the alpha of TIFF multiplied in."""
    if image.ndim == 2 or image.shape[2] == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    if image.shape[2] == 4:
        alpha = image[..., 3:].astype(np.float32) / WHITE
        colour = image[..., :3] * (1.0 if premultiplied else alpha)
        image = np.rint(np.minimum(colour + WHITE * (1 - alpha), WHITE)).astype(np.uint8)
    return np.ascontiguousarray(image[..., 2::-1])


def resize(image: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """The image [H, W, 3] as [size_px, size_px, 3]; area average when made smaller.

    A longer image is padded white to a square first: both axes keep one scale.
    """
    side = max(image.shape[:2])
    image = _padded(image, (side, side))
    if side == size_px:
        return image
    smaller = side > size_px
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size_px, size_px), interpolation=how), np.uint8)


def _padded(image: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Add white to the right and below, up to the shape, as at a slide's edge."""
    height, width = image.shape[:2]
    if (height, width) == shape:
        return image
    padding = ((0, shape[0] - height), (0, shape[1] - width), (0, 0))
    return np.pad(image, padding, constant_values=WHITE)


@dataclass(eq=False)
class ImageFiles:
    """Image files under `root` as rows of pixels.

    `problems` names the files that could not be read so far; their pixels are white.
    """

    root: Path
    paths: Sequence[str]
    problems: list[str] = field(default_factory=list)

    def read(self, row: int) -> NDArray[np.uint8]:
        """Read pixels [H, W, 3] of one row; PatchesError when the file is no whole image."""
        return read_image(self.root / self.paths[row])

    def size(self) -> tuple[int, int] | None:
        """(height, width) of most of the first files; None when none of all can be read."""
        sizes: Counter[tuple[int, int]] = Counter()
        for row in range(len(self.paths)):
            if isinstance(image := self._read_or_error(row), PatchesError):
                continue
            height, width, _ = image.shape
            sizes[height, width] += 1
            if sizes.total() == _FILES_FOR_SIZE:
                break
        return sizes.most_common(1)[0][0] if sizes else None

    def batches(
        self, batch_size: int, threads: int, rows: Sequence[int], size_px: int | None
    ) -> Generator[Batch, None, None]:
        """The rows' pixels in the order given, decoded ahead by threads.

        An image with one side of the usual length and a shorter one was cut at the edge of its
        slide: it is padded white.

        Raises:
            PatchesError: Images of several sizes and no `size_px`; none of them can be read.
        """
        usual = self.size()
        if usual is None:
            raise PatchesError(
                f"{self.root}: none of {len(self.paths)} images can be read",
                "Check that they are whole images.",
            )
        shape = (size_px, size_px) if size_px else usual
        for chunk, decoded in self._ahead(rows, batch_size, threads):
            pixels = np.full((len(chunk), *shape, 3), WHITE, np.uint8)
            readable = np.ones(len(chunk), bool)
            for i, (row, image) in enumerate(zip(chunk, decoded, strict=True)):
                if isinstance(image, PatchesError):
                    readable[i] = False
                    self.problems.append(str(image))
                    continue
                image = _padded(image, usual) if _is_cut(image, usual) else image
                if size_px:
                    image = resize(image, size_px)
                elif image.shape[:2] != usual:
                    raise PatchesError(
                        f"{self.root / self.paths[row]}: {_size(image.shape)} px among images of "
                        f"{_size(usual)} px",
                        "Bring all to one size and one µm/px first.",
                    )
                pixels[i] = image
            yield Batch(np.asarray(chunk, np.int64), pixels, readable)

    def _ahead(
        self, rows: Sequence[int], batch_size: int, threads: int
    ) -> Iterator[tuple[Sequence[int], list[NDArray[np.uint8] | PatchesError]]]:
        """Batches of rows with their images or errors; two batches are decoded ahead."""
        chunks = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
        with ThreadPoolExecutor(max(1, threads)) as pool:
            waiting: deque[tuple[Sequence[int], list[Future[NDArray[np.uint8] | PatchesError]]]]
            waiting = deque()
            for chunk in chunks:
                waiting.append((chunk, [pool.submit(self._read_or_error, row) for row in chunk]))
                if len(waiting) > 2:
                    first, futures = waiting.popleft()
                    yield first, [future.result() for future in futures]
            for first, futures in waiting:
                yield first, [future.result() for future in futures]

    def _read_or_error(self, row: int) -> NDArray[np.uint8] | PatchesError:
        try:
            return self.read(row)
        except PatchesError as error:
            return error

    def fingerprint(self) -> str:
        """A hash over every file's path, size and last bytes: what is in the folder, not when."""
        digest = hashlib.sha256()
        for name in self.paths:
            try:
                check_ordinary(self.root / name)
                with (self.root / name).open("rb") as file:
                    size = file.seek(0, os.SEEK_END)
                    file.seek(max(0, size - _TAIL_BYTES))
                    digest.update(f"{name}\0{size}\0".encode() + file.read())
            except (OSError, StoreError, ValueError):  # gone, a FIFO, a name that no file can have
                digest.update(f"{name}\0missing\0".encode())
        return digest.hexdigest()


@dataclass(eq=False, kw_only=True)
class RecordedImages(ImageFiles):
    """Image files that another file names, read only where they are those it was made from.

    Such a file may be anybody's and name any image of this machine. Its fingerprint is known to
    those alone who had the images.

    Attributes:
        file: What names them.
        recorded: The fingerprint that it says; None where it says none.
    """

    file: Path
    recorded: str | None

    def read(self, row: int) -> NDArray[np.uint8]:
        """Read pixels as `ImageFiles.read`; PatchesError where the images are others, too."""
        self._check()
        return super().read(row)

    def batches(
        self, batch_size: int, threads: int, rows: Sequence[int], size_px: int | None
    ) -> Generator[Batch, None, None]:
        """The rows' pixels as of `ImageFiles.batches`; PatchesError where the images are others."""
        self._check()
        yield from super().batches(batch_size, threads, rows, size_px)

    @cached_property
    def _are_known(self) -> bool:
        return self.recorded == self.fingerprint()

    def _check(self) -> None:
        if not self.recorded:
            raise PatchesError(
                f"{self.file}: says no fingerprint, so its images cannot be known",
                "Embed or score the images themselves.",
            )
        if not self._are_known:
            raise PatchesError(
                f"{self.root}: the images that {self.file} was made from are not there, or are "
                "others (their fingerprint differs)",
                "Put them back, or embed or score them again.",
            )


def _is_cut(image: NDArray[np.uint8], usual: tuple[int, int]) -> bool:
    sides = list(zip(image.shape[:2], usual, strict=True))
    return any(a == b for a, b in sides) and all(a <= b for a, b in sides)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]}"
