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


def test_the_data_are_those_of_the_committed_records(default):
    folder = Path(__file__).parents[2] / "saved_models" / "simulated"
    record = results.load(folder / "fit_published_2d.pickle.xz")
    assert default.sha256 == record.sha256
    scaled = (default.Y - default.Y.mean(axis=0)) / default.Y.std(axis=0)
    np.testing.assert_allclose(scaled, record.outputs, atol=1e-3)


def test_truth_is_the_latent_and_what_noise_leaves(default):
    outputs = default.truth["outputs"]
    latent = default.truth["latent"]
    noise = default.Y - outputs
    np.testing.assert_allclose(noise.std(axis=0) / outputs.std(axis=0), 0.5, atol=0.07)
    r2 = 1 - noise.var(axis=0) / default.Y.var(axis=0)
    assert default.truth["r2"] == pytest.approx(r2.mean(), abs=1e-3)
    # a linear map of the latent gives all of the outputs but the curved 30 %
    linear = LinearRegression().fit(latent, outputs).score(latent, outputs)
    assert linear == pytest.approx(0.7, abs=0.05)
    assert simulated(n_cells=80, n_genes=40, noise=0).truth["r2"] == 1


def test_same_parameters_same_data():
    sizes = {"n_cells": 50, "n_genes": 30, "noise": 1.0}
    one = simulated(**sizes)
    other = simulated(n_cells=np.int64(50), n_genes=30, noise=1, n_outputs=16)
    for name in ("X", "Y", "counts", "sha256"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for change in ({"random_state": 1}, {"n_cells": 51}, {"noise": 0.9}, {"n_types": 11}):
        assert simulated(**sizes | change).sha256 != one.sha256


def test_raw_tables_are_read_back(tmp_path):
    sizes = {"n_genes": 40, "n_outputs": 3, "n_true_genes": 5, "n_types": 4}
    paths = simulate_tables(tmp_path / "tables", 50, n_new=10, **sizes)
    tables = {name: pd.read_csv(path, index_col=0) for name, path in paths.items()}
    outputs = tables["outputs"]
    made = simulate_patchseq(60, **sizes)[outputs.index]
    assert outputs.shape == (50, 3) and outputs.isna().to_numpy().sum() == 1
    assert tables["labels"].loc[outputs.index, "type"].tolist() == made.obs["type"].tolist()
    counts = tables["counts"].loc[made.var_names, outputs.index].T
    np.testing.assert_array_equal(counts, made.layers["counts"])
    np.testing.assert_allclose(outputs[1:], made.obsm["outputs"][1:], rtol=1e-3)
    assert tables["new_counts"].shape == (41, 10), "and a gene more"
