import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.readers.papalexi import LABELS, read_papalexi
from sbnn.data.screens import as_screen


def test_the_files_are_read(tmp_path):
    counts, names = np.array([[1, 0], [0, 2], [3, 0], [0, 4]]), ["STAT2", "non-targeting"] * 2
    cells = pd.DataFrame(dict.fromkeys(LABELS, [1.0, 2, 3, 4])).assign(
        target=names, confident=[True, True, False, True]
    )
    paths = [tmp_path / name for name in ("response_cells_x_genes.npz", "genes.txt", "cells.csv.gz")]
    sparse.save_npz(paths[0], sparse.csr_matrix(counts.astype(float)))
    paths[1].write_text("IRF1\nCTD-2196E14.4\n")
    cells.to_csv(paths[2], index=False)
    adata = read_papalexi(*paths)
    for screen, kept in ((adata, [0, 1, 3]), (read_papalexi(*paths, confident_only=False), range(4))):
        screen = as_screen(screen)
        np.testing.assert_array_equal(screen.counts.toarray(), counts[kept])
        assert screen.perturbation.tolist() == [names[i] for i in kept] and screen.control == "non-targeting"
        assert screen.cell_names.tolist() == [f"cell_{i}" for i in kept]
        assert screen.gene_names.tolist() == ["IRF1", "CTD-2196E14.4"]
        assert screen.labels["guide"].tolist() == [i + 1 for i in kept]
    assert adata.uns["sbnn"]["dropped"] == {"guide without 80 % of the guide counts": 1}
    options = [{"files": {"a": "12"}}, {"files": {"a": "12"}, "confident_only": False}, {"files": {"a": "13"}}]
    assert len({as_screen(read_papalexi(*paths, **given)).sha256 for given in options}) == 3
    paths[1].write_text("IRF1\n")
    with pytest.raises(ValueError, match="gene_names"):
        read_papalexi(*paths)
