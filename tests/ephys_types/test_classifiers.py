"""What all classifiers share, and kernel logistic regression, the default and sparse PCA."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from scipy.stats import norm
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
from sbnn.ephys_types.classifier import estimated_shares
from sbnn.ephys_types.kernel_logistic import KernelLogistic
from sbnn.ephys_types.sparse_pca_forest import sparse_components

FOREST = SparsePCAForest(n_estimators=20, random_state=0)
NETWORKS = {
    "bilstm": AttentionBiLSTMClassifier(hidden=8, max_epochs=3, random_state=0),
    "families": FamilyAttentionClassifier(n_steps=20, n_members=2, random_state=0),
}


@parametrize_with_checks(
    [KernelLogistic(random_state=0), FOREST, ZeroShotClassifier(KernelLogistic(), "own")]
)
def test_scikit_learn_api(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [EphysTypeClassifier(n_steps=5, power=1, random_state=0), *NETWORKS.values()]
)
def test_scikit_learn_api_of_networks(estimator, check):
    check(estimator)


def test_a_lost_feature_is_warned_of_once(rng):
    X = rng.normal(size=(40, 3))
    X[:, 1] = np.nan
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        EphysTypeClassifier(n_steps=2).fit(X, np.arange(40) % 2)
    [lost] = [one for one in said if "without a value" in str(one.message)]
    assert "x1" in str(lost.message)
    assert lost.filename == __file__


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (AttentionBiLSTMClassifier, "loss"),
        (AttentionBiLSTMClassifier, "smote"),
        (AttentionBiLSTMClassifier, "max_epochs"),
        (TransferAttentionClassifier, "way"),
        (ZeroShotClassifier, "alignment"),
        (ZeroShotClassifier, "keep_missing"),
        (SparsePCAForest, "published"),
        (EphysTypeClassifier, "n_steps"),
        (EphysTypeClassifier, "members"),
    ],
)
def test_settings_that_do_not_exist_are_named(model, name, cells):
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        model(**{name: "none"}).fit(cells.X, cells.y)


@pytest.mark.filterwarnings("ignore:X. no values for")
def test_cells_that_cannot_be_used_are_named(cells):
    table = pd.DataFrame(cells.X).rename("c{}".format)
    default = EphysTypeClassifier()
    for model, arguments, message in (
        (FOREST, (cells.X, np.full(200, "SST")), "y: .* one class"),
        (FOREST, (table, pd.Series(cells.y, table.index[::-1])), "y: .* only the order"),
        (FOREST, (np.full((4, 2), np.nan), list("aabb")), "X has no value"),
        (default, (cells.X, cells.y, None, [1, 2]), "groups: "),
        (default, (table, cells.y, None, pd.Series(0, table.index[::-1])), "groups: .* order"),
        (EphysTypeClassifier(members=["forest"]), (cells.X, cells.y), "members"),
        (EphysTypeClassifier(members=[]), (cells.X, cells.y), "members"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(*arguments)
    alone = EphysTypeClassifier(members=["kernel"], power=1.0).fit(cells.X, cells.y)
    with pytest.raises(ValueError, match="members"):
        alone.attention_weights(cells.X)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, cells):
    return clone(NETWORKS[request.param]).fit(cells.X, cells.y, cells.families)


def test_attention_is_that_of_measured_families(cells, network):
    weights = network.attention_weights(cells.X)
    assert_allclose(weights.sum(1), 1, atol=1e-6)
    for columns, of_family in zip(family_columns(cells.families).values(), weights.T, strict=True):
        assert_array_equal(of_family > 0, np.isfinite(cells.X[:, columns]).any(axis=1))
    p = network.predict_proba(cells.X)
    assert_allclose(network.predict_proba(cells.X[:1]), p[:1], atol=1e-6)


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
    X = cells.X.copy()
    passive = cells.families == "passive"
    X[:, passive] = np.nan
    with pytest.warns(UserWarning, match="x2"):
        model = clone(network).fit(X, cells.y, cells.families)
    weights = model.attention_weights(cells.X)
    lost = np.array(list(model.families_)) == "passive"
    assert not weights[:, lost].any()
    assert weights[:, ~lost].any(axis=0).all()
    assert_array_equal(model.predict_proba(cells.X), model.predict_proba(X))


def filled(X):
    """Normal scores of cells, with the median where missing."""
    x = FeatureScaling().fit_transform(X)
    return np.where(np.isfinite(x), x, np.nanmedian(x, axis=0))


def test_kernel_is_balanced_logistic_regression_in_the_space_of_the_kernel(cells):
    x = filled(cells.X)
    inside = Nystroem(gamma=0.3 / x.shape[1], n_components=len(x), random_state=0).fit_transform(x)
    wanted = LogisticRegression(C=3.0, class_weight="balanced", max_iter=3000).fit(inside, cells.y)
    found = KernelLogistic().fit(cells.X, cells.y).predict_proba(cells.X)
    assert_allclose(found, wanted.predict_proba(inside), atol=2e-3)


def test_landmarks_are_some_of_the_cells(cells):
    model = KernelLogistic(n_landmarks=40, random_state=0).fit(cells.X, cells.y)
    x, marks = model._scaled(cells.X), model._landmarks
    assert len(marks) == 40
    assert (x[:, None] == marks).all(axis=2).any(axis=0).all()
    gamma = 0.3 / x.shape[1]
    kernel = rbf_kernel(x, marks, gamma=gamma)
    expected = kernel @ np.linalg.pinv(rbf_kernel(marks, gamma=gamma)) @ kernel.T
    features = model._kernel(x) @ model._basis
    assert_allclose(features @ features.T, expected, atol=1e-4)


def test_the_default_is_the_geometric_mean_of_its_members(cells):
    seed = np.random.RandomState(3).randint(2**31 - 1)  # noqa: NPY002
    linear = LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000)
    network = FamilyAttentionClassifier(n_steps=20, random_state=seed)
    network.fit(cells.X, cells.y, cells.families)
    members = {
        "trees": lightgbm(seed).fit(cells.X, cells.y).predict_proba(cells.X),
        "kernel": KernelLogistic().fit(cells.X, cells.y).predict_proba(cells.X),
        "attention": network.predict_proba(cells.X),
        "logistic": linear.fit(filled(cells.X), cells.y).predict_proba(filled(cells.X)),
    }
    model = EphysTypeClassifier(n_steps=20, members=list(members), power=0.5, random_state=3)
    model.fit(cells.X, cells.y, cells.families)
    logs = np.mean([np.log(np.maximum(p, 1e-6)) for p in members.values()], axis=0)
    p = model.predict_proba(cells.X)
    assert_allclose(p, softmax(0.5 * logs, axis=1), atol=1e-5)
    assert_array_equal(model.attention_weights(cells.X), network.attention_weights(cells.X))
    assert model.held_out_probabilities_ is None
    types = model.predict(cells.X)
    assert_array_equal(types, model.classes_[p.argmax(1)])
    limit = np.sort(p.max(axis=1))[50]
    left = (p.max(axis=1) < limit) | model.far(cells.X)
    found = model.predict(cells.X, abstain=limit)
    assert_array_equal(found, np.where(left, "unknown", types))
    with pytest.warns(UserWarning, match="200 of 200 cells far"):
        assert (model.predict(cells.X * 50, abstain=0) == "unknown").all()


def test_the_mix_is_estimated_by_expectation_maximisation(rng):
    """Shares of two types in a table, and the probabilities that follow by Bayes' rule."""
    y = (rng.random(1000) < 0.1).astype(int)
    X = rng.normal(size=(1000, 1)) + 2 * y[:, None]
    exact = norm.pdf(X, [0, 2])
    exact /= exact.sum(axis=1, keepdims=True)
    shares = estimated_shares(exact, 0)
    assert_allclose(shares, [0.9, 0.1], atol=0.03)
    for step in (-0.01, 0.01):
        assert np.log(exact @ shares).sum() > np.log(exact @ (shares + [step, -step])).sum()
    model = EphysTypeClassifier(members=["logistic"], power=1, random_state=0).fit(X, y)
    new = X[:530]
    p = model.predict_proba(new)
    kept = estimated_shares(p)  # a tenth of the cells is added to each type
    assert_allclose(kept, ((p * kept / (p @ kept)[:, None]).sum(0) + 53) / (530 + 106))
    found = model.predict_proba(new, mix="estimated")
    assert_allclose(found, p * kept / (p @ kept)[:, None])
    assert_array_equal(model.predict(new, mix="estimated"), model.classes_[found.argmax(axis=1)])
    with pytest.raises(ValueError, match="mix"):
        model.predict_proba(new, mix="equal")


