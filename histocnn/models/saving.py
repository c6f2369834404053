"""Checkpoints that are whole or not there, as every other file of ours."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from histocnn.storage.atomic import replacing


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the checkpoint and moves into its place.

    Lightning writes to the system's temporary folder and moves from there: between two disks that
    is a copy, which a killed process leaves half done in the place of the last good checkpoint.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint in one step.

        Raises:
            StoreError: It cannot be written; what lay there before still does.
        """
        whole = io.BytesIO()  # torch says of a full disk that its own archive is broken
        torch.save(checkpoint, whole)
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(whole.getbuffer())
