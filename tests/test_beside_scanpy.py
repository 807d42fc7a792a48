"""scanpy reads and scales the counts of sbnn, where it is installed too (`make test-newest`)."""

import numpy as np
import pytest

from sbnn import CountNormalizer, simulate_patchseq


def test_counts_normalised_by_scanpy_are_those_of_sbnn(tmp_path):
    scanpy = pytest.importorskip("scanpy")
    adata = simulate_patchseq(n_cells=80, n_genes=40, random_state=0)
    adata.write_h5ad(tmp_path / "sbnn.h5ad")
    there = scanpy.read_h5ad(tmp_path / "sbnn.h5ad")
    there.X = there.layers["counts"].copy()
    size = CountNormalizer().fit(adata).library_size_
    scanpy.pp.normalize_total(there, target_sum=size)
    scanpy.pp.log1p(there, base=2)
    np.testing.assert_allclose(there.X, CountNormalizer().fit_transform(adata), rtol=1e-5)
