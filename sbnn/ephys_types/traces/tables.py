"""Features of recordings as tables that other programs read, and `sbnn.read_ephys_table` reads back."""

from __future__ import annotations

from pathlib import Path

from sbnn.data.labels import UNKNOWN
from sbnn.results import write_atomically

_LABELS = ("type", "donor", "condition")


def write_traces(features, path) -> tuple[Path, Path]:
    """Write features as CSV, and beside them what is known of each cell.

    Parameters
    ----------
    features : AnnData
        As `read_traces` gives them.
    path : path-like
        Of the table: a cell in each row, its name, what is known of `type`, `donor` and `condition`, and the features,
        empty where one is missing. ``read_ephys_table(path, families=trace_families())`` reads it.

    Returns
    -------
    table, cells : Path
        The two files; `cells` is called as the table, with ``_cells`` at the end, and holds all labels: ``file`` and
        ``notes``, what is missing in a cell and why, among them.

    Raises
    ------
    OSError
        The files cannot be written.
    """
    table, path = features.to_df(), Path(path)
    told = [name for name in _LABELS if name in features.obs and (features.obs[name] != UNKNOWN).any()]
    for place, name in enumerate(told):
        table.insert(place, name, features.obs[name].to_numpy())
    cells = path.with_name(f"{path.stem}_cells{path.suffix}")
    for content, file in ((table, path), (features.obs, cells)):
        write_atomically(content.to_csv(index_label="cell").encode(), file)
    return path, cells
