"""What names a fit: everything that decides its result, and nothing else."""

import dataclasses

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sbnn.evaluation.runs import configured, described, fit_key


@dataclasses.dataclass(frozen=True)
class Settings:
    rates: tuple = (0.1, 0.2)


class Model(BaseEstimator):
    def __init__(self, alpha=1.0, settings=None, verbose=0, random_state=None):
        self.alpha = alpha
        self.settings = settings
        self.verbose = verbose
        self.random_state = random_state

    def decisive_params(self):
        return self.get_params() | {"settings": self.settings or Settings()}


def test_all_that_decides_a_result_is_in_its_key(monkeypatch):
    def key(scaling="fold", data=("x", "sha", [9, 9]), fold=([1, 2], [3]), more=None, **params):
        return fit_key(data, Model(**params), fold, scaling, **more or {})

    usual = key()
    assert usual == key(verbose=3) == key(settings=Settings())
    assert usual == key(alpha=np.float64(1)) == key(alpha=np.array(1.0))
    others = []
    for change in (
        {"scaling": "all"},
        {"data": ("y", "sha", [9, 9])},
        {"more": {"preselect": 3}},
        {"alpha": 2.0},
        {"random_state": 1},
        {"settings": Settings(rates=(0.1, 0.3))},
        {"fold": ([3], [1, 2])},
        {"fold": ([1], [2, 3])},
    ):
        others.append(key(**change))
    monkeypatch.setattr(Model, "algorithm_version", 2, raising=False)
    others.append(key())
    assert len({usual, *others}) == 1 + len(others)
    monkeypatch.setattr(Model, "__module__", "test_identity.of.another.file")
    assert key() == others[-1]


def test_a_seed_is_given_to_estimators_without_one():
    model = configured(Model(random_state=1), {"alpha": 3.0}, 7)
    assert (model.alpha, model.random_state) == (3, 1)
    steps = make_pipeline(StandardScaler(), RandomForestRegressor(n_jobs=2))
    assert configured(steps, {}, 7)[-1].random_state == 7
    params = described(steps)["params"]
    assert params["randomforestregressor"] == "RandomForestRegressor"
    assert "randomforestregressor__n_jobs" not in params
