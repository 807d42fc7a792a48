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

from sbnn.ephys_types import (
    AttentionBiLSTMClassifier,
    EphysTypeClassifier,
    FamilyAttentionClassifier,
    SparsePCAForest,
    sparse_pca_forest,
)
from sbnn.ephys_types.base import feature_scaling, kernel_logistic
from sbnn.ephys_types.data import family_columns
from sbnn.ephys_types.sparse_pca_forest import sparse_components

BILSTM = AttentionBiLSTMClassifier(hidden=8, max_epochs=3, random_state=0)
FAMILY_ATTENTION = FamilyAttentionClassifier(n_steps=20, n_members=2, random_state=0)
FOREST = SparsePCAForest(n_estimators=20, random_state=0)
DEFAULT = EphysTypeClassifier(n_steps=5, random_state=0)
EXPECTED_FAILURES = {  # checks that the published network cannot pass
    "check_classifiers_train": "three epochs are too few",
    "check_class_weight_classifiers": "weights are balanced or equal, as published",
}


# the default has these checks in test_estimators.py, as others are of its members
@parametrize_with_checks(
    [clone(FOREST).set_params(n_estimators=5), BILSTM, FAMILY_ATTENTION],
    expected_failed_checks=lambda model: EXPECTED_FAILURES if model is BILSTM else {},
)
def test_scikit_learn_api(estimator, check):
    check(estimator)


SMOTE = clone(BILSTM).set_params(smote=True)


@pytest.mark.parametrize(
    ("model", "types", "message"),
    [
        (DEFAULT, np.repeat(["SST", "unknown"], 100), "y: expected a type for every cell"),
        (
            DEFAULT,
            np.resize(np.array([1, "SST"], dtype=object), 200),
            "y: .*objects such as 1$",
        ),
        (
            SMOTE,
            np.array([*["SST", "VIP"] * 99, "SST", "rare"]),
            "y: SMOTE needs two cells .* one of rare",
        ),
    ],
    ids=["unknown", "objects", "one cell"],
)
def test_types_that_nothing_can_learn_are_refused(cells, model, types, message):
    X = pd.DataFrame(cells.X, index=range(1, 201))
    with pytest.raises(ValueError, match=message):
        clone(model).fit(X, types)


def test_types_are_treated_as_equally_frequent(rng):
    """Nothing tells the types apart, one of which has a tenth of the cells."""
    types = np.repeat(["common", "rare"], [360, 40])
    fitted = clone(FAMILY_ATTENTION).fit(rng.normal(size=(400, 4)), types)
    probabilities = fitted.predict_proba(rng.normal(size=(400, 4)))
    assert 0.3 < probabilities[:, 1].mean() < 0.7


def fit_clone(model, cells, **parameters):
    """A fit of the same model to other cells, or with other parameters."""
    new = clone(model).set_params(**parameters)
    return new.fit(cells.X, cells.y, cells.families)


@pytest.fixture(scope="module", params=[BILSTM, FAMILY_ATTENTION], ids=["bilstm", "families"])
def network(request, cells):
    return fit_clone(request.param, cells)


@pytest.fixture(scope="module")
def X_without_family(cells):
    X = cells.X.copy()
    X[:, cells.families == "passive"] = np.nan
    return X


@pytest.fixture(scope="module")
def blind(cells, network, X_without_family):
    """A network that was trained without one family."""
    with pytest.warns(UserWarning, match="x2"):
        return fit_clone(network, replace(cells, X=X_without_family))


def test_a_family_without_values_is_left_out(cells, blind, X_without_family):
    expected = blind.predict_proba(X_without_family)
    assert_array_equal(blind.predict_proba(cells.X), expected)


def test_attention_sums_to_one(cells, blind):
    assert_allclose(blind.attention_weights(cells.X).sum(1), 1, atol=1e-6)


@pytest.fixture(scope="module")
def blind_families(cells, X_without_family):
    """Attention over families that was trained without one of these."""
    with pytest.warns(UserWarning, match="x2"):
        return fit_clone(FAMILY_ATTENTION, replace(cells, X=X_without_family))


def test_attention_is_to_families_with_values(cells, blind_families, X_without_family):
    attention = blind_families.attention_weights(cells.X)
    has_value = np.isfinite(X_without_family)
    for family, columns in enumerate(blind_families.families_.values()):
        is_measured = has_value[:, columns].any(axis=1)
        assert_array_equal(attention[:, family] > 0, is_measured)


def test_probabilities_are_means_of_the_members(blind_families, X_without_family):
    has_values = ~np.isnan(X_without_family).all(axis=0)
    X = X_without_family[:, has_values]
    scaled = torch.from_numpy(feature_scaling(len(X)).fit_transform(X)).float()
    x = scaled.expand(2, -1, -1)  # for two members
    logits, _ = blind_families.network_(x.nan_to_num(), (~x.isnan()).float())
    means = logits.softmax(-1).detach().mean(0)
    assert_allclose(blind_families.predict_proba(X_without_family), means, atol=1e-5)


