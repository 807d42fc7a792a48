"""The simulated data: reproducible, of any size, realistic, and with a known answer."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from sbnn import results
from sbnn.data.paired import as_paired
from sbnn.data.simulate import simulate_patchseq, simulate_tables


def simulated(*args, **parameters):
    return as_paired(simulate_patchseq(*args, **parameters))


@pytest.fixture(scope="module")
def default():
    return simulated()


@pytest.fixture(scope="module")
def record():
    """A committed fit to these data."""
    folder = Path(__file__).parents[2] / "saved_models" / "simulated"
    return results.load(folder / "fit_published_2d.pickle.xz")


def test_the_data_are_those_of_the_committed_records(default, record):
    assert default.sha256 == record.sha256
    scaled = (default.Y - default.Y.mean(axis=0)) / default.Y.std(axis=0)
    np.testing.assert_allclose(scaled, record.outputs, atol=1e-3)


@pytest.fixture
def noise(default):
    return default.Y - default.truth["outputs"]


def test_noise_is_half_of_the_signal(default, noise):
    ratio = noise.std(axis=0) / default.truth["outputs"].std(axis=0)
    np.testing.assert_allclose(ratio, 0.5, atol=0.07)


def test_the_best_r2_is_what_noise_leaves(default, noise):
    r2 = 1 - noise.var(axis=0) / default.Y.var(axis=0)
    assert default.truth["r2"] == pytest.approx(r2.mean(), abs=1e-3)


def test_without_noise_the_best_r2_is_one():
    assert simulated(n_cells=80, n_genes=40, noise=0).truth["r2"] == 1


def test_a_linear_map_of_the_latent_leaves_the_curved_part(default):
    latent = default.truth["latent"]
    outputs = default.truth["outputs"]
    linear = LinearRegression().fit(latent, outputs).score(latent, outputs)
    assert linear == pytest.approx(0.7, abs=0.05)


def test_expression_was_computed_from_counts(default):
    assert default.has_median_library_size


SIZES = {"n_cells": 50, "n_genes": 30, "noise": 1.0}


@pytest.mark.parametrize("name", ["X", "Y", "counts", "sha256"])
def test_same_parameters_same_data(name):
    one = simulated(**SIZES)
    other = simulated(n_cells=np.int64(50), n_genes=30, noise=1, n_outputs=16)
    np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize(
    "change", [{"random_state": 1}, {"n_cells": 51}, {"noise": 0.9}, {"n_types": 11}]
)
def test_other_parameters_other_data(change):
    assert simulated(**SIZES | change).sha256 != simulated(**SIZES).sha256


TABLE_SIZES = {"n_genes": 40, "n_outputs": 3, "n_true_genes": 5, "n_types": 4}


@pytest.fixture
def tables(tmp_path):
    """Tables of 50 cells, and counts of 10 new ones."""
    paths = simulate_tables(tmp_path / "tables", 50, n_new=10, **TABLE_SIZES)
    return {name: pd.read_csv(path, index_col=0) for name, path in paths.items()}


@pytest.fixture
def made(tables):
    """The simulated cells of the tables, in the order of the outputs."""
    return simulate_patchseq(60, **TABLE_SIZES)[tables["outputs"].index]


def test_tables_have_the_simulated_counts(tables, made):
    counts = tables["counts"].loc[made.var_names, made.obs_names].T
    np.testing.assert_array_equal(counts, made.layers["counts"])


def test_tables_have_the_simulated_outputs_but_one(tables, made):
    outputs = tables["outputs"]
    assert outputs.shape == (50, 3)
    assert outputs.isna().to_numpy().sum() == 1
    np.testing.assert_allclose(outputs[1:], made.obsm["outputs"][1:], rtol=1e-3)


def test_tables_have_the_simulated_types(tables, made):
    types = tables["labels"].loc[made.obs_names, "type"]
    assert types.tolist() == made.obs["type"].tolist()


def test_tables_of_counts_have_a_gene_more(tables):
    assert tables["new_counts"].shape == (41, 10)
