"""The process of one trial that trains: `python -m histocnn.searching.child FOLDER`."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from histocnn.errors import HistocnnError
from histocnn.models.parsing import parse
from histocnn.searching.training_trial import DISK_FULL, EPOCHS, REQUEST, RESULT, is_full
from histocnn.storage.atomic import write_text

LOOK_S = 2.0  # between two looks whether the worker still lives


def main(folder: Path) -> int:
    """Do what FOLDER/request.json asks; leave FOLDER/epochs.jsonl and FOLDER/result.json.

    Returns:
        0; 1 of a trial that failed, its reason the last line on stderr; 28 of a full disk.
    """
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    threading.Thread(target=_end_with, args=(request["parent"],), daemon=True).start()
    try:
        found = judge(request["words"], request["folds"], request["metric"], folder / EPOCHS)
        write_text(folder / RESULT, json.dumps(found))
    except Exception as error:
        if is_full(error):
            return DISK_FULL
        if not isinstance(error, HistocnnError):
            raise
        print(error, file=sys.stderr)
        return 1
    return 0


def judge(words: Sequence[str], folds: Sequence[str], metric: str, epochs: Path) -> dict[str, Any]:
    """Train on each fold.

    Returns:
        `values` and `epochs`, one of each fold.

    Raises:
        HistocnnError: As `validate`.
    """
    options = parse(list(words))
    from histocnn.models.validating import validate  # loads torch: the options are in order now

    values, chosen = [], []
    with epochs.open("a", encoding="utf-8") as lines:
        for fold, file in enumerate(folds):

            def told(epoch: int, value: float | None, fold: int = fold) -> None:
                lines.write(json.dumps({"fold": fold, "epoch": epoch, "value": value}) + "\n")
                lines.flush()

            found = validate(options, Path(file), metric, told)
            values.append(found.value)
            chosen.append(found.epoch)
    return {"values": values, "epochs": chosen}


def _end_with(parent: int) -> None:
    """End when the worker is gone: another will begin the trial again."""
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
