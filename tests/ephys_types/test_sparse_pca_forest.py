import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA, SparsePCA
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn import simulate_ephys_types
from sbnn.ephys_types import SparsePCAForest
from sbnn.ephys_types.scaling import FeatureScaling
from sbnn.ephys_types.sparse_components import sparse_components

QUICK = {"n_estimators": 20, "random_state": 0}


@parametrize_with_checks([SparsePCAForest(**QUICK)])
def test_scikit_learn_api(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def cells():
    return simulate_ephys_types(200, random_state=0)


@pytest.fixture(scope="module")
def model(cells):
    return SparsePCAForest(**QUICK).fit(cells.X, cells.y, cells.families)


@pytest.fixture
def X(rng):
    """Centred: 300 cells x 8 features out of 3 factors."""
    X = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 8)) + 0.3 * rng.normal(size=(300, 8))
    return (X - X.mean(0)) / X.std(0)


def test_components_are_those_of_scikit_learn(X):
    """Found on a small matrix in place of X."""
    ours = sparse_components(X, 3, alpha=0.1, least_variance=0.0)
    peer = SparsePCA(3, alpha=0.1 * np.sqrt(300), tol=1e-8, max_iter=2000, random_state=0).fit(X)
    scores = peer.transform(X)
    agreement = np.abs(np.corrcoef(scores.T, (X @ ours.projection).T)[:3, 3:])
    np.testing.assert_allclose(np.sort(agreement.max(0)), 1, atol=1e-3)
    assert (ours.loadings == 0).any()


def test_without_a_penalty_adjusted_variance_is_that_of_pca(X):
    pca = PCA(8).fit(X)
    # Components of no penalty span the principal subspace; the adjusted variance of all counts none twice.
    ours = sparse_components(X, 3, alpha=0.0, least_variance=0.0)
    assert ours.explained.sum() == pytest.approx(pca.explained_variance_ratio_[:3].sum(), rel=0.05)


def test_variance_that_a_component_adds(X):
    """What is left of its scores once the components before it have explained what they can."""
    found = sparse_components(X, 3, alpha=0.2, least_variance=0.0)
    L = found.loadings
    scores = X @ np.linalg.solve(L @ L.T + 0.01 * np.eye(3), L).T
    for j in range(3):
        left = scores[:, j] - scores[:, :j] @ np.linalg.lstsq(scores[:, :j], scores[:, j], rcond=None)[0]
        assert found.explained[j] == pytest.approx(np.square(left).sum() / np.square(X).sum())
    assert np.square(scores).sum() / np.square(X).sum() > 1.01 * found.explained.sum()  # some would count twice


def test_a_component_that_repeats_others_is_not_kept(rng):
    """Zou's adjustment: two features that are the same make one component, though each has half of the variance."""
    x = rng.normal(size=200)
    X = np.column_stack([x, x, 0.3 * rng.normal(size=200)])
    X -= X.mean(0)
    found = sparse_components(X, 3, alpha=0.01, least_variance=0.01)
    assert len(found.explained) == 2
    assert (np.diff(found.explained) <= 0).all()


def test_components_below_the_least_variance_are_left_out(rng):
    X = rng.normal(size=(400, 4)) * [10, 5, 0.5, 0.1]
    X -= X.mean(0)
    assert len(sparse_components(X, 4, 0.0, least_variance=0.01).explained) == 2
    assert len(sparse_components(X, None, 0.0, least_variance=0.001).explained) == 3
    empty = sparse_components(np.zeros((5, 2)), 2, 0.1)
    assert empty.loadings.shape == (0, 2) and empty.projection.shape == (2, 0)


def test_penalty_does_not_depend_on_the_number_of_cells(X):
    once, twice = sparse_components(X, 3, 0.2), sparse_components(np.vstack([X, X]), 3, 0.2)
    np.testing.assert_array_equal(once.loadings == 0, twice.loadings == 0)
    np.testing.assert_allclose(np.abs(once.loadings), np.abs(twice.loadings), atol=1e-3)


