"""What preprocessing and scores keep, whatever the numbers."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sbnn.data.preprocessing import Standardizer, log2p1, normalize_library_size, select_genes, size_of_library
from sbnn.metrics import feature_r2, pooled_r2

FEW = settings(max_examples=40)


def counts(smallest=1, most_cells=12, most_genes=8):
    shapes = st.tuples(st.integers(smallest, most_cells), st.integers(1, most_genes))
    return arrays.arrays(np.int64, shapes, elements=st.integers(0, 5000))


@FEW
@given(counts(), st.floats(1, 1e6))
def test_every_cell_has_the_total_asked_for_and_keeps_its_proportions(raw, target):
    assume(raw.sum(1).all())
    normalized = normalize_library_size(raw, target).astype(np.float64)
    np.testing.assert_allclose(normalized.sum(1), target, rtol=1e-5)
    np.testing.assert_allclose(normalized * raw.sum(1, keepdims=True), raw * target, rtol=1e-5)


@FEW
@given(counts(), st.integers(100, 100_000))
def test_the_library_size_is_found_again_in_the_logarithms(raw, target):
    assume(raw.sum(1).all())
    assert size_of_library(log2p1(normalize_library_size(raw, target)), raw) == pytest.approx(target, rel=1e-4)


@FEW
@given(counts(smallest=3), st.integers(0, 2))
def test_z_scores_turn_back_into_what_they_were_made_of(raw, moved):
    X = raw + 1000.0 * moved
    scaler = Standardizer().fit(X)
    Z = scaler.transform(X).astype(np.float64)
    varying = np.ptp(X, axis=0) > 0
    assert not Z[:, ~varying].any()
    np.testing.assert_allclose(Z.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(Z[:, varying].std(0), 1, atol=1e-5)
    np.testing.assert_allclose(Z * X.std(0) + X.mean(0), X, rtol=1e-4, atol=0.01)


@FEW
@given(st.integers(0, 2**32 - 1), st.integers(1, 15), st.sampled_from([0, 3]))
def test_the_genes_that_are_chosen_do_not_depend_on_the_order_of_cells_and_genes(seed, n_genes, threshold):
    rng = np.random.default_rng(seed)
    raw = rng.poisson(rng.gamma(1, 4, size=30), size=(60, 30))
    try:
        chosen = select_genes(raw, n_genes, threshold)
    except ValueError as error:
        assert f"n_genes={n_genes} but only" in str(error)
        return
    assert chosen.selected.sum() == n_genes
    cells, genes = rng.permutation(60), rng.permutation(30)
    np.testing.assert_array_equal(select_genes(raw[cells], n_genes, threshold).selected, chosen.selected)
    again = select_genes(raw[:, genes], n_genes, threshold)
    tied = len(np.unique(raw, axis=1).T) < 30  # of equal genes the first are taken
    assert tied or (again.selected == chosen.selected[genes]).all()
    assert again.b == chosen.b


@FEW
@given(
    arrays.arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=st.floats(-1e3, 1e3)),
    st.integers(0, 2**32 - 1),
)
def test_scores_are_what_their_definition_says(Y, seed):
    rng = np.random.default_rng(seed)
    predicted, mean = Y + rng.normal(size=Y.shape), rng.normal(size=Y.shape[1])
    errors = sum((Y[i, j] - predicted[i, j]) ** 2 for i in range(len(Y)) for j in range(Y.shape[1]))
    total = sum((Y[i, j] - mean[j]) ** 2 for i in range(len(Y)) for j in range(Y.shape[1]))
    assert pooled_r2(Y, predicted, mean) == pytest.approx(1 - errors / total, rel=1e-9)
    for j, r2 in enumerate(feature_r2(Y, predicted, mean)):
        assert r2 == pytest.approx(pooled_r2(Y[:, j], predicted[:, j], mean[j]), rel=1e-9)
    order = rng.permutation(len(Y))
    assert pooled_r2(Y[order], predicted[order], mean) == pytest.approx(1 - errors / total, rel=1e-9)
