"""Whether an HDF5 file holds what it says: all of it, itself, and no more than it can.

A file of other people may name data of other files (external storage, external links, virtual
datasets), which HDF5 reads with the reader's rights, and shapes that it never filled, which cost
the reader's memory. Both are refused before anything is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from histocnn.errors import StoreError
from histocnn.storage.heaps import check_dataset

MOST_LINKS = 10_000  # ours have about ten
SMALL_BYTES = 64 << 20  # anyone may declare so much
MOST_BYTES_PER_STORED = 100  # zipped labels of one class; 1,000 is what zip can reach


def check_contained(file: h5py.File, path: Path) -> None:
    """Refuse a file of which anything lies elsewhere; nothing outside is opened on the way.

    Every hard link is followed. A soft link stays in the file where no link leads out.

    Raises:
        StoreError: A link, a dataset's storage or a virtual dataset lies outside the file.
    """
    links: list[tuple[bytes, int]] = []

    def look(name: bytes, link: h5py.h5l.LinkInfo) -> bool | None:  # h5py can bear no error here
        links.append((name, link.type))
        return True if len(links) > MOST_LINKS else None

    file.id.links.visit(look, info=True)
    if len(links) > MOST_LINKS:
        raise StoreError(
            f"{path}: has more than {MOST_LINKS:,} links", "Give what a stage of histocnn wrote."
        )
    for name, kind in links:
        if kind not in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT):
            raise _outside(path, f"link {_text(name)}")
    for name in (name for name, kind in links if kind == h5py.h5l.TYPE_HARD):
        item = h5py.h5o.open(file.id, name)
        if isinstance(item, h5py.h5d.DatasetID):
            made = item.get_create_plist()
            if made.get_external_count():
                raise _outside(path, f"dataset {_text(name)}")
            if made.get_layout() == h5py.h5d.VIRTUAL:
                raise _outside(path, f"virtual dataset {_text(name)}")


def check_size(dataset: h5py.Dataset, path: Path) -> None:
    """Refuse a dataset that declares far more than is stored of it.

    Raises:
        StoreError: As said, with both sizes.
    """
    declared = dataset.size * dataset.dtype.itemsize if dataset.size else 0
    stored = min(dataset.id.get_storage_size(), path.stat().st_size)
    if declared > max(SMALL_BYTES, MOST_BYTES_PER_STORED * stored):
        raise StoreError(
            f"{path}: its {dataset.name.lstrip('/')} {dataset.shape} declare {declared / 1e6:,.0f} "
            f"MB, of which {stored / 1e6:,.1f} MB are stored",
            "Copy it again, or run the stage that wrote it again.",
        )


def texts(dataset: h5py.Dataset, path: Path) -> Iterator[str]:
    """The texts of a dataset [N], in pieces that memory holds whatever they are.

    No text is longer than its file, but many may be the same place of it.

    Raises:
        StoreError: Together they are far more than the file.
        ValueError: One is not there.
    """
    if isinstance(kind := dataset.id.get_type(), h5py.h5t.TypeStringID) and kind.is_variable_str():
        check_dataset(dataset)
    file_bytes = max(1, path.stat().st_size)
    most = max(SMALL_BYTES, MOST_BYTES_PER_STORED * file_bytes)
    rows = max(1, min(most // file_bytes, 1 << 16))
    read = 0
    for start in range(0, len(dataset), rows):
        piece = np.atleast_1d(dataset.asstr()[start : start + rows])
        read += sum(map(len, piece))
        if read > most:
            raise StoreError(
                f"{path}: its {dataset.name.lstrip('/')} hold more than {most / 1e6:,.0f} MB of "
                f"text, and the file has {file_bytes / 1e6:,.1f} MB",
                "Copy it again, or run the stage that wrote it again.",
            )
        yield from map(str, piece)


def _outside(path: Path, what: str) -> StoreError:
    return StoreError(
        f"{path}: its {what} lies outside the file, where another may read what is yours",
        "Ask for a file that holds its data itself.",
    )


def _text(name: bytes) -> str:
    return repr(name.decode("utf-8", "replace"))[:80]
