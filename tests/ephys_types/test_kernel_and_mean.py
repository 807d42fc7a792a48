"""Kernel logistic regression against scikit-learn's own pieces, and the geometric mean of the members."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn import load_dataset
from sbnn.ephys_types import EphysTypeClassifier, FamilyAttentionClassifier, KernelLogistic
from sbnn.ephys_types.scaling import FeatureScaling


@pytest.fixture(scope="module")
def cells():
    return load_dataset("simulated_ephys", verbose=False)


def test_it_is_balanced_logistic_regression_in_the_space_of_the_kernel(cells):
    x = FeatureScaling().fit_transform(cells.X)
    x = np.where(np.isfinite(x), x, np.nanmedian(x, axis=0))
    inside = Nystroem(gamma=0.3 / x.shape[1], n_components=len(x), random_state=0).fit_transform(x)
    wanted = LogisticRegression(C=3.0, class_weight="balanced", max_iter=3000).fit(inside, cells.y)
    model = KernelLogistic().fit(cells.X, cells.y)
    np.testing.assert_allclose(model.predict_proba(cells.X), wanted.predict_proba(inside), atol=2e-3)


def test_fewer_landmarks_come_close(cells):
    every, some = (KernelLogistic(n_landmarks=n, random_state=0).fit(cells.X, cells.y) for n in (1000, 150))
    assert some._landmarks.shape[0] == 150
    assert np.abs(every.predict_proba(cells.X) - some.predict_proba(cells.X)).mean() < 0.03


def test_weights_of_cells_count(cells):
    weights = np.where(cells.y == "SST", 50.0, 1.0)
    plain, weighted = (KernelLogistic().fit(cells.X, cells.y, w) for w in (None, weights))
    assert (weighted.predict(cells.X) == "SST").sum() > (plain.predict(cells.X) == "SST").sum()


def test_missing_values_are_those_of_the_training_median(cells):
    model = KernelLogistic().fit(cells.X, cells.y)
    X = cells.X.copy()
    X[:, 0] = np.nan
    filled = X.copy()
    filled[:, 0] = np.nanmedian(cells.X[:, 0])
    np.testing.assert_allclose(model.predict_proba(X), model.predict_proba(filled), atol=0.02)


def test_the_best_default_is_the_geometric_mean_of_its_members(cells):
    model = EphysTypeClassifier(n_steps=20, random_state=3).fit(cells.X, cells.y, cells.families)
    assert list(model.members_) == ["trees", "kernel", "attention"]
    said = [np.maximum(member.predict_proba(cells.X), 1e-6) for member in model.members_.values()]
    np.testing.assert_allclose(model.predict_proba(cells.X), softmax(np.mean(np.log(said), 0), 1), atol=1e-6)
    np.testing.assert_array_equal(model.predict(cells.X), model.classes_[model.predict_proba(cells.X).argmax(1)])
    seed = np.random.RandomState(3).randint(2**31 - 1)
    network = FamilyAttentionClassifier(n_steps=20, random_state=seed)
    network.fit(cells.X, np.searchsorted(model.classes_, cells.y), cells.families)
    np.testing.assert_array_equal(model.attention_weights(cells.X), network.attention_weights(cells.X))


def test_members_may_be_chosen(cells):
    one = EphysTypeClassifier(members=("kernel",)).fit(cells.X, cells.y)
    np.testing.assert_allclose(
        one.predict_proba(cells.X), KernelLogistic().fit(cells.X, cells.y).predict_proba(cells.X)
    )
    with pytest.raises(AttributeError, match="attention"):
        one.attention_weights(cells.X)


def not_done(model):
    if isinstance(model, KernelLogistic):
        return {
            "check_sample_weight_equivalence_on_dense_data": "weights count in the regression, not in the quantiles"
        }
    return {}


@parametrize_with_checks(
    [KernelLogistic(random_state=0), EphysTypeClassifier(n_steps=5, random_state=0)], expected_failed_checks=not_done
)
def test_scikit_learn_api(estimator, check):
    check(estimator)
