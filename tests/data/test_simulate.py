"""The simulated data: reproducible, of any size, realistic, and with an answer that can be found but not read off."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import MultiTaskLasso, RidgeCV
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


def r2(Y, predicted):
    return 1 - ((Y - predicted) ** 2).sum() / ((Y - Y.mean(axis=0)) ** 2).sum()


def held_out_r2(model, X, Y):
    return r2(Y, cross_val_predict(model, X, Y, cv=KFold(5, shuffle=True, random_state=0)))


def is_true(data):
    return np.isin(data.gene_names, data.truth["genes"])


def variance_between(groups, values):
    """Share of the variance of each column that lies between groups."""
    within = sum(np.mean(groups == g) * values[groups == g].var(axis=0) for g in np.unique(groups))
    return 1 - within / values.var(axis=0)


def group_lasso(X, Y, n_genes):
    """The `n_genes` strongest genes where a group-lasso path first has as many."""
    strongest = np.linalg.norm(X.T @ Y, axis=1).max() / len(X)
    model = MultiTaskLasso(warm_start=True, tol=1e-3)
    for alpha in np.geomspace(strongest, strongest / 200, 60):
        norms = np.linalg.norm(model.set_params(alpha=alpha).fit(X, Y).coef_, axis=0)
        if (norms > 0).sum() >= n_genes:
            break
    return np.argsort(-norms)[:n_genes]


def test_same_parameters_same_data():
    one, other = simulate(n_cells=50, n_genes=30), simulate(n_cells=50, n_genes=30)
    for name in ("X", "Y", "counts", "gene_names", "cell_names"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.labels.equals(other.labels) and one.truth["genes"] == other.truth["genes"]
    assert one.sha256 == other.sha256


def test_fingerprint_names_the_parameters_and_not_their_types():
    sha256 = simulate(n_cells=50, n_genes=30, noise=1.0).sha256
    assert simulate(n_cells=np.int64(50), n_genes=30, noise=1, n_outputs=16).sha256 == sha256
    for change in ({"random_state": 1}, {"n_cells": 51}, {"noise": 0.9}, {"n_types": 11}):
        other = simulate(**({"n_cells": 50, "n_genes": 30, "noise": 1.0} | change))
        assert other.sha256 != sha256
    assert len({simulate(n_cells=50, n_genes=30, random_state=i).Y[0, 0] for i in range(5)}) == 5


def test_shapes_and_labels(data):
    assert data.X.shape == (120, 40) and data.Y.shape == (120, 5) and data.name == "simulated"
    assert len(data.truth["genes"]) == 8 and set(data.truth["genes"]) <= set(data.gene_names)
    assert data.truth["latent"].shape == (120, 2) and data.truth["outputs"].shape == (120, 5)
    assert set(data.labels["family"]) == {"family 1", "family 2", "family 3"}
    assert len(data.colors) == 6 and set(data.labels["type"]) <= set(data.colors)
    family_of_type = data.labels.groupby("type")["family"].nunique()
    assert (family_of_type == 1).all()


def test_truth_is_the_latent_and_what_noise_leaves(default):
    outputs = default.truth["outputs"]
    noise = (default.Y - outputs) / outputs.std(axis=0)
    np.testing.assert_allclose(noise.std(axis=0), 0.5, atol=0.07)
    assert default.truth["r2"] == pytest.approx(1 / (1 + 0.5**2), abs=0.02)
    assert default.truth["r2"] == pytest.approx(np.mean(1 - (default.Y - outputs).var(0) / default.Y.var(0)), abs=1e-3)
    # the latent knows the outputs: a linear map all but the curved 30 %, a smooth one everything
    latent, clean = default.truth["latent"], z_scored(outputs)
    assert held_out_r2(RidgeCV(), latent, clean) == pytest.approx(0.7, abs=0.05)
    assert held_out_r2(KernelRidge(kernel="rbf", gamma=1, alpha=1e-3), latent, clean) > 0.99


def test_without_noise_the_outputs_are_the_truth():
    data = simulate(n_cells=80, n_genes=40, noise=0)
    assert data.truth["r2"] == 1
    np.testing.assert_allclose(data.Y, data.truth["outputs"], rtol=1e-5)


def test_true_genes_can_be_found_but_others_tempt():
    found, ranked = [], []
    for random_state in range(4):
        data = simulate(random_state=random_state)
        X, Y, true = z_scored(data.X), z_scored(data.Y), is_true(data)
        found.append(true[group_lasso(X, Y, 25)].mean())
        ranked.append(true[np.argsort(-np.linalg.norm(X.T @ Y, axis=1))[:25]].mean())
    assert np.mean(found) >= 0.9 and min(found) >= 0.8
    # to rank single genes by how much they correlate with the outputs is not enough
    assert 0.5 < np.mean(ranked) < np.mean(found) - 0.05


def test_others_follow_the_types_as_much_as_true_genes_do(default):
    explained = variance_between(default.labels["type"].to_numpy(), default.X)
    true = is_true(default)
    assert (explained[~true] > np.median(explained[true])).sum() >= 25


def test_linear_models_get_half_way_and_others_further(default):
    X, Y, true = z_scored(default.X), z_scored(default.Y), is_true(default)
    ridge = RidgeCV(np.geomspace(1, 1e5, 16))
    linear = {
        "all": held_out_r2(ridge, X, Y),
        "true": held_out_r2(ridge, X[:, true], Y),
        "other": held_out_r2(ridge, X[:, ~true], Y),
    }
    assert 0.4 < linear["all"] < 0.6
    assert linear["other"] < linear["all"] - 0.1 and linear["all"] < linear["true"]
    smooth = held_out_r2(KernelRidge(kernel="rbf", gamma=0.01, alpha=0.1), X[:, true], Y)
    assert linear["true"] + 0.08 < smooth < default.truth["r2"]


def test_counts_look_like_those_of_patch_seq(default):
    counts = default.counts
    assert counts.dtype.kind == "i" and counts.min() == 0
    assert 0.3 < (counts == 0).mean() < 0.6
    means = counts.mean(axis=0)
    assert np.median(means) > 100 and means.max() > 20 * np.median(means)
    totals = np.log2(counts.sum(axis=1))
    assert 0.5 < totals.std() < 2
    assert (counts.var(axis=0) > 10 * means).all()  # far from Poisson
    assert np.corrcoef(np.log2(means), (counts == 0).mean(axis=0))[0, 1] < -0.5  # dropout falls with the mean


def test_counts_compare_with_the_real_ones(real_scala, default):
    def describe(paired):
        types = paired.labels["type"].to_numpy()
        return np.array(
            [
                (paired.counts == 0).mean(),
                np.log10(np.median(paired.counts.mean(axis=0))),
                np.log10(paired.counts.mean(axis=0).max()),
                np.median(paired.X.std(axis=0)),
                variance_between(types, paired.X).mean(),
            ]
        )

    np.testing.assert_allclose(describe(default), describe(real_scala), rtol=0.3)


@settings(deadline=None, max_examples=15)
@given(st.data())
def test_any_size(draw):
    d = draw.draw(st.integers(1, 6), "n_latent")
    k = draw.draw(st.integers(d, 12), "n_true_genes")
    p = draw.draw(st.integers(max(2, k), 40), "n_genes")
    n = draw.draw(st.integers(d + 3, 40), "n_cells")
    q = draw.draw(st.integers(1, 6), "n_outputs")
    families = draw.draw(st.integers(1, 12), "n_families")
    types = draw.draw(st.integers(families, 30), "n_types")
    seed = draw.draw(st.integers(0, 2**40), "random_state")
    data = simulate(n, p, q, d, k, 0.7, families, types, seed)
    assert data.X.shape == (n, p) and data.Y.shape == (n, q) and data.truth["latent"].shape == (n, d)
    assert len(data.truth["genes"]) == k
    assert (data.counts.sum(axis=0) > 0).all() and (data.counts.sum(axis=1) > 0).all()
    assert len(data.colors) == types


@pytest.mark.parametrize(("n_families", "n_types"), [(4, 12), (7, 7), (9, 77), (20, 40)])
def test_types_of_a_family_share_a_hue_and_no_two_a_colour(n_families, n_types):
    colors = simulate(n_cells=40, n_genes=30, n_families=n_families, n_types=n_types).colors
    assert len(set(colors.values())) == len(colors) == n_types
    assert colors["type 1.1"] == "#0072B2"


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
    ],
)
def test_sizes_out_of_range_are_refused(parameters):
    with pytest.raises(ValueError, match="expected 1 <= n_latent"):
        simulate_patchseq(**parameters)
