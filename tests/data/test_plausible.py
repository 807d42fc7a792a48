import re
import warnings

import numpy as np
import pytest
from scipy import sparse

from sbnn.data.checks import check_given_once, check_outliers, warn_of_log_values, warn_of_raw_counts


@pytest.fixture
def deep(rng):
    """Counts of 50 cells x 30 genes, up to some hundred."""
    return rng.poisson(rng.gamma(1, 20, 30), (50, 30))


@pytest.fixture
def shallow(rng):
    """Counts of 50 cells x 30 genes, mostly 0 and 1."""
    return rng.poisson(0.3, (50, 30)) + 3 * (rng.uniform(size=(50, 30)) > 0.98)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, lambda a: a.astype("f4")])
def test_raw_counts_are_told_from_log_values(deep, shallow, form):
    with pytest.warns(
        UserWarning, match=rf"X looks like raw counts \(values from 0 to {deep.max()}, 100 % of them whole"
    ):
        warn_of_raw_counts(form(deep), "X", "log-transform it")
    with pytest.warns(UserWarning, match="X looks like raw counts .* log-transform it"):
        warn_of_raw_counts(form(shallow), "X", "log-transform it")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for values in (np.log2(deep + 1), deep - deep.mean(0), (shallow > 0).astype(int), -deep):
            warn_of_raw_counts(form(values), "X", "log-transform it")


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_log_values_are_told_from_raw_counts(deep, shallow, form):
    logs = np.log2(deep + 1)
    share = np.floor(1000 * np.mean(logs == np.rint(logs))) / 10
    with pytest.warns(UserWarning, match=rf"from 0 to {logs.max():g}, {share:g} % of them whole numbers"):
        warn_of_log_values(form(logs), "source")
    with pytest.warns(UserWarning, match=rf"from 0 to {np.rint(logs).max():g}, 100 % of them whole numbers"):
        warn_of_log_values(form(np.rint(logs)), "source")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for counts in (deep, shallow):
            warn_of_log_values(form(counts), "source")


@pytest.mark.parametrize("n_genes", [5, 200])  # in one block and in several
def test_values_beyond_arithmetic_are_refused_by_cell_and_gene(rng, n_genes):
    X = rng.normal(size=(40, n_genes)).astype("f4")
    check_outliers(X, "X")
    cells, genes = [f"c{i}" for i in range(40)], [f"g{j}" for j in range(n_genes)]
    for value in (1e30, -1e30):
        X[3, n_genes - 2] = value
        with pytest.raises(
            ValueError, match=re.escape(f"X: {value:g} of cell 'c3', column 'g{n_genes - 2}' is beyond 1e+15")
        ):
            check_outliers(X, "X", cells, genes)


@pytest.mark.parametrize("value", [1e8, -1e8])
def test_a_cell_out_of_all_proportion_is_named(rng, value):
    Y = rng.normal(size=(40, 3))
    Y[7, 1] = value
    with pytest.warns(UserWarning, match=re.escape(f"Y: {value:g} of cell 'c7', column 'Tau' is more than 1e+06 SD")):
        check_outliers(Y, "Y", [f"c{i}" for i in range(40)], ["a", "Tau", "b"])


def test_rare_genes_and_great_units_are_no_outliers(rng):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rare = np.zeros((40, 3))
        rare[5, 0] = 12.0  # one cell expresses it
        rare[:, 2] = 7.0
        check_outliers(rare, "X")
        check_outliers(1e9 + 1e9 * rng.normal(size=(40, 3)), "Y")
        check_outliers(rng.standard_cauchy((1000, 3)), "Y")
        check_outliers(np.zeros((1, 3)), "X")


def test_expression_given_again_as_outputs_is_refused(rng):
    X = rng.normal(size=(40, 6)).astype("f4")
    for Y in (X, X[:, [4, 1]], X.astype(float), np.column_stack([X[:, :2], np.ones(40)])):
        with pytest.raises(ValueError, match="outputs are columns of X"):
            check_given_once(X, Y)
    other = X[:, :2].copy()
    other[-1, 1] += 1
    for Y in (other, X[:, :1], X[::-1], np.ones((40, 2))):
        check_given_once(X, Y)
