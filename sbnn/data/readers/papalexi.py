"""The ECCITE-seq screen of Papalexi et al.: knockouts in THP-1 cells."""

from pathlib import Path

import pandas as pd
from scipy import sparse

from sbnn.data.screens import screen

LABELS = ["guide", "bio_rep", "guide_umi", "guide_frac", "confident"]


def read_papalexi(counts_path, genes_path, cells_path, **about):
    """Read cells with a clear guide (above 80 % of the guide counts), named by their row.

    16093 of 20729 cells are read: 1912 control cells and 33 to 1056 for each of 25 targets.
    """
    cells = pd.read_csv(cells_path)
    cells.index = "cell_" + cells.index.astype(str)
    kept = cells["confident"].to_numpy()
    counts = sparse.load_npz(counts_path)[kept]
    genes = Path(genes_path).read_text().splitlines()
    return screen(
        counts,
        cells["target"][kept],
        "non-targeting",
        genes,
        cells.index[kept],
        cells.loc[kept, LABELS],
        dropped={"guide without 80 % of the guide counts": int((~kept).sum())},
        **about,
    )