def test_components_are_those_of_scikit_learn_with_the_variance_that_each_adds(rng, monkeypatch):
    monkeypatch.setattr(sparse_pca_forest, "ALPHA", 0.2)
    X = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 8)) + 0.3 * rng.normal(size=(300, 8))
    X = (X - X.mean(0)) / X.std(0)
    loadings, projection, explained = sparse_components(X, 3, 0)
    peer = SparsePCA(3, alpha=0.2 * np.sqrt(300), tol=1e-8, max_iter=2000, random_state=0).fit(X)
    agreement = np.abs(np.corrcoef(peer.transform(X).T, (X @ projection).T)[:3, 3:])
    assert_allclose(np.sort(agreement.max(0)), 1, atol=1e-3)
    assert (loadings == 0).any()
    scores = X @ np.linalg.solve(loadings @ loadings.T + 0.01 * np.eye(3), loadings).T
    assert_allclose(X @ projection, scores / scores.std(0))
    left = np.diag(np.linalg.qr(scores, mode="r"))  # once the components before are explained
    assert_allclose(explained, left**2 / np.square(X).sum())


def test_components_that_add_less_than_a_hundredth_are_left_out(rng):
    X = rng.normal(size=(400, 4)) * [10, 5, 0.5, 0.1]
    X -= X.mean(0)
    for n_components in (4, None):
        assert len(sparse_components(X, n_components, 0)[2]) == 2
    assert [part.shape for part in sparse_components(0 * X, 2, 0)] == [(0, 4), (4, 0), (0,)]


