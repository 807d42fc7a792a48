"""What all classifiers share, and the simple ones: kernel logistic regression, the geometric mean, sparse PCA."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax
from sklearn.base import clone
from sklearn.decomposition import SparsePCA
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn.data.typed_cells import family_columns
from sbnn.ephys_types import (
    AttentionBiLSTMClassifier,
    EphysTypeClassifier,
    FamilyAttentionClassifier,
    SparsePCAForest,
    TransferAttentionClassifier,
    ZeroShotClassifier,
)
from sbnn.ephys_types.base import FeatureScaling
from sbnn.ephys_types.kernel_logistic import KernelLogistic
from sbnn.ephys_types.sparse_pca_forest import sparse_components

QUICK = {"n_estimators": 20, "random_state": 0}
NETWORKS = {
    "bilstm": AttentionBiLSTMClassifier(hidden=8, max_epochs=3, random_state=0),
    "families": FamilyAttentionClassifier(n_steps=20, n_members=2, random_state=0),
}


def present(cells):
    """Which families were measured in which cells."""
    families = family_columns(cells.families)
    return np.column_stack(
        [np.isfinite(cells.X[:, columns]).any(axis=1) for columns in families.values()]
    )


@parametrize_with_checks(
    [
        KernelLogistic(random_state=0),
        SparsePCAForest(**QUICK),
        ZeroShotClassifier(KernelLogistic(), "own"),
    ]
)
def test_scikit_learn_api(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        EphysTypeClassifier(n_steps=5, power=1, random_state=0),
        AttentionBiLSTMClassifier(hidden=8, max_epochs=15, random_state=0),
        FamilyAttentionClassifier(n_steps=100, n_members=2, random_state=0),
    ]
)
def test_scikit_learn_api_of_networks(estimator, check):
    check(estimator)


def test_a_lost_feature_is_warned_of_once(rng):
    X, y = rng.normal(size=(40, 3)), np.repeat(["a", "b"], 20)
    X[:, 1] = np.nan
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        EphysTypeClassifier(n_steps=2).fit(X, y)
    told = [warning for warning in said if "without a value" in str(warning.message)]
    assert len(told) == 1 and "feature_1" in str(told[0].message) and told[0].filename == __file__
    with pytest.raises(ValueError, match="X has no value"):
        KernelLogistic().fit(np.full((4, 2), np.nan), [0, 0, 1, 1])
    cells = [f"c{i}" for i in range(40)]
    with pytest.raises(ValueError, match="y: .* only the order"):
        KernelLogistic().fit(pd.DataFrame(X, cells), pd.Series(y, cells[::-1]))
    with pytest.raises(ValueError, match="groups: .* only the order"):
        EphysTypeClassifier().fit(pd.DataFrame(X, cells), y, None, pd.Series(y, cells[::-1]))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (AttentionBiLSTMClassifier, "loss"),
        (TransferAttentionClassifier, "way"),
        (ZeroShotClassifier, "alignment"),
        (AttentionBiLSTMClassifier, "smote"),
        (AttentionBiLSTMClassifier, "max_epochs"),
        (SparsePCAForest, "published"),
        (EphysTypeClassifier, "n_steps"),
        (ZeroShotClassifier, "keep_missing"),
    ],
)
def test_settings_that_do_not_exist_are_named(model, name, cells):
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        model(**{name: "none"}).fit(cells.X, cells.y)
    with pytest.raises(ValueError, match="one class"):
        model().fit(cells.X, np.full(200, "SST"))


def test_cells_without_values_and_values_beyond_arithmetic_are_named(cells):
    X, model = cells.X.copy(), SparsePCAForest(n_estimators=2)
    X[7] = np.nan
    with pytest.warns(UserWarning, match="X: no values for 1 of 200 cells: 7;"):
        model.fit(X, cells.y)
    X[3] = 1e300
    marked = np.where(np.arange(200)[:, None] % 9, cells.X, -9999.0)
    for ask in (model.predict, lambda X: model.fit(X, cells.y)):
        with pytest.warns(UserWarning, match="X: .*: -9999 in 23 cells"):
            ask(marked)
        with pytest.raises(ValueError, match="X: .* masked"):
            ask(np.ma.masked_invalid(cells.X))
        with pytest.raises(ValueError, match="X: the value of cell 3 .* is 1e.300"):
            ask(X)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, cells):
    return clone(NETWORKS[request.param]).fit(cells.X, cells.y, cells.families)


def test_attention_is_that_of_measured_families(cells, network):
    weights = network.attention_weights(cells.X)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    assert (weights[~present(cells)] == 0).all() and (weights[present(cells)] > 0).all()
    np.testing.assert_allclose(
        network.predict_proba(cells.X[:1]), network.predict_proba(cells.X)[:1], atol=1e-6
    )


def test_same_seed_same_bits(cells, network):
    """Whatever was drawn before, and however many threads there are; the caller's generator is left alone."""
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    try:
        torch.set_num_threads(2)
        again = clone(network).fit(cells.X, cells.y, cells.families)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(again.predict_proba(cells.X), network.predict_proba(cells.X))
    other = clone(network).set_params(random_state=1).fit(cells.X, cells.y, cells.families)
    assert not np.array_equal(other.predict_proba(cells.X), network.predict_proba(cells.X))


def test_a_family_without_values_is_left_out_with_a_warning(cells, network):
    X, passive = cells.X.copy(), cells.families == "passive"
    X[:, passive] = np.nan
    with pytest.warns(UserWarning, match="feature_2") as told:
        model = clone(network).fit(X, cells.y, cells.families)
    assert told[0].filename == __file__
    weights = model.attention_weights(cells.X)
    assert (
        weights.shape == (200, 11) and not weights[:, list(model.families_).index("passive")].any()
    )
    np.testing.assert_array_equal(model.predict_proba(cells.X), model.predict_proba(X))


