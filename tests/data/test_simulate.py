"""The simulated data: reproducible, of any size, realistic, and with an answer that can be found but not read off."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from sbnn import read_tables
from sbnn.data.paired import as_paired
from sbnn.data.simulate import simulate_patchseq, simulate_tables


def simulate(*args, **parameters):
    return as_paired(simulate_patchseq(*args, **parameters))


@pytest.fixture(scope="module")
def default():
    return simulate()


def test_truth_is_the_latent_and_what_noise_leaves(default):
    outputs, latent = default.truth["outputs"], default.truth["latent"]
    noise = (default.Y - outputs) / outputs.std(axis=0)
    np.testing.assert_allclose(noise.std(axis=0), 0.5, atol=0.07)
    assert default.truth["r2"] == pytest.approx(
        np.mean(1 - (default.Y - outputs).var(0) / default.Y.var(0)), abs=1e-3
    )
    # a linear map of the latent gives all of the outputs but the curved 30 %
    linear = LinearRegression().fit(latent, outputs).score(latent, outputs)
    assert latent.shape == (600, 2) and linear == pytest.approx(0.7, abs=0.05)
    without = simulate(n_cells=80, n_genes=40, noise=0)
    assert without.truth["r2"] == 1
    np.testing.assert_allclose(without.Y, without.truth["outputs"], rtol=1e-5)


def test_same_parameters_same_data():
    sizes = {"n_cells": 50, "n_genes": 30, "noise": 1.0}
    one, other = (
        simulate(**sizes),
        simulate(n_cells=np.int64(50), n_genes=30, noise=1, n_outputs=16),
    )
    for name in ("X", "Y", "counts", "gene_names", "cell_names", "sha256"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.labels.equals(other.labels) and one.truth["genes"] == other.truth["genes"]
    for change in ({"random_state": 1}, {"n_cells": 51}, {"noise": 0.9}, {"n_types": 11}):
        changed = simulate(**sizes | change)
        assert changed.sha256 != one.sha256 and changed.Y[0, 0] != one.Y[0, 0]


def test_bits_are_those_of_the_committed_records(default):
    assert default.sha256 == "b41329db407bd811fcd77e4e3ddbd26d52284bb685f80f39628b250eb1309712"
    assert default.counts[:, 7].sum() == 195221 and default.Y.sum(dtype=float) == pytest.approx(
        286041.36660, rel=1e-7
    )
    names = [*default.gene_names, *default.cell_names, *default.truth["genes"], *default.colors]
    names += [*default.colors.values(), *default.labels["type"], *default.labels["family"]]
    assert hashlib.sha256("".join(names).encode()).hexdigest().startswith("672bf93cc17e")


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_cells": 4},
        {"n_genes": 24},
        {"n_genes": 1, "n_true_genes": 1, "n_latent": 1},
        {"n_outputs": 0},
        {"n_latent": 0},
        {"n_true_genes": 1},
        {"n_families": 0},
        {"n_types": 3},
        {"random_state": -1},
    ],
)
def test_sizes_out_of_range_are_refused(parameters):
    with pytest.raises(ValueError, match="must be a whole number"):
        simulate_patchseq(**parameters)


def test_raw_tables_are_read_back(tmp_path):
    sizes = {"n_genes": 40, "n_outputs": 3, "n_true_genes": 5, "n_types": 4}
    paths = simulate_tables(tmp_path / "tables", 50, n_new=10, **sizes)
    with pytest.warns(UserWarning, match="left out"):
        adata = read_tables(*list(paths.values())[:3], missing="cells")
    made = simulate_patchseq(60, **sizes)[adata.obs_names]
    assert adata.shape == (49, 40) and adata.obs["donor"].nunique() == 6
    np.testing.assert_array_equal(adata.layers["counts"], made.layers["counts"])
    np.testing.assert_allclose(adata.obsm["outputs"], made.obsm["outputs"], rtol=1e-3)
    new = pd.read_csv(paths["new_counts"], index_col=0)
    assert new.shape == (41, 10) and not set(new.columns) & set(adata.obs_names)
