"""Apache Parquet: a row per patch, for pandas, polars, DuckDB, Arrow and R."""

from __future__ import annotations

from pathlib import Path

from histocnn.exports.frames import frame_of_scores, only_class
from histocnn.patches import door
from histocnn.patches.patches import FilePatches
from histocnn.storage.atomic import replacing
from histocnn.storage.json import to_json

SCALE = ("size_l0", "slide_mpp", "patch_px", "mpp", "stride_px", "bounds_l0", "fingerprint")


def write_parquet(patches: FilePatches, path: Path, *, class_name: str | None = None) -> int:
    """Write the columns of `frames.read_scores`, and the slide's scale as metadata.

    The schema's metadata `histocnn` is JSON of the slide and its grid (`facts_of`).

    Args:
        patches: A score file.
        path: The file to write.
        class_name: Write this class's score only.

    Returns:
        The number of rows.

    Raises:
        StoreError: The file holds no scores.
        UsageError: There is no such class.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = only_class(frame_of_scores(patches), class_name, patches.name)
    texts = frame.select_dtypes("object").columns
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for name in texts:  # a column that is unknown throughout is text, too
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table.column(name).cast(pa.string()))
    metadata = {**(table.schema.metadata or {}), b"histocnn": to_json(facts_of(patches)).encode()}
    with replacing(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary)
    return len(frame)


def facts_of(patches: FilePatches) -> dict[str, object]:
    """The slide's id and scale: level-0 size px, µm/px, side px, µm/px and stride px of patches."""
    stored = door.attributes(patches.file)
    return {"slide_id": patches.name} | {k: stored[k] for k in SCALE if stored.get(k) is not None}
