"""The simulated data: reproducible, of any size, realistic, and with an answer that can be found but not read off."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict

from sbnn.data.paired import as_paired
from sbnn.data.preprocessing import Standardizer
from sbnn.data.simulate import simulate_patchseq


def simulate(*args, **parameters):
    return as_paired(simulate_patchseq(*args, **parameters))


@pytest.fixture(scope="module")
def default():
    return simulate()


def z_scored(values):
    return Standardizer().fit_transform(values).astype(np.float64)


def held_out_r2(model, X, Y):
    predicted = cross_val_predict(model, X, Y, cv=KFold(5, shuffle=True, random_state=0))
    return 1 - ((Y - predicted) ** 2).sum() / ((Y - Y.mean(axis=0)) ** 2).sum()


def variance_between(groups, values):
    """Share of the variance of each column that lies between groups."""
    within = sum(np.mean(groups == g) * values[groups == g].var(axis=0) for g in np.unique(groups))
    return 1 - within / values.var(axis=0)


def test_same_parameters_same_data():
    sizes = {"n_cells": 50, "n_genes": 30, "noise": 1.0}
    one, other = simulate(**sizes), simulate(n_cells=np.int64(50), n_genes=30, noise=1, n_outputs=16)
    for name in ("X", "Y", "counts", "gene_names", "cell_names", "sha256"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.labels.equals(other.labels) and one.truth["genes"] == other.truth["genes"]
    for change in ({"random_state": 1}, {"n_cells": 51}, {"noise": 0.9}, {"n_types": 11}):
        changed = simulate(**sizes | change)
        assert changed.sha256 != one.sha256 and changed.Y[0, 0] != one.Y[0, 0]


def test_bits_are_those_of_the_committed_records(default):
    assert default.sha256 == "b41329db407bd811fcd77e4e3ddbd26d52284bb685f80f39628b250eb1309712"
    assert default.counts[:, 7].sum() == 195221 and default.Y.sum(dtype=float) == pytest.approx(286041.36660, rel=1e-7)


def test_shapes_and_labels(data):
    assert data.X.shape == (120, 40) and data.Y.shape == (120, 5) and data.name == "simulated"
    assert len(data.truth["genes"]) == 8 and set(data.truth["genes"]) <= set(data.gene_names)
    assert set(data.labels["family"]) == {"family 1", "family 2", "family 3"}
    assert len(data.colors) == 6 and set(data.labels["type"]) <= set(data.colors)
    assert (data.labels["type"].str[5] == data.labels["family"].str[7]).all()


def test_truth_is_the_latent_and_what_noise_leaves(default):
    outputs = default.truth["outputs"]
    noise = (default.Y - outputs) / outputs.std(axis=0)
    np.testing.assert_allclose(noise.std(axis=0), 0.5, atol=0.07)
    assert default.truth["r2"] == pytest.approx(1 / (1 + 0.5**2), abs=0.02)
    assert default.truth["r2"] == pytest.approx(np.mean(1 - (default.Y - outputs).var(0) / default.Y.var(0)), abs=1e-3)
    # a linear map of the latent gives all of the outputs but the curved 30 %, a smooth one everything
    latent, clean = default.truth["latent"], z_scored(outputs)
    assert held_out_r2(RidgeCV(), latent, clean) == pytest.approx(0.7, abs=0.05)
    assert held_out_r2(KernelRidge(kernel="rbf", gamma=1, alpha=1e-3), latent, clean) > 0.99
    without = simulate(n_cells=80, n_genes=40, noise=0)
    assert without.truth["r2"] == 1
    np.testing.assert_allclose(without.Y, without.truth["outputs"], rtol=1e-5)


def test_true_genes_can_be_found_but_others_tempt(default):
    X, Y, true = z_scored(default.X), z_scored(default.Y), np.isin(default.gene_names, default.truth["genes"])
    ridge = RidgeCV(np.geomspace(1, 1e5, 16))
    whole, of_true, of_others = (held_out_r2(ridge, X[:, genes], Y) for genes in (slice(None), true, ~true))
    assert 0.4 < whole < 0.6 and of_others < whole - 0.1 and whole < of_true
    smooth = held_out_r2(KernelRidge(kernel="rbf", gamma=0.01, alpha=0.1), X[:, true], Y)
    assert of_true + 0.08 < smooth < default.truth["r2"]
    strongest = np.argsort(-np.linalg.norm(X.T @ Y, axis=1))[:25]
    assert 0.4 < true[strongest].mean() < 1, "to rank single genes by their correlations is not enough"
    explained = variance_between(default.labels["type"].to_numpy(), default.X)
    assert (explained[~true] > np.median(explained[true])).sum() >= 25


def test_counts_look_like_those_of_patch_seq(default, real_scala):
    def describe(paired):
        means = paired.counts.mean(axis=0)
        between = variance_between(paired.labels["type"].to_numpy(), paired.X).mean()
        sizes = (paired.counts == 0).mean(), np.log10(np.median(means)), np.log10(means.max())
        return [*sizes, np.median(paired.X.std(axis=0)), between]

    np.testing.assert_allclose(describe(default), describe(real_scala), rtol=0.3)
    counts, means = default.counts, default.counts.mean(axis=0)
    assert (counts.var(axis=0) > 10 * means).all(), "far from Poisson"
    assert np.corrcoef(np.log2(means), (counts == 0).mean(axis=0))[0, 1] < -0.5, "dropout falls with the mean"


@settings(max_examples=15)
@given(st.data())
def test_any_size(draw):
    d = draw.draw(st.integers(1, 6), "n_latent")
    k = draw.draw(st.integers(d, 12), "n_true_genes")
    p = draw.draw(st.integers(max(2, k), 40), "n_genes")
    n = draw.draw(st.integers(d + 3, 40), "n_cells")
    q = draw.draw(st.integers(1, 6), "n_outputs")
    families = draw.draw(st.integers(1, 12), "n_families")
    types = draw.draw(st.integers(families, 30), "n_types")
    data = simulate(n, p, q, d, k, 0.7, families, types, draw.draw(st.integers(0, 2**40), "random_state"))
    assert data.X.shape == (n, p) and data.Y.shape == (n, q) and data.truth["latent"].shape == (n, d)
    assert len(data.truth["genes"]) == k
    assert (data.counts.sum(axis=0) > 0).all() and (data.counts.sum(axis=1) > 0).all()
    assert len(set(data.colors.values())) == types and data.colors["type 1.1"] == "#0072B2"


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_cells": 4}, {"n_genes": 24}, {"n_genes": 1, "n_true_genes": 1, "n_latent": 1}, {"n_outputs": 0},
        {"n_latent": 0}, {"n_true_genes": 1}, {"n_families": 0}, {"n_types": 3},
    ],
)  # fmt: skip
def test_sizes_out_of_range_are_refused(parameters):
    with pytest.raises(ValueError, match="expected 1 <= n_latent"):
        simulate_patchseq(**parameters)
