"""Arguments of a wrong kind are errors that name them."""

import re

import numpy as np
import pytest
from scipy import sparse

import sbnn
from sbnn import plotting
from sbnn.evaluation.neighbours import neighbour_accuracy
from sbnn.evaluation.verdict import outputs_table

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
    outputs = adata.obsm["outputs"]
    for counts in (adata.layers["counts"], sparse.csr_array(adata.layers["counts"])):
        assert_named("X: looks like raw counts", sbnn.paired, counts, outputs)
        assert_named("X: looks like raw counts", sbnn.cross_validate, MODEL, (counts, outputs))
        with pytest.warns(UserWarning, match="X: looks like raw counts"):
            MODEL.fit(counts, outputs)
    counts = adata.to_df("counts")
    assert_named(
        "expected log values.*counts=True", sbnn.read_tables, counts, outputs, counts=False
    )
    tiny = outputs.astype("f8") * 1e-300
    assert_named("Y .*output1", sbnn.paired, adata.X, tiny)


def test_wrong_records_are_named(adata, record):
    assert_named("path", sbnn.results.load, ["a.pickle"])
    assert_named("params", sbnn.results.Record, "fit", "scala", "", 3)
    assert_named("genes_curve", sbnn.genes_table, record)
    assert_named("record", sbnn.selection_table, "halves.pickle")
    assert_named("ridge", sbnn.verdict, record, adata, ridge=5)
    assert_named("point", sbnn.verdict, record, adata, point=7)
    assert_named("point", outputs_table, record, adata, point=-1)
    assert_named("found", sbnn.annotate, adata)
    assert_named("k must", neighbour_accuracy, np.eye(5), list("ababa"), 5)
    assert_named("curve", sbnn.verdict, record, adata, curve="a")


def test_wrong_arguments_of_figures_are_named(record):
    assert_named("figure", plotting.save_figure, record, "a")
    assert_named("path_stem", plotting.save_figure, None, None)
    assert_named("models", plotting.accuracy_comparison, {})


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_wrong_arguments_of_fits_are_named(adata):
    one_gene = adata.X[:, :1]
    assert_named("eval_set", NETWORK.fit, adata, eval_set=(adata.X, one_gene))
    assert_named("folds", sbnn.cross_validate, MODEL, adata, [np.arange(40)])
    assert_named("estimator", sbnn.fit_full, MODEL, adata)
    assert_named("numbers", sbnn.genes_curve, adata, NETWORK, "5")
    assert_named("transform", NETWORK.set_output, transform="csv")
    assert_named("groups", sbnn.stability_selection, NETWORK, adata, groups=["a"] * 7)
