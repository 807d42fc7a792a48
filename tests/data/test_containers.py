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
    ReducedRankRegression,
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
MODELS = {
    "distilled": DistilledBottleneckRegressor(n_genes=6, random_state=0, distillation=SHORT),
    "published": SparseBottleneckRegressor(
        n_genes=6, random_state=0, hidden_layers=(8, 4), epochs=(2, 1, 1, 2)
    ),
    "ridge": LeaveOneOutRidge(),
    "reduced rank": ReducedRankRegression(rank=2, alpha=0.1),
}


@pytest.fixture(scope="module")
def table():
    """Log expression as a DataFrame of single precision, with many zeros."""
    rng = np.random.default_rng(0)
    values = rng.normal(1, rng.uniform(0.5, 2, N_GENES), (N_CELLS, N_GENES)).clip(0)
    names = [f"cell{i}" for i in range(N_CELLS)], [f"gene{j}" for j in range(N_GENES)]
    return pd.DataFrame(values.astype(np.float32), *names)


@pytest.fixture(scope="module")
def outputs(table):
    rng = np.random.default_rng(1)
    values = table.to_numpy() @ rng.normal(size=(N_GENES, 3)) + rng.normal(size=(N_CELLS, 3))
    return pd.DataFrame(values, table.index, ["a", "b", "c"])


def as_anndata(table, outputs, convert=np.asarray):
    adata = anndata.AnnData(convert(table.to_numpy()))
    adata.obs_names = table.index
    adata.var_names = table.columns
    adata.obsm["outputs"] = outputs
    return adata


def as_mudata(table, outputs, folder):
    proteins = anndata.AnnData(outputs.to_numpy(), pd.DataFrame(index=outputs.index))
    with warnings.catch_warnings(action="ignore"):
        return mudata.MuData({"rna": as_anndata(table, outputs), "proteins": proteins})


def on_disk(adata, folder):
    adata.write_h5ad(folder / "cells.h5ad")
    return anndata.read_h5ad(folder / "cells.h5ad", backed="r")


def as_memmap(table, folder):
    np.save(folder / "cells.npy", table.to_numpy())
    return np.load(folder / "cells.npy", mmap_mode="r")


def as_h5(table, folder):
    with h5py.File(folder / "cells.h5", "w") as file:
        file["x"] = table.to_numpy()
    return h5py.File(folder / "cells.h5")["x"]


CONTAINERS = {
    "column-major array": lambda X, Y, folder: np.asfortranarray(X),
    "csr": lambda X, Y, folder: sparse.csr_array(X),
    "csc": lambda X, Y, folder: sparse.csc_matrix(X),
    "DataFrame": lambda X, Y, folder: X,
    "column-major DataFrame": lambda X, Y, folder: pd.DataFrame(dict(X.items())),
    "AnnData": lambda X, Y, folder: as_anndata(X, Y),
    "sparse AnnData": lambda X, Y, folder: as_anndata(X, Y, sparse.csr_matrix),
    "AnnData with a csc matrix": lambda X, Y, folder: as_anndata(X, Y, sparse.csc_matrix),
    "MuData": as_mudata,
    "AnnData on disk": lambda X, Y, folder: on_disk(as_anndata(X, Y), folder),
    "sparse AnnData on disk": lambda X, Y, folder: on_disk(
        as_anndata(X, Y, sparse.csr_matrix), folder
    ),
    "stream of an array": lambda X, Y, folder: ExpressionStream(X.to_numpy(), block_size=37),
    "stream of AnnData": lambda X, Y, folder: ExpressionStream(as_anndata(X, Y)),
    "stream of a file": lambda X, Y, folder: ExpressionStream(as_memmap(X, folder)),
    "stream of HDF5": lambda X, Y, folder: ExpressionStream(as_h5(X, folder), block_size=64),
}


@pytest.fixture(scope="module")
def expected(table, outputs):
    """Results of all models for arrays."""
    return {name: results(model, table.to_numpy(), outputs) for name, model in MODELS.items()}