def test_it_is_balanced_logistic_regression_in_the_space_of_the_kernel(cells):
    x = FeatureScaling().fit_transform(cells.X)
    x = np.where(np.isfinite(x), x, np.nanmedian(x, axis=0))
    inside = Nystroem(gamma=0.3 / x.shape[1], n_components=len(x), random_state=0).fit_transform(x)
    wanted = LogisticRegression(C=3.0, class_weight="balanced", max_iter=3000).fit(inside, cells.y)
    model = KernelLogistic().fit(cells.X, cells.y)
    np.testing.assert_allclose(
        model.predict_proba(cells.X), wanted.predict_proba(inside), atol=2e-3
    )


def test_the_best_default_is_the_geometric_mean_of_its_members(cells):
    model = EphysTypeClassifier(n_steps=20, power=1.0, random_state=3).fit(
        cells.X, cells.y, cells.families
    )
    assert list(model.members_) == ["trees", "kernel", "attention"]
    said = [np.maximum(member.predict_proba(cells.X), 1e-6) for member in model.members_.values()]
    np.testing.assert_allclose(
        model.predict_proba(cells.X), softmax(np.mean(np.log(said), 0), 1), atol=1e-6
    )
    np.testing.assert_array_equal(
        model.predict(cells.X), model.classes_[model.predict_proba(cells.X).argmax(1)]
    )
    seed = np.random.RandomState(3).randint(2**31 - 1)
    network = FamilyAttentionClassifier(n_steps=20, random_state=seed)
    network.fit(cells.X, np.searchsorted(model.classes_, cells.y), cells.families)
    np.testing.assert_array_equal(
        model.attention_weights(cells.X), network.attention_weights(cells.X)
    )


@pytest.fixture(scope="module")
def model(cells):
    return SparsePCAForest(**QUICK).fit(cells.X, cells.y, cells.families)


def test_components_are_those_of_scikit_learn_with_the_variance_that_each_adds(rng):
    """Found on a small matrix in place of X: 300 cells x 8 features out of 3 factors."""
    X = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 8)) + 0.3 * rng.normal(size=(300, 8))
    X = (X - X.mean(0)) / X.std(0)
    loadings, projection, _ = sparse_components(X, 3, alpha=0.1, least_variance=0.0)
    peer = SparsePCA(3, alpha=0.1 * np.sqrt(300), tol=1e-8, max_iter=2000, random_state=0).fit(X)
    agreement = np.abs(np.corrcoef(peer.transform(X).T, (X @ projection).T)[:3, 3:])
    np.testing.assert_allclose(np.sort(agreement.max(0)), 1, atol=1e-3)
    assert (loadings == 0).any()
    # What is left of the scores once the components before have explained what they can.
    L, _, explained = sparse_components(X, 3, alpha=0.2, least_variance=0.0)
    scores = X @ np.linalg.solve(L @ L.T + 0.01 * np.eye(3), L).T
    for j in range(3):
        left = (
            scores[:, j]
            - scores[:, :j] @ np.linalg.lstsq(scores[:, :j], scores[:, j], rcond=None)[0]
        )
        assert explained[j] == pytest.approx(np.square(left).sum() / np.square(X).sum())
    # some would count twice
    assert np.square(scores).sum() / np.square(X).sum() > 1.01 * explained.sum()


def test_components_below_the_least_variance_are_left_out(rng):
    X = rng.normal(size=(400, 4)) * [10, 5, 0.5, 0.1]
    X -= X.mean(0)
    assert len(sparse_components(X, 4, 0.0, least_variance=0.01)[2]) == 2
    assert len(sparse_components(X, None, 0.0, least_variance=0.001)[2]) == 3
    loadings, projection, _ = sparse_components(np.zeros((5, 2)), 2, 0.1)
    assert loadings.shape == (0, 2) and projection.shape == (2, 0)


def test_components_and_trees_of_each_family(model, cells):
    scores, start, names = model.transform(cells.X), 0, model.get_feature_names_out()
    np.testing.assert_allclose([scores.mean(0), scores.std(0) - 1], 0, atol=1e-9)
    assert scores.shape == (200, len(names)) and len(set(names)) == len(names)
    for family, columns in family_columns(cells.families).items():
        loadings = model.loadings_[family]
        assert loadings.shape == (len(model.explained_variance_ratio_[family]), len(columns))
        np.testing.assert_allclose(np.linalg.norm(loadings, axis=1), 1, atol=1e-6)
        assert names[start] == f"{family} sPC1"
        changed = cells.X.copy()
        changed[:, columns] += 1
        moved = (model.transform(changed) != scores).any(0)
        assert not moved[:start].any() and not moved[start + len(loadings) :].any()
        start += len(loadings)
    # The forest is given the components, the missing shares of 11 families, and here the features
    # too.
    published = SparsePCAForest(published=True, **QUICK).fit(cells.X, cells.y, cells.families)
    assert published.forest_.n_features_in_ == published.transform(cells.X).shape[1] + 11
    assert model.forest_.n_features_in_ == scores.shape[1] + 11 + cells.X.shape[1]
    lacking = np.isnan(cells.X[:, model.families_[cells.families[0]]]).mean(1)
    np.testing.assert_array_equal(model._forest_input(cells.X)[:, start], lacking)
    again = clone(model).fit(cells.X, cells.y, cells.families)
    np.testing.assert_array_equal(again.predict_proba(cells.X), model.predict_proba(cells.X))
