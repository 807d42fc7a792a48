"""The same cells give the same bits, whatever holds them."""

import tracemalloc

import anndata
import numpy as np
import pandas as pd
import pytest
from material.estimators import network, quick
from scipy import sparse

from sbnn import DistilledBottleneckRegressor, LeaveOneOutRidge
from sbnn.data import inputs
from sbnn.models import distilled

N_CELLS, N_GENES = 150, 30
DISTILLED = quick(DistilledBottleneckRegressor, random_state=0)
MODELS = [
    DISTILLED,
    network(random_state=0),
    LeaveOneOutRidge(),
]


@pytest.fixture(autouse=True)
def few_values_at_once(monkeypatch):
    monkeypatch.setattr(inputs, "VALUES_AT_ONCE", 37 * N_GENES)
    monkeypatch.setattr(distilled, "MOST_SELECTION_CELLS", 100)


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


@pytest.fixture
def containers(table, outputs, tmp_path):
    """The table in all containers, with the outputs if there is a place for them."""
    parts = {"obs": table[[]], "var": table.T[[]], "obsm": {"outputs": outputs}}
    found = {
        "column-major array": np.asfortranarray(table),
        "csr": sparse.csr_array(table),
        "csc AnnData": anndata.AnnData(sparse.csc_matrix(table), **parts),
    }
    for name, X in (("dense", table.to_numpy()), ("sparse", sparse.csr_matrix(table))):
        path = tmp_path / f"{name}.h5ad"
        anndata.AnnData(X, **parts).write_h5ad(path)
        found[f"{name} file"] = anndata.read_h5ad(path, backed="r")
        found[f"rows of a {name} file"] = found[f"{name} file"][:]
    return found


@pytest.mark.filterwarnings("ignore:X has feature names|X does not have")
@pytest.mark.parametrize("model", MODELS)
def test_a_container_does_not_change_a_result(model, table, outputs, containers):
    X = table.to_numpy()
    Y = outputs.to_numpy()
    predicted = model.fit(X, Y).predict(X)
    np.testing.assert_allclose(model.predict(X[:30]), predicted[:30], atol=1e-4)  # one block
    score = model.score(X, Y)
    latent = model.transform(X) if hasattr(model, "transform") else None
    for name, cells in containers.items():
        model.fit(cells, Y)
        np.testing.assert_array_equal(model.predict(cells), predicted, name)
        assert model.score(cells, Y) == score, name
        if latent is not None:
            np.testing.assert_array_equal(model.transform(cells), latent, name)


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_predictions_hold_few_values_at_once(tmp_path, rng, monkeypatch):
    X = rng.normal(size=(4000, 400)).astype(np.float32)
    model = DISTILLED.fit(X[:60], X[:60, :2])
    anndata.AnnData(X).write_h5ad(tmp_path / "cells.h5ad")
    cells = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    monkeypatch.setattr(inputs, "VALUES_AT_ONCE", 100 * 400)
    tracemalloc.start()
    model.predict(cells)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < X.nbytes / 2