def results(model, X, Y):
    model.fit(X, Y)
    found = {"predict": model.predict(X), "score": model.score(X, Y)}
    if hasattr(model, "transform"):
        found["transform"] = model.transform(X)
    return found


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_container_does_not_change_a_result(container, table, outputs, expected, tmp_path):
    X = CONTAINERS[container](table, outputs, tmp_path)
    for name, model in MODELS.items():
        found = results(model, X, outputs)
        for kind in expected[name]:
            np.testing.assert_array_equal(found[kind], expected[name][kind], f"{name}, {kind}")


@pytest.mark.parametrize("name", MODELS)
def test_double_precision_is_kept_in_every_container(name, table, outputs):
    X = table.astype(np.float64) / 3
    model = MODELS[name]
    model.fit(X.to_numpy(), outputs)
    expected = model.predict(X.to_numpy())
    for other in (sparse.csr_array(X), X, as_anndata(X, outputs), ExpressionStream(X)):
        np.testing.assert_array_equal(model.predict(other), expected)
        model.fit(other, outputs)
        np.testing.assert_array_equal(model.predict(other), expected)


@pytest.mark.parametrize(
    "container", ["sparse AnnData", "AnnData on disk", "DataFrame", "stream of AnnData"]
)
def test_cross_validation_and_full_fits_of_a_container(container, table, outputs, tmp_path):
    X = CONTAINERS[container](table, outputs, tmp_path)
    data = X if hasattr(X, "obsm") else (X, "outputs" if container != "DataFrame" else outputs)
    model = MODELS["distilled"]
    plain = as_anndata(table, outputs)
    expected = cross_validate(model, plain, 2, verbose=False)
    found = cross_validate(model, data, 2, verbose=False)
    np.testing.assert_array_equal(found.test_r2, expected.test_r2)
    np.testing.assert_array_equal(found.test_predictions[0][0], expected.test_predictions[0][0])
    assert found.sha256 == expected.sha256
    np.testing.assert_array_equal(fit_full(model, data).latent, fit_full(model, plain).latent)


@pytest.mark.parametrize("n_genes", [1, 2, 65])
def test_moments_over_blocks_are_those_of_all_cells(n_genes, rng):
    X = rng.normal(3, 2, (1000, n_genes)).astype(np.float32)
    cells = Cells(X)
    cells.block_size = 333
    found = Moments.of(cells)
    np.testing.assert_array_equal(found.low, X.min(axis=0))
    np.testing.assert_array_equal(found.high, X.max(axis=0))
    np.testing.assert_allclose(found.mean, X.mean(axis=0, dtype=float), rtol=1e-14)
    np.testing.assert_allclose(found.sd, X.std(axis=0, dtype=float), rtol=1e-14)
    if n_genes > 1:  # NumPy adds a single column in pairs
        np.testing.assert_array_equal(found.mean, X.mean(axis=0, dtype=float))
        np.testing.assert_array_equal(found.sd, X.std(axis=0, dtype=float))
    clipped = Moments.of(cells, (np.full(n_genes, 1.5), np.full(n_genes, 4.0)))
    np.testing.assert_allclose(clipped.sd, X.clip(1.5, 4).std(axis=0, dtype=float), rtol=1e-12)


class Watched(Cells):
    """Cells that write down the largest block that was read."""

    largest = 0

    def rows(self, cells, genes=None):
        block = super().rows(cells, genes)
        Watched.largest = max(Watched.largest, block.size)
        return block


def test_few_values_are_read_at_once(table, outputs):
    X = Watched(table.to_numpy(), table.columns)
    X.block_size = 20
    model = MODELS["distilled"].fit(X, outputs)
    assert Watched.largest == SHORT.most_cells * N_GENES
    Watched.largest = 0
    model.predict(X)
    assert Watched.largest == N_CELLS * model.n_genes