def test_transform_gives_z_scores_of_each_family(model, cells):
    scores = model.transform(cells.X)
    names = model.get_feature_names_out()
    assert scores.shape == (200, len(names)) and len(set(names)) == len(names)
    np.testing.assert_allclose(scores.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(scores.std(0), 1, atol=1e-9)
    start = 0
    for family, columns in cells.families.columns.items():
        loadings = model.loadings_[family]
        assert loadings.shape == (len(model.explained_variance_ratio_[family]), len(columns))
        np.testing.assert_allclose(np.linalg.norm(loadings, axis=1), 1, atol=1e-6)
        assert names[start] == f"{family} sPC1"
        changed = cells.X.copy()
        changed[:, columns] += 1
        moved = (model.transform(changed) != scores).any(0)
        assert not moved[:start].any() and not moved[start + len(loadings) :].any()
        start += len(loadings)


def test_numbers_of_components():
    X = np.random.default_rng(0).normal(size=(120, 12))
    y = np.arange(120) % 2
    families = {"first_ap_v": range(10), "b": [10, 11]}
    fitted = {
        given: SparsePCAForest(**QUICK, n_components=dict(given) if given else None).fit(X, y, families)
        for given in ((), (("b", 1),), (("first_ap_v", 2),))
    }
    sizes = {given: [len(v) for v in model.loadings_.values()] for given, model in fitted.items()}
    assert sizes == {(): [7, 2], (("b", 1),): [7, 1], (("first_ap_v", 2),): [2, 2]}
    one = SparsePCAForest(**QUICK, n_components=1).fit(X, y, families)
    assert one.transform(X).shape == (120, 2)


def test_the_forest_is_told_what_is_missing(rng):
    """A family that is missing in one class, and is about always at its median in the other."""
    X, y = rng.normal(size=(200, 4)), np.arange(200) % 2
    X[:, 2:] = rng.choice([-1, 0, 1], size=(200, 2), p=[0.02, 0.96, 0.02])
    X[y == 1, 2:] = np.nan
    families = {"a": [0, 1], "b": [2, 3]}
    model = SparsePCAForest(**QUICK, keep_features=False).fit(X[:100], y[:100], families)
    assert model.score(X[100:], y[100:]) > 0.95


def test_classes_count_alike_if_balanced(rng):
    X = rng.normal(size=(300, 2))
    y = (np.arange(300) % 10 == 0).astype(int)
    kept = {b: SparsePCAForest(**QUICK, balanced=b).fit(X, y).predict_proba(rng.normal(size=(200, 2))) for b in (0, 1)}
    assert kept[0][:, 1].mean() < 0.2 < kept[1][:, 1].mean()


def test_variants(cells):
    make = SparsePCAForest(**QUICK, forest="random_forest", keep_features=False, scaling="standard")
    model = make.fit(cells.X, cells.y, cells.families)
    assert isinstance(model.forest_, RandomForestClassifier)
    assert model.forest_.n_features_in_ == model.transform(cells.X).shape[1] + len(cells.families)
    column = cells.families.columns[cells.families.names[0]][0]
    x = cells.X[:, column]
    z = (x - np.nanmean(x)) / np.nanstd(x)
    np.testing.assert_allclose(model.scaling_.transform(cells.X)[:, column], z)
    with_features = clone(make).set_params(keep_features=True, forest="extra_trees")
    with_features.fit(cells.X, cells.y, cells.families)
    assert isinstance(with_features.forest_, ExtraTreesClassifier)
    assert with_features.forest_.n_features_in_ == model.forest_.n_features_in_ + cells.n_features


def test_penalty_and_least_variance_count(model, cells):
    sparser = SparsePCAForest(**QUICK, alpha=0.5).fit(cells.X, cells.y, cells.families)
    fewer = SparsePCAForest(**QUICK, least_variance=0.2).fit(cells.X, cells.y, cells.families)
    zeros = [np.mean([np.mean(rows == 0) for rows in m.loadings_.values()]) for m in (model, sparser)]
    assert zeros[0] < zeros[1]
    assert fewer.transform(cells.X).shape[1] < model.transform(cells.X).shape[1]
    assert all((shares > 0.2).all() for shares in fewer.explained_variance_ratio_.values())


def test_it_learns_and_repeats(model, cells):
    assert model.score(cells.X, cells.y) > 0.9
    again = clone(model).set_params(n_jobs=2).fit(cells.X, cells.y, cells.families)
    np.testing.assert_array_equal(again.predict_proba(cells.X), model.predict_proba(cells.X))
    other = clone(model).set_params(random_state=1).fit(cells.X, cells.y, cells.families)
    assert not np.array_equal(other.predict_proba(cells.X), model.predict_proba(cells.X))


def test_new_cells_change_nothing(model, cells):
    """What is learned is learned from training cells alone."""
    shifted = np.vstack([cells.X[:10], cells.X[10:] + 1e3])
    np.testing.assert_array_equal(model.transform(shifted)[:10], model.transform(cells.X)[:10])


def test_a_feature_without_values_is_left_out_and_named(cells):
    X = pd.DataFrame(cells.X, columns=cells.feature_names)
    X[cells.feature_names[3]] = np.nan
    with pytest.warns(UserWarning, match=f"left out: {cells.feature_names[3]}"):
        model = SparsePCAForest(**QUICK).fit(X, cells.y, cells.families)
    family = cells.families.family_of[3]
    place = list(cells.families.columns[family]).index(3)
    assert not model.loadings_[family][:, place].any()
    full = X.copy()
    full[cells.feature_names[3]] = 5.0
    np.testing.assert_array_equal(model.transform(full), model.transform(X))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"forest": "pine"}, "forest must be one of"),
        ({"scaling": "no"}, "scaling must be one of"),
        ({"alpha": -1.0}, "alpha must be"),
        ({"n_components": {"a": 0}}, "n_components\\['a'\\] must be"),
        ({"n_components": {"other": 2}}, "no such family: other"),
        ({"n_estimators": 0}, "n_estimators must be"),
    ],
)
def test_parameters_are_checked(changes, message, rng):
    model = SparsePCAForest(**(QUICK | changes))
    with pytest.raises(ValueError, match=message):
        model.fit(rng.normal(size=(20, 3)), np.arange(20) % 2, {"a": [0, 1, 2]})


