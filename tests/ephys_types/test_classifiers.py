"""What all classifiers share, and kernel logistic regression, the default and sparse PCA."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.base import clone
from sklearn.decomposition import SparsePCA
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed, family_columns
from sbnn.ephys_types import (
    AttentionBiLSTMClassifier,
    EphysTypeClassifier,
    FamilyAttentionClassifier,
    SparsePCAForest,
    TransferAttentionClassifier,
    ZeroShotClassifier,
    sparse_pca_forest,
)
from sbnn.ephys_types.base import FeatureScaling, lightgbm
from sbnn.ephys_types.kernel_logistic import KernelLogistic
from sbnn.ephys_types.sparse_pca_forest import discriminating_components, sparse_components

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
    for ask in (model.predict, lambda X: model.fit(X, cells.y)):
        with pytest.raises(ValueError, match="X: .* masked"):
            ask(np.ma.masked_invalid(cells.X))
        with pytest.raises(ValueError, match="X: the value of cell 3 .* is 1e.300"):
            ask(X)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, cells):
    return clone(NETWORKS[request.param]).fit(cells.X, cells.y, cells.families)


def test_attention_is_that_of_measured_families(cells, network):
    weights = network.attention_weights(cells.X)
    assert_allclose(weights.sum(1), 1, atol=1e-6)
    assert (weights[~present(cells)] == 0).all() and (weights[present(cells)] > 0).all()
    assert_allclose(
        network.predict_proba(cells.X[:1]), network.predict_proba(cells.X)[:1], atol=1e-6
    )


def test_same_seed_same_bits(cells, network):
    """Whatever was drawn before, and on any number of threads; the global generator is kept."""
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    try:
        torch.set_num_threads(2)
        again = clone(network).fit(cells.X, cells.y, cells.families)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), before)
    assert_array_equal(again.predict_proba(cells.X), network.predict_proba(cells.X))
    other = clone(network).set_params(random_state=1).fit(cells.X, cells.y, cells.families)
    assert not np.array_equal(other.predict_proba(cells.X), network.predict_proba(cells.X))


def test_a_family_without_values_is_left_out_with_a_warning(cells, network):
    X, passive = cells.X.copy(), cells.families == "passive"
    X[:, passive] = np.nan
    with pytest.warns(UserWarning, match="feature_2") as told:
        model = clone(network).fit(X, cells.y, cells.families)
    assert told[0].filename == __file__
    weights = model.attention_weights(cells.X)
    assert weights.shape == (200, 11)
    assert not weights[:, list(model.families_).index("passive")].any()
    assert_array_equal(model.predict_proba(cells.X), model.predict_proba(X))


def test_it_is_balanced_logistic_regression_in_the_space_of_the_kernel(cells):
    x = FeatureScaling().fit_transform(cells.X)
    x = np.where(np.isfinite(x), x, np.nanmedian(x, axis=0))
    inside = Nystroem(gamma=0.3 / x.shape[1], n_components=len(x), random_state=0).fit_transform(x)
    wanted = LogisticRegression(C=3.0, class_weight="balanced", max_iter=3000).fit(inside, cells.y)
    model = KernelLogistic().fit(cells.X, cells.y)
    assert_allclose(model.predict_proba(cells.X), wanted.predict_proba(inside), atol=2e-3)


def test_landmarks_are_some_of_the_cells(cells):
    model = KernelLogistic(n_landmarks=40, random_state=0).fit(cells.X, cells.y)
    whole = model._scaled(cells.X)
    inside = (whole[:, None] == model._landmarks).all(axis=2)
    assert inside.any(axis=0).all()
    assert model._landmarks.shape == (40, whole.shape[1])
    kernel = rbf_kernel(whole, model._landmarks, gamma=0.3 / whole.shape[1])
    inverse = np.linalg.pinv(rbf_kernel(model._landmarks, gamma=0.3 / whole.shape[1]))
    features = model._kernel(whole) @ model._basis
    assert_allclose(features @ features.T, kernel @ inverse @ kernel.T, atol=1e-4)


@pytest.fixture(scope="module")
def default(cells):
    members = ["trees", "kernel", "attention", "logistic"]
    model = EphysTypeClassifier(n_steps=20, members=members, power=1.0, random_state=3)
    return model.fit(cells.X, cells.y, cells.families)


def test_the_default_is_the_geometric_mean_of_its_members(cells, default):
    logs = []
    for member in default.members_.values():
        logs.append(np.log(np.maximum(member.predict_proba(cells.X), 1e-6)))
    p = default.predict_proba(cells.X)
    assert_allclose(p, softmax(np.mean(logs, axis=0), axis=1), atol=1e-6)
    assert_array_equal(default.predict(cells.X), default.classes_[p.argmax(1)])
    assert default.held_out_probabilities_ is None


def test_members_are_classifiers_of_their_own(cells, default):
    codes = np.searchsorted(default.classes_, cells.y)
    seed = np.random.RandomState(3).randint(2**31 - 1)
    x = FeatureScaling().fit_transform(cells.X)
    x = np.where(np.isfinite(x), x, np.nanmedian(x, axis=0))
    linear = LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000).fit(x, codes)
    network = FamilyAttentionClassifier(n_steps=20, random_state=seed)
    network.fit(cells.X, codes, cells.families)
    members = {
        "trees": lightgbm(seed).fit(cells.X, codes).predict_proba(cells.X),
        "kernel": KernelLogistic().fit(cells.X, codes).predict_proba(cells.X),
        "attention": network.predict_proba(cells.X),
        "logistic": linear.predict_proba(x),
    }
    assert list(default.members_) == list(members)
    for name, expected in members.items():
        found = default.members_[name].predict_proba(cells.X)
        assert_allclose(found, expected, atol=1e-9)
    weights = default.attention_weights(cells.X)
    assert_array_equal(weights, network.attention_weights(cells.X))


def test_uncertain_and_far_cells_stay_untyped(cells, default):
    p = default.predict_proba(cells.X).max(axis=1)
    types = default.predict(cells.X)
    limit = np.sort(p)[50]
    found = default.predict(cells.X, abstain=limit)
    expected = np.where((p < limit) | default.far(cells.X), "unknown", types)
    assert_array_equal(found, expected)
    assert 45 < (found == "unknown").sum() < 60
    with pytest.warns(UserWarning, match="200 of 200 cells far"):
        beyond = default.predict(cells.X * 50, abstain=0)
    assert (beyond == "unknown").all()


def test_members_must_be_known(cells):
    for members in ([], ["forest"], "trees", 5):
        with pytest.raises(ValueError, match="members"):
            EphysTypeClassifier(members=members).fit(cells.X, cells.y)
    kernel = EphysTypeClassifier(members=["kernel"], power=1.0).fit(cells.X, cells.y)
    with pytest.raises(ValueError, match="members"):
        kernel.attention_weights(cells.X)
    with pytest.raises(ValueError, match="^groups: "):
        kernel.fit(cells.X, cells.y, groups=[1, 2])


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
    assert_allclose(np.sort(agreement.max(0)), 1, atol=1e-3)
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
    assert_allclose([scores.mean(0), scores.std(0) - 1], 0, atol=1e-9)
    assert scores.shape == (200, len(names)) and len(set(names)) == len(names)
    for family, columns in family_columns(cells.families).items():
        loadings = model.loadings_[family]
        assert loadings.shape == (len(model.explained_variance_ratio_[family]), len(columns))
        assert_allclose(np.linalg.norm(loadings, axis=1), 1, atol=1e-6)
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
    assert_array_equal(model._forest_input(cells.X)[:, start], lacking)
    again = clone(model).fit(cells.X, cells.y, cells.families)
    assert_array_equal(again.predict_proba(cells.X), model.predict_proba(cells.X))


def test_two_components_discriminate_types(rng):
    components = rng.normal(size=(120, 4))
    types = np.repeat(["a", "b", "c"], 40)
    components[:, 1] += 6 * (types == "a")
    components[:, 3] += 3 * (types == "b")
    names = ["f 1", "f 2", "g 1", "h 1"]
    # repeats the best one, and next to nothing else
    components[:, 2] = components[:, 1] + 0.01 * (types == "b")
    assert discriminating_components(components, types, names) == [1, 3]
    # the second one is of another family
    components[:, 0] = components[:, 3]
    assert discriminating_components(components, types, names) == [1, 3]


def test_a_map_is_of_components_learned_without_types(monkeypatch):
    data = simulate_ephys_types(60, random_state=0)
    data.obs["other"] = "x"
    monkeypatch.setattr(sparse_pca_forest, "embed", lambda components, seed: components[:, -2:])
    record = sparse_pca_forest.map_cells(data, seed=3)
    arrays = as_typed(data)
    model = SparsePCAForest(n_estimators=1, random_state=3).fit(
        arrays.X, arrays.y[::-1], arrays.families
    )
    assert_allclose(record.components, model.transform(arrays.X), rtol=1e-5, atol=1e-6)
    assert_array_equal(record.tsne, record.components[:, -2:])
    assert record.component_names == list(model.get_feature_names_out())
    assert len(record.explained) == record.components.shape[1]
    assert "other" not in record.labels
    assert list(record.labels["type"]) == list(arrays.y)
