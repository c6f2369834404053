"""Turn MNIST's four idx files into what `histocnn train` reads: PNGs and a patches.csv.

    python scripts/mnist_patches.py FOLDER_WITH_IDX_FILES mnist

The last 6,000 of the training images become validation; the test images stay the test split.
"""

from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

VALIDATION = 6_000


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of an idx file, gzipped or not: big-endian sizes behind a magic number."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    axes = data[3]
    shape = np.frombuffer(data, ">u4", axes, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def find(folder: Path, name: str) -> Path:
    """The idx file of this name, gzipped or not."""
    found = sorted(folder.glob(f"{name}*"))
    if not found:
        sys.exit(f"{folder}: has no {name}")
    return found[0]


def main(source: Path, out: Path) -> None:
    """Write `out/patches.csv` and `out/<split>/<number>.png`."""
    rows = []
    for prefix in ("train", "t10k"):
        images = read_idx(find(source, f"{prefix}-images"))
        labels = read_idx(find(source, f"{prefix}-labels"))
        first_val = len(images) - VALIDATION if prefix == "train" else len(images)
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            split = "test" if prefix == "t10k" else "train" if number < first_val else "val"
            path = Path(split) / f"{number:05d}.png"
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(out / path), image)
            rows.append((path.as_posix(), label, split))
    with (out / "patches.csv").open("w", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(("path", "label", "split"))
        table.writerows(rows)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