def test_input_is_checked(rng):
    X, y, model = rng.normal(size=(20, 3)), np.arange(20) % 2, SparsePCAForest(**QUICK)
    for bad, labels, families, message in (
        (np.where(np.arange(3) == 1, np.inf, X), y, None, "infinity"),
        (X, np.zeros(20), None, "one class"),
        (X, y, {"a": [0, 1]}, "in no family"),
        (X, y, {"a": [0, 1, 2], "b": [2]}, "two families"),
        (np.full((20, 3), np.nan), y, None, "no value in any cell"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(bad, labels, families)
    with pytest.raises(ValueError, match="3 features"):
        model.fit(X, y).predict(X[:, :2])


def test_scaling(rng):
    X = np.exp(rng.normal(size=(300, 3)))
    X[rng.random((300, 3)) < 0.1] = np.nan
    X[:, 2] = 7.0
    for how in ("normal_scores", "standard"):
        scaling = FeatureScaling(how).fit(X)
        scaled = scaling.transform(X)
        np.testing.assert_array_equal(np.isnan(scaled), np.isnan(X))
        np.testing.assert_allclose(np.nanmean(scaled, 0), 0, atol=1e-9)
        np.testing.assert_allclose(np.nanstd(scaled, 0), [1, 1, 0], atol=1e-9)
    np.testing.assert_allclose(scaled[:, :2], ((X - np.nanmean(X, 0)) / np.nanstd(X, 0).clip(1e-9))[:, :2])
    scores = FeatureScaling().fit(X)
    far = scores.transform(np.array([[1e9, 0.0, 7.0]]))
    np.testing.assert_allclose(np.abs(far[0, :2]), 2.5, rtol=0.1)
    # What counts is the order of the values: a feature and its logarithm are the same.
    np.testing.assert_allclose(FeatureScaling().fit_transform(np.log(X[:, :1])), scores.transform(X)[:, :1], atol=0.1)