def test_kernel_logistic_is_exact_with_all_landmarks(cells):
    """It is balanced logistic regression in the space of the kernel."""
    x = feature_scaling().fit_transform(cells.X)
    x = np.where(np.isfinite(x), x, np.nanmedian(x, axis=0))
    n_cells, n_features = x.shape
    kernel = rbf_kernel(x, gamma=0.3 / n_features)
    coordinates = np.linalg.cholesky(kernel + 1e-9 * np.eye(n_cells))
    regression = LogisticRegression(C=3.0, class_weight="balanced", max_iter=3000)
    expected = regression.fit(coordinates, cells.y).predict_proba(coordinates)
    model = kernel_logistic(n_cells, n_features, 0).fit(cells.X, cells.y)
    assert_allclose(model.predict_proba(cells.X), expected, atol=5e-3)


@pytest.fixture(scope="module")
def default(cells):
    return fit_clone(DEFAULT, cells, n_steps=20)


def test_the_default_is_the_mean_of_two_learners(cells, default):
    network, logistic = default.members_
    means = (network.predict_proba(cells.X) + logistic.predict_proba(cells.X)) / 2
    assert_allclose(default.predict_proba(cells.X), means)


def test_the_default_gives_steps_and_families_on(cells, default):
    network, _ = default.members_
    assert network.n_steps == 20
    assert network.families_.keys() == set(cells.families)


def test_the_default_warns_once_of_missing_features(cells):
    X = cells.X.copy()
    X[:, 3] = np.nan
    with pytest.warns(UserWarning, match="x3") as warned:
        model = fit_clone(DEFAULT, replace(cells, X=X))
    assert len(warned) == 1
    assert_array_equal(model.predict_proba(cells.X), model.predict_proba(X))


def test_components_are_those_of_scikit_learn(rng, monkeypatch):
    monkeypatch.setattr(sparse_pca_forest, "SPARSE_PCA_PENALTY", 0.2)
    X = scale(rng.normal(size=(300, 8)).cumsum(axis=1))
    peer = SparsePCA(3, alpha=0.2 * np.sqrt(300), tol=1e-8, max_iter=2000, random_state=0)
    peer_scores = scale(peer.fit_transform(X))
    scores = X @ sparse_components(X, 3, 0)
    correlations = np.abs(peer_scores.T @ scores / 300)
    assert_allclose(np.sort(correlations.max(0)), 1, atol=1e-3)
    assert (peer.components_ == 0).any()


@pytest.mark.parametrize("n_components", [4, None])
def test_components_that_add_too_little_are_omitted(rng, n_components):
    """Less than a hundredth of the variance."""
    X = rng.normal(size=(400, 4)) * [10, 5, 0.5, 0.1]
    X -= X.mean(0)
    assert sparse_components(X, n_components, 0).shape == (4, 2)


@pytest.mark.parametrize("seed", [1, 2])
def test_components_that_are_kept_explain_what_can_be_explained(seed):
    """Of more components than the features have dimensions."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, 3)) * [3, 2, 1] @ rng.normal(size=(3, 12))
    X += rng.normal(0, 0.3, X.shape)
    X -= X.mean(0)
    scores = X @ sparse_components(X, 7, 0)
    residuals = X - scores @ np.linalg.lstsq(scores, X)[0]
    assert scores.shape[1] == 3
    assert np.square(residuals).sum() < 0.01 * np.square(X).sum()


def test_constant_features_have_no_component():
    assert sparse_components(np.zeros((400, 4)), 2, 0).shape == (4, 0)


@pytest.fixture(scope="module")
def forest(cells):
    return fit_clone(FOREST, cells)


def test_components_are_z_scored(cells, forest):
    scores = forest.transform(cells.X)
    assert_allclose(scores.mean(0), 0, atol=1e-9)
    assert_allclose(scores.std(0), 1, atol=1e-9)


def test_each_component_is_of_one_family(cells, forest):
    scores = forest.transform(cells.X)
    n_families = np.zeros(scores.shape[1])
    for columns in family_columns(cells.families).values():
        changed = cells.X.copy()
        changed[:, columns] += 1
        n_families += (forest.transform(changed) != scores).any(0)
    assert_array_equal(n_families, 1)


def test_trees_see_components_and_missing_fractions(cells, forest):
    parts = [forest.transform(cells.X)]
    for columns in family_columns(cells.families).values():
        missing = np.isnan(cells.X[:, columns])
        parts.append(missing.mean(1, keepdims=True))
    expected = forest.forest_.predict_proba(np.hstack(parts))
    assert_allclose(forest.predict_proba(cells.X), expected)


def test_trees_are_balanced(forest):
    assert forest.forest_.class_weight == "balanced_subsample"


def test_normal_scores_follow_ranks(rng):
    x = rng.lognormal(size=(90, 1))
    quantiles = (rankdata(x, axis=0) - 1) / 89
    expected = scale(norm.ppf(quantiles).clip(-2.5, 2.5))
    scaling = feature_scaling(len(x)).fit(x)
    assert_allclose(scaling.transform(x), expected, atol=1e-6)


def test_values_beyond_the_training_cells_are_clipped(rng):
    x = rng.lognormal(size=(90, 1))
    scaling = feature_scaling(len(x)).fit(x)
    scaled = scaling.transform(x)
    beyond = scaling.transform([[1e9], [-1e9], [np.nan]])
    assert_allclose(beyond[:, 0], [scaled.max(), scaled.min(), np.nan])
