import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.readers.papalexi import read_papalexi
from sbnn.data.screens import as_screen

COUNTS = np.array([[1, 0], [0, 2], [3, 0], [0, 4]])
GENES = ["IRF1", "CTD-2196E14.4"]


@pytest.fixture
def paths(tmp_path):
    """The three files in their layout, of four cells."""
    cells = pd.DataFrame(
        {
            "guide": ["STAT2g2", "NTg1", "STAT2g1", "NTg3"],
            "target": ["STAT2", "non-targeting", "STAT2", "non-targeting"],
            "guide_umi": [433.0, 66.0, 5.0, 7.0],
            "guide_frac": [0.93, 0.84, 0.6, 0.99],
            "confident": [True, True, False, True],
            "bio_rep": ["rep_1", "rep_2", "rep_1", "rep_3"],
        }
    )
    paths = [tmp_path / name for name in ("response_cells_x_genes.npz", "genes.txt", "cells.csv.gz")]
    sparse.save_npz(paths[0], sparse.csr_matrix(COUNTS.astype(float)))
    paths[1].write_text("\n".join(GENES) + "\n")
    cells.to_csv(paths[2], index=False)
    return paths


def test_the_files_are_read(paths):
    adata = read_papalexi(*paths)
    screen = as_screen(adata)
    np.testing.assert_array_equal(screen.counts.toarray(), COUNTS[[0, 1, 3]])
    assert screen.perturbation.tolist() == ["STAT2", "non-targeting", "non-targeting"]
    assert screen.control == "non-targeting" and screen.gene_names.tolist() == GENES
    assert screen.cell_names.tolist() == ["cell_0", "cell_1", "cell_3"]
    assert screen.labels["guide"].tolist() == ["STAT2g2", "NTg1", "NTg3"]
    assert adata.uns["sbnn"]["dropped"] == {"guide without 80 % of the guide counts": 1}
    screen = as_screen(read_papalexi(*paths, confident_only=False))
    np.testing.assert_array_equal(screen.counts.toarray(), COUNTS)
    assert screen.cell_names.tolist() == [f"cell_{i}" for i in range(4)]
    options = [{"files": {"a": "12"}}, {"files": {"a": "12"}, "confident_only": False}, {"files": {"a": "13"}}]
    assert len({as_screen(read_papalexi(*paths, **given)).sha256 for given in options}) == 3
    paths[1].write_text("IRF1\n")
    with pytest.raises(ValueError, match="gene_names"):
        read_papalexi(*paths)
