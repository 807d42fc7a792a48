"""What names a fit: everything that decides its result, and nothing else."""

import dataclasses

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sbnn.evaluation.runs import configured, described, fit_key


@dataclasses.dataclass(frozen=True)
class Settings:
    rates: tuple = (0.1, 0.2)


class Model(SGDRegressor):
    def decisive_params(self):
        return {name: vars(self)[name] for name in ("alpha", "random_state", "verbose")}


def test_all_that_decides_a_result_is_in_its_key(monkeypatch):
    def key(scaling="fold", data=("x", "sha", [9, 9]), fold=([1, 2], [3]), more=None, **params):
        return fit_key(data, Model(**params), fold, scaling, **more or {})

    usual = key(alpha=1.0)
    assert usual == key(alpha=1.0, verbose=3) == key(alpha=1.0, penalty="l1")
    assert usual == key(alpha=np.float64(1)) == key(alpha=np.array(1.0))
    assert key(alpha=Settings()) == key(alpha=Settings())
    others = []
    for change in (
        {"scaling": "all"},
        {"data": ("y", "sha", [9, 9])},
        {"more": {"preselect": 3}},
        {"alpha": 2.0},
        {"alpha": Settings()},
        {"alpha": Settings(rates=(0.1, 0.3))},
        {"random_state": 1},
        {"fold": ([3], [1, 2])},
        {"fold": ([1], [2, 3])},
    ):
        others.append(key(**{"alpha": 1.0} | change))
    monkeypatch.setattr(Model, "algorithm_version", 2, raising=False)
    others.append(key(alpha=1.0))
    assert len({usual, *others}) == 1 + len(others)
    monkeypatch.setattr(Model, "__module__", "test_identity.of.another.file")
    assert key(alpha=1.0) == others[-1]


def test_a_seed_is_given_to_estimators_without_one():
    model = configured(Model(random_state=1), {"alpha": 3.0}, 7)
    assert (model.alpha, model.random_state) == (3, 1)
    steps = make_pipeline(StandardScaler(), RandomForestRegressor(n_jobs=2))
    assert configured(steps, {}, 7)[-1].random_state == 7
    params = described(steps)["params"]
    assert params["randomforestregressor"] == "RandomForestRegressor"
    assert "randomforestregressor__n_jobs" not in params
