"""Files go from sbnn to scanpy and back, where scanpy is installed too (`make test-newest`)."""

import anndata
import numpy as np
import pytest

from sbnn import CountNormalizer, ReducedRankRegression, simulate_patchseq


def test_scanpy_reads_what_sbnn_has_written_and_the_other_way_round(tmp_path):
    scanpy = pytest.importorskip("scanpy")
    adata = simulate_patchseq(n_cells=80, n_genes=40, random_state=0)
    model = ReducedRankRegression(rank=2).fit(adata, adata.obsm["outputs"])
    adata.obsm["X_sbnn"] = model.transform(adata)
    adata.write_h5ad(tmp_path / "sbnn.h5ad")
    there = scanpy.read_h5ad(tmp_path / "sbnn.h5ad")
    np.testing.assert_array_equal(there.obsm["X_sbnn"], model.transform(adata))
    scanpy.pp.neighbors(there, use_rep="X_sbnn")
    there.X = there.layers["counts"].copy()
    size = CountNormalizer().fit(adata).library_size_
    scanpy.pp.normalize_total(there, target_sum=size)
    scanpy.pp.log1p(there, base=2)
    there.write_h5ad(tmp_path / "scanpy.h5ad")
    back = anndata.read_h5ad(tmp_path / "scanpy.h5ad")
    np.testing.assert_allclose(back.X, CountNormalizer().fit_transform(adata), rtol=1e-5)
