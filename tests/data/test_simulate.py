"""Simulated data are those of the committed records, and have a known answer."""

import numpy as np
import pandas as pd
import pytest
from material.paths import SAVED_MODELS
from sklearn.linear_model import LinearRegression

from sbnn import results
from sbnn.data.datasets import load_dataset
from sbnn.data.paired import as_paired
from sbnn.data.simulate import simulate_patchseq, simulate_tables


def simulated(**parameters):
    return as_paired(simulate_patchseq(**parameters))


@pytest.fixture(scope="module")
def default():
    return simulated()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("simulated", "fit_published_2d"),
        ("simulated_ephys", "types_forest"),
        ("simulated_screen", "shift_fits"),
    ],
)
def test_the_data_are_those_of_the_committed_records(name, file):
    record = results.load(SAVED_MODELS / name / f"{file}.pickle.xz")
    assert load_dataset(name, verbose=False).uns["sbnn"]["sha256"] == record.sha256


@pytest.fixture
def noise(default):
    return default.Y - default.truth["outputs"]


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
    assert types.nunique() == 4


def test_tables_of_counts_have_a_gene_more(tables):
    assert tables["new_counts"].shape == (41, 10)