@pytest.mark.parametrize("published", [False, True])
def test_components_and_trees_of_each_family(published, cells):
    model = clone(FOREST).set_params(published=published).fit(cells.X, cells.y, cells.families)
    scores, names = model.transform(cells.X), model.get_feature_names_out()
    assert_allclose([scores.mean(0), scores.std(0) - 1], 0, atol=1e-9)
    owner = np.array([name.rpartition(" sPC")[0] for name in names])
    lacking = []
    for family, columns in family_columns(cells.families).items():
        loadings = model.loadings_[family]
        assert_allclose(np.linalg.norm(loadings, axis=1), 1, atol=1e-6)
        assert loadings.shape == ((owner == family).sum(), len(columns))
        changed = cells.X.copy()
        changed[:, columns] += 1
        moved = (model.transform(changed) != scores).any(0)
        assert not moved[owner != family].any()
        lacking.append(np.isnan(cells.X[:, columns]).mean(1))
    assert names[1] == f"{owner[1]} sPC2"
    inputs = [scores, np.transpose(lacking)]
    if not published:
        inputs.append(filled(cells.X))
    p = model.forest_.predict_proba(np.hstack(inputs))
    assert_allclose(model.predict_proba(cells.X), p)


def test_a_map_is_of_components_learned_without_types(monkeypatch):
    data = simulate_ephys_types(60, random_state=0)
    data.obs["other"] = "x"
    monkeypatch.setattr(sparse_pca_forest, "embed", lambda components, seed: components[:, -2:])
    record = sparse_pca_forest.map_cells(data, seed=3)
    arrays = as_typed(data)
    model = SparsePCAForest(n_estimators=1, random_state=3)
    model.fit(arrays.X, arrays.y[::-1], arrays.families)
    assert_allclose(record.components, model.transform(arrays.X), rtol=1e-5, atol=1e-6)
    assert_array_equal(record.tsne, record.components[:, -2:])
    assert record.component_names == list(model.get_feature_names_out())
    assert len(record.explained) == record.components.shape[1]
    assert "other" not in record.labels
    assert_array_equal(record.labels["type"], arrays.y)
