"""Simulated cells of every study, the same with other values, and tables of them."""

from functools import cache

import numpy as np
import pandas as pd
from scipy.stats import zscore

from sbnn.data.paired import as_paired, paired
from sbnn.data.simulate import simulate_patchseq
from sbnn.dynamics import simulate_network
from sbnn.ephys_types.simulate import simulate_ephys_types
from sbnn.mechanism_shift.simulate import simulate_perturbations


def change_data(data, **fields):
    """The same paired cells with other arrays, names or labels, as `as_paired` gives them."""
    usual = {
        "colors": data.colors,
        "counts": data.counts,
        "library_size": data.library_size,
        "source": data.about["source"],
        "truth": data.truth,
    }
    for name in ("name", "X", "Y", "gene_names", "feature_names", "cell_names", "labels"):
        usual[name] = getattr(data, name)
    return as_paired(paired(**usual | fields))


def without_counts(adata, cell=3):
    """The same with a cell without counts."""
    emptied = adata.copy()
    emptied.X[cell] = 0
    return emptied


def turn_names(adata):
    adata.var_names = adata.var_names[::-1]


def add_to_counts(adata):
    adata.layers["counts"] = adata.layers["counts"] + 1


def z_scores(data):
    """Of expression and outputs."""
    return zscore(data.X.astype(float)), zscore(data.Y.astype(float))


def expression_frame(data):
    return pd.DataFrame(data.X, data.cell_names, data.gene_names)


def counts_frame(data):
    return pd.DataFrame(data.counts, data.cell_names, data.gene_names)


def outputs_frame(data):
    return pd.DataFrame(data.Y.copy(), data.cell_names, data.feature_names)


@cache
def cells():
    """80 cells of 8 donors, 12 genes and 3 outputs; half of them have two clusters."""
    adata = simulate_patchseq(80, 12, 3, n_true_genes=4, n_families=2, n_types=4, random_state=0)
    adata.obs["donor"] = [f"d{i % 8}" for i in range(80)]
    return adata


@cache
def typed_cells():
    return simulate_ephys_types(120, random_state=0)


@cache
def screened_cells():
    return simulate_perturbations(20, 6, 3, 40, random_state=0)


@cache
def courses():
    return simulate_network(n_genes=12, n_samples=8, n_test=3)


def two_folds(n_cells):
    """Every other cell tested, and the others trained on; then the reverse."""
    even, odd = np.arange(0, n_cells, 2), np.arange(1, n_cells, 2)
    return [(even, odd), (odd, even)]
