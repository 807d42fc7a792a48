"""The same cells give the same bits, whatever holds them."""

import warnings

import anndata
import h5py
import mudata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    ExpressionStream,
    LeaveOneOutRidge,
    SparseBottleneckRegressor,
    cross_validate,
    fit_full,
)
from sbnn.data.cells import Cells
from sbnn.models.bottleneck.scales import Moments

N_CELLS, N_GENES = 150, 30
# genes are chosen on 100 of the 150 cells, so that not all values are read at once
SHORT = DistilledSettings(
    few_cells=20,
    most_cells=100,
    screened_genes=12,
    n_teachers=2,
    n_trees=2,
    n_augmented=100,
    steps_of_teachers=3,
    steps_of_student=6,
)
DISTILLED = DistilledBottleneckRegressor(n_genes=6, random_state=0, distillation=SHORT)
MODELS = [
    DISTILLED,
    SparseBottleneckRegressor(6, random_state=0, hidden_layers=(8, 4), epochs=(2, 1, 1, 2)),
    LeaveOneOutRidge(),
]


@pytest.fixture
def table(rng):
    """Log expression as a DataFrame of single precision, with many zeros."""
    values = rng.normal(1, rng.uniform(0.5, 2, N_GENES), (N_CELLS, N_GENES)).clip(0)
    table = pd.DataFrame(values.astype(np.float32)).add_prefix("gene")
    return table.set_axis([f"cell{i}" for i in range(N_CELLS)])


@pytest.fixture
def outputs(table, rng):
    values = table.to_numpy() @ rng.normal(size=(N_GENES, 3)) + rng.normal(size=(N_CELLS, 3))
    return pd.DataFrame(values, table.index, ["a", "b", "c"])


def in_memory(X, Y):
    """The table X in all containers in memory, with the outputs Y if there is a place for them."""
    obs = X[[]]
    var = X.T[[]]
    adata = anndata.AnnData(X.to_numpy(), obs, var, obsm={"outputs": Y})
    sparse_adata = anndata.AnnData(sparse.csr_matrix(X), obs, var, obsm={"outputs": Y})
    with warnings.catch_warnings(action="ignore"):
        mdata = mudata.MuData({"rna": adata, "proteins": anndata.AnnData(Y)})
    return {
        "column-major array": np.asfortranarray(X),
        "csr": sparse.csr_array(X),
        "DataFrame": X,
        "column-major DataFrame": pd.DataFrame(dict(X.items())),
        "AnnData": adata,
        "sparse AnnData": sparse_adata,
        "AnnData with a csc matrix": anndata.AnnData(sparse.csc_matrix(X), obs, var),
        "MuData": mdata,
        "stream of an array": ExpressionStream(X.to_numpy(), block_size=37),
        "stream of AnnData": ExpressionStream(adata),
    }


def on_disk(containers, folder):
    """Containers whose values are in files."""
    found = {}
    for name in ("AnnData", "sparse AnnData"):
        containers[name].write_h5ad(folder / f"{name}.h5ad")
        found[f"{name} on disk"] = anndata.read_h5ad(folder / f"{name}.h5ad", backed="r")
    X = containers["DataFrame"].to_numpy()
    np.save(folder / "cells.npy", X)
    found["mapped file"] = ExpressionStream(np.load(folder / "cells.npy", mmap_mode="r"))
    with h5py.File(folder / "cells.h5", "w") as file:
        file["x"] = X
    found["HDF5"] = ExpressionStream(h5py.File(folder / "cells.h5")["x"], block_size=64)
    return found


@pytest.mark.filterwarnings("ignore:X has feature names|X does not have")
@pytest.mark.parametrize("model", MODELS)
def test_a_container_does_not_change_a_result(model, table, outputs, tmp_path):
    containers = in_memory(table, outputs)
    X = table.to_numpy()
    expected = model.fit(X, outputs).predict(X), model.score(X, outputs)
    for name, cells in (containers | on_disk(containers, tmp_path)).items():
        model.fit(cells, outputs)
        np.testing.assert_array_equal(model.predict(cells), expected[0], name)
        assert model.score(cells, outputs) == expected[1], name
        if hasattr(model, "transform"):
            np.testing.assert_array_equal(model.transform(cells), model.transform(X), name)
    double = in_memory(table.astype(np.float64) / 3, outputs)
    expected = model.fit(double["DataFrame"].to_numpy(), outputs).predict(double["csr"])
    for name, cells in double.items():  # the genes of the fit have no names
        np.testing.assert_array_equal(model.predict(cells), expected, name)


def test_cross_validation_and_full_fits_of_a_container(table, outputs, tmp_path):
    containers = in_memory(table, outputs)
    plain = containers["AnnData"]
    expected = cross_validate(LeaveOneOutRidge(), plain, 2, verbose=False)
    latent = fit_full(DISTILLED, plain).latent
    for data in (
        containers["sparse AnnData"],
        on_disk(containers, tmp_path)["AnnData on disk"],
        (table, outputs),
        (containers["stream of AnnData"], "outputs"),
    ):
        found = cross_validate(LeaveOneOutRidge(), data, 2, verbose=False)
        np.testing.assert_array_equal(found.test_r2, expected.test_r2)
        np.testing.assert_array_equal(found.test_predictions, expected.test_predictions)
        assert found.sha256 == expected.sha256
        np.testing.assert_array_equal(fit_full(DISTILLED, data).latent, latent)


@pytest.mark.parametrize("n_genes", [1, 65])
def test_moments_over_blocks_are_those_of_all_cells(n_genes, rng):
    X = rng.normal(3, 2, (1000, n_genes)).astype(np.float32)
    cells = Cells(X)
    cells.block_size = 333
    rtol = 1e-14 if n_genes == 1 else 0  # NumPy adds a single column in pairs
    low, high = np.full((2, n_genes), [[1.5], [4]])
    for limits, values in (((-np.inf, np.inf), X), ((low, high), X.clip(1.5, 4))):
        found = Moments.of(cells, limits)
        moments = values.mean(axis=0, dtype=float), values.std(axis=0, dtype=float)
        np.testing.assert_allclose(found[2:], moments, rtol)
        np.testing.assert_array_equal(found[:2], [values.min(axis=0), values.max(axis=0)])


class Watched(Cells):
    """Cells that write down the largest block that was read."""

    largest = 0

    def rows(self, *where):
        block = super().rows(*where)
        Watched.largest = max(Watched.largest, block.size)
        return block


def test_few_values_are_read_at_once(table, outputs):
    X = Watched(table.to_numpy(), table.columns)
    X.block_size = 20
    model = DISTILLED.fit(X, outputs)
    assert Watched.largest == SHORT.most_cells * N_GENES
    Watched.largest = 0
    model.predict(X)
    assert Watched.largest == N_CELLS * model.n_genes
