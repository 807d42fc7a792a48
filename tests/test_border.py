"""Arguments of a wrong kind are errors that name them."""

import re

import numpy as np
import pytest

import sbnn
from sbnn import plotting

MODEL = sbnn.LeaveOneOutRidge()
NETWORK = sbnn.SparseBottleneckRegressor(n_genes=2, epochs=(1, 0, 0, 0))
CALLS = {
    "path": lambda data, record: sbnn.results.load(["a.pickle"]),
    "params": lambda data, record: sbnn.results.Record("fit", "scala", "", 3),
    "outputs": lambda data, record: sbnn.read_tables(data.to_df(), 3),
    "data set: 'scalla'": lambda data, record: sbnn.load_dataset("scalla"),
    "study": lambda data, record: sbnn.default_dataset(study=["sbnn"]),
    "figure": lambda data, record: plotting.save_figure(record, "a"),
    "path_stem": lambda data, record: plotting.save_figure(None, None),
    "models": lambda data, record: plotting.accuracy_comparison({}),
    "x must": lambda data, record: sbnn.preprocessing.log2p1([-3.0, 1.0]),
    "notes": lambda data, record: sbnn.paired(data.X, notes=5),
    "ridge": lambda data, record: sbnn.verdict(record, data, ridge=5),
    "point": lambda data, record: sbnn.verdict(record, data, point=7),
    "curve": lambda data, record: sbnn.verdict(record, data, curve="a"),
    "eval_set": lambda data, record: NETWORK.fit(data, eval_set=(data.X, data.X[:, :1])),
    "folds": lambda data, record: sbnn.cross_validate(MODEL, data, [np.arange(40)]),
    "n_genes": lambda data, record: sbnn.genes_table(record),
    "record": lambda data, record: sbnn.selection_table("halves.pickle"),
    "X: ": lambda data, record: MODEL.fit([[1, 2], [3]], [1, 2]),
    "estimator": lambda data, record: sbnn.fit_full(MODEL, data),
    "groups": lambda data, record: sbnn.stability_selection(NETWORK, data, groups=["a"] * 7),
}


@pytest.fixture(scope="module")
def record(adata):
    return sbnn.cross_validate(MODEL, adata, 3, verbose=False)


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_argument_is_named(adata, record, name):
    with pytest.raises((TypeError, ValueError, KeyError)) as error:
        CALLS[name](adata, record)
    assert re.search(name, str(error.value))
