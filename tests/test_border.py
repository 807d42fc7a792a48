"""Arguments of a wrong kind are errors that name them."""

import re

import numpy as np
import pytest

import sbnn
from sbnn import plotting

MODEL = sbnn.LeaveOneOutRidge()
NETWORK = sbnn.SparseBottleneckRegressor(n_genes=2, epochs=(1, 0, 0, 0))


@pytest.fixture(scope="module")
def record(adata):
    return sbnn.cross_validate(MODEL, adata, 3, verbose=False)


def assert_named(argument, function, *args, **kwargs):
    """The error of a call begins with, or contains, the name of the wrong argument."""
    with pytest.raises((TypeError, ValueError, KeyError)) as error:
        function(*args, **kwargs)
    assert re.search(argument, str(error.value))


def test_wrong_data_are_named(adata):
    assert_named("outputs", sbnn.read_tables, adata.to_df(), 3)
    assert_named("data set: 'scalla'", sbnn.load_dataset, "scalla")
    assert_named("study", sbnn.default_dataset, study=["sbnn"])
    assert_named("x must", sbnn.preprocessing.log2p1, [-3.0, 1.0])
    assert_named("notes", sbnn.paired, adata.X, notes=5)


def test_wrong_records_are_named(adata, record):
    assert_named("path", sbnn.results.load, ["a.pickle"])
    assert_named("params", sbnn.results.Record, "fit", "scala", "", 3)
    assert_named("n_genes", sbnn.genes_table, record)
    assert_named("record", sbnn.selection_table, "halves.pickle")
    assert_named("ridge", sbnn.verdict, record, adata, ridge=5)
    assert_named("point", sbnn.verdict, record, adata, point=7)
    assert_named("curve", sbnn.verdict, record, adata, curve="a")


def test_wrong_arguments_of_figures_are_named(record):
    assert_named("figure", plotting.save_figure, record, "a")
    assert_named("path_stem", plotting.save_figure, None, None)
    assert_named("models", plotting.accuracy_comparison, {})


def test_wrong_arguments_of_fits_are_named(adata):
    one_gene = adata.X[:, :1]
    assert_named("eval_set", NETWORK.fit, adata, eval_set=(adata.X, one_gene))
    assert_named("folds", sbnn.cross_validate, MODEL, adata, [np.arange(40)])
    assert_named("X: ", MODEL.fit, [[1, 2], [3]], [1, 2])
    assert_named("estimator", sbnn.fit_full, MODEL, adata)
    assert_named("groups", sbnn.stability_selection, NETWORK, adata, groups=["a"] * 7)
