import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from sbnn import simulate_ephys_types
from sbnn.ephys_types import baselines

NAMES = ["majority", "logistic", "forest", "lightgbm"]


@pytest.fixture(scope="module")
def cells():
    return simulate_ephys_types(300, random_state=0)


def made(name, seed=0):
    return baselines.majority() if name == "majority" else getattr(baselines, name)(random_state=seed)


@pytest.mark.parametrize("name", NAMES)
def test_they_take_missing_values_and_learn(name, cells):
    assert np.isnan(cells.X).any()
    X, y = pd.DataFrame(cells.X, columns=cells.feature_names), cells.y
    model = made(name).fit(X[:200], y[:200])
    p = model.predict_proba(X[200:])
    np.testing.assert_allclose(p.sum(1), 1)
    assert list(model.classes_) == sorted(set(y))
    f1 = f1_score(y[200:], model.predict(X[200:]), average="macro")
    assert f1 < 0.25 if name == "majority" else f1 > 0.7
    again = made(name).fit(X[:200], y[:200]).predict_proba(X[200:])
    np.testing.assert_array_equal(again, p)


@pytest.mark.parametrize("name", ["logistic", "lightgbm"])
def test_classes_count_alike(name):
    """Nothing to learn, one class in ten: balanced, both are found about as likely."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(600, 2)), (np.arange(600) % 10 == 0).astype(int)
    assert made(name).fit(X, y).predict_proba(rng.normal(size=(300, 2)))[:, 1].mean() > 0.16


def test_the_forest_is_balanced():
    assert made("forest")[-1].class_weight == "balanced_subsample"  # of full-grown trees, it shows in close calls only
