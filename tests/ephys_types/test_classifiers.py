"""What all classifiers share; scales, kernel logistic regression, the default and sparse PCA."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm, rankdata
from sklearn.base import clone
from sklearn.decomposition import SparsePCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import scale
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch.nn.utils import parameters_to_vector

from sbnn.data.typed_cells import family_columns
from sbnn.ephys_types import (
    AttentionBiLSTMClassifier,
    EphysTypeClassifier,
    FamilyAttentionClassifier,
    SparsePCAForest,
    sparse_pca_forest,
)
from sbnn.ephys_types.base import feature_scaling, kernel_logistic
from sbnn.ephys_types.sparse_pca_forest import sparse_components

FOREST = SparsePCAForest(n_estimators=20, random_state=0)
NETWORKS = {
    "bilstm": AttentionBiLSTMClassifier(hidden=8, max_epochs=3, random_state=0),
    "families": FamilyAttentionClassifier(n_steps=20, n_members=2, random_state=0),
}


FAILED = {  # checks that the published network cannot pass
    "check_classifiers_train": "three epochs are too few",
    "check_class_weight_classifiers": "weights are balanced or equal, as published",
}


@parametrize_with_checks(
    [
        FOREST,
        EphysTypeClassifier(n_steps=5, random_state=0),
        *NETWORKS.values(),
    ],
    expected_failed_checks=lambda model: FAILED if model is NETWORKS["bilstm"] else {},
)
def test_scikit_learn_api(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.repeat(["SST", "unknown"], 100)}, "y: expected a type for every cell"),
        ({"y": pd.Series(range(200), range(200, 0, -1))}, "y: .* expected the cells|y: .* order"),
    ],
)
def test_cells_that_cannot_be_used_are_named(cells, change, message):
    given = {"X": pd.DataFrame(cells.X, range(1, 201)), "y": cells.y}
    with pytest.raises(ValueError, match=message):
        EphysTypeClassifier().fit(**given | change)


def fitted(model, cells, **params):
    return clone(model).set_params(**params).fit(cells.X, cells.y, cells.families)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, cells):
    return fitted(NETWORKS[request.param], cells)


def test_same_seed_same_bits(cells, network):
    """Whatever was drawn before, and on any number of threads; the global generator is kept."""
    torch.manual_seed(5)
    before = torch.get_rng_state()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    again = fitted(network, cells)
    torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), before)
    assert_array_equal(again.predict_proba(cells.X), network.predict_proba(cells.X))
    other = fitted(network, cells, random_state=1)
    first, second = (parameters_to_vector(its.network_.parameters()) for its in (network, other))
    assert (first - second).abs().max() > 0.1  # from the start


def test_a_family_without_values_is_left_out_with_a_warning(cells, network):
    X = cells.X.copy()
    X[:, cells.families == "passive"] = np.nan
    with pytest.warns(UserWarning, match="x2"):
        model = fitted(network, replace(cells, X=X))
    weights = model.attention_weights(cells.X)
    assert_allclose(weights.sum(1), 1, atol=1e-6)
    if isinstance(network, FamilyAttentionClassifier):
        for columns, of_family in zip(model.families_.values(), weights.T, strict=True):
            assert_array_equal(of_family > 0, np.isfinite(X[:, columns]).any(axis=1))
        x, known = (its.expand(2, -1, -1) for its in model._scale(X))
        of_members = model.network_(x, known)[0].softmax(-1)
        assert_allclose(model.predict_proba(X), of_members.detach().mean(0), atol=1e-5)
    assert_array_equal(model.predict_proba(cells.X), model.predict_proba(X))


def test_kernel_is_balanced_logistic_regression_in_the_space_of_all_cells(cells):
    """With as many landmarks as cells, the approximation is exact."""
    x = feature_scaling().fit_transform(cells.X)
    x = np.where(np.isfinite(x), x, np.nanmedian(x, axis=0))
    n, n_features = x.shape
    inside = np.linalg.cholesky(rbf_kernel(x, gamma=0.3 / n_features) + 1e-9 * np.eye(n))
    wanted = LogisticRegression(C=3.0, class_weight="balanced", max_iter=3000).fit(inside, cells.y)
    model = kernel_logistic(n, n_features, 0).fit(cells.X, cells.y)
    assert_allclose(model.predict_proba(cells.X), wanted.predict_proba(inside), atol=5e-3)


def test_the_default_is_the_mean_of_two_learners(cells):
    model = fitted(EphysTypeClassifier(n_steps=20, random_state=3), cells)
    network, logistic = model.members_
    assert network.n_steps == 20
    assert network.families_.keys() == set(cells.families)
    means = (network.predict_proba(cells.X) + logistic.predict_proba(cells.X)) / 2
    assert_allclose(model.predict_proba(cells.X), means)


def test_a_feature_without_values_is_left_out_of_the_default_with_one_warning(cells):
    X = cells.X.copy()
    X[:, 3] = np.nan
    with pytest.warns(UserWarning, match="x3") as warned:
        model = fitted(EphysTypeClassifier(n_steps=2, random_state=3), replace(cells, X=X))
    assert len(warned) == 1
    assert_array_equal(model.predict_proba(cells.X), model.predict_proba(X))


def test_components_are_those_of_scikit_learn(rng, monkeypatch):
    monkeypatch.setattr(sparse_pca_forest, "SPARSE_PCA_PENALTY", 0.2)
    X = scale(rng.normal(size=(300, 8)).cumsum(axis=1))
    peer = SparsePCA(3, alpha=0.2 * np.sqrt(300), tol=1e-8, max_iter=2000, random_state=0)
    scores = scale(peer.fit_transform(X))
    agreement = np.abs(scores.T @ X @ sparse_components(X, 3, 0) / 300)
    assert_allclose(np.sort(agreement.max(0)), 1, atol=1e-3)
    assert (peer.components_ == 0).any()


def test_components_that_add_less_than_a_hundredth_are_left_out(rng):
    X = rng.normal(size=(400, 4)) * [10, 5, 0.5, 0.1]
    X -= X.mean(0)
    for n_components in (4, None):
        assert sparse_components(X, n_components, 0).shape == (4, 2)
    assert sparse_components(0 * X, 2, 0).shape == (4, 0)


def test_components_and_trees_of_each_family(cells):
    model = fitted(FOREST, cells)
    scores = model.transform(cells.X)
    assert_allclose([scores.mean(0), scores.std(0) - 1], 0, atol=1e-9)
    n_moved = np.zeros(scores.shape[1])
    parts = [scores]
    for columns in family_columns(cells.families).values():
        changed = cells.X.copy()
        changed[:, columns] += 1
        n_moved += (model.transform(changed) != scores).any(0)
        parts.append(np.isnan(cells.X[:, columns]).mean(1, keepdims=True))
    assert_array_equal(n_moved, 1)  # each component is of one family
    assert model.forest_.class_weight == "balanced_subsample"
    p = model.forest_.predict_proba(np.hstack(parts))
    assert_allclose(model.predict_proba(cells.X), p)


def test_normal_scores_follow_ranks_and_are_clipped(rng):
    x = rng.lognormal(size=(90, 1))
    scaling = feature_scaling(len(x)).fit(x)
    expected = scale(norm.ppf((rankdata(x, axis=0) - 1) / 89).clip(-2.5, 2.5))
    assert_allclose(scaling.transform(x), expected, atol=1e-6)
    beyond = scaling.transform([[1e9], [-1e9], [np.nan]])
    assert_allclose(beyond, [[expected.max()], [expected.min()], [np.nan]])
