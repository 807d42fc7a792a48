"""What names a fit: everything that decides its result, and nothing else."""

import dataclasses

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    LeaveOneOutRidge,
    SparseBottleneckRegressor,
)
from sbnn.evaluation.identity import configured, described, fit_key, version_of


@dataclasses.dataclass(frozen=True)
class Settings:
    steps: int = 3
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
        {"settings": Settings(steps=4)},
        {"settings": Settings(rates=(0.1, 0.3))},
        {"fold": ([3], [1, 2])},
        {"fold": ([1, 2], [4])},
        {"fold": ([1], [2, 3])},
    ):
        others.append(key(**change))
    monkeypatch.setattr(Model, "algorithm_version", lambda self, n: n, raising=False)
    others.append(key())
    assert len({usual, *others}) == 1 + len(others)
    assert [version_of(Ridge(), 90), version_of(Model(), 90)] == [1, 90]
    monkeypatch.setattr(Model, "__module__", "test_identity.of.another.file")
    assert key() == others[-1]


def test_older_descriptions_are_understood():
    """A class had a module in its name, and a parameter that was added has its default."""
    network = SparseBottleneckRegressor(random_state=0)
    old = {"class": "sbnn.estimators.SparseBottleneckRegressor"}
    old["params"] = dict(described(network)["params"])
    del old["params"]["n_threads"]
    assert described(network, old) == old
    assert described(clone(network).set_params(n_threads=2), old) != old
    for other, name in ((Ridge(), "sklearn.Ridge"), (LeaveOneOutRidge(), "sbnn.LeaveOneOutRidge")):
        assert described(other, old)["class"] == name
    settings = described(Model())
    del settings["params"]["settings"]["rates"]
    assert described(Model(), settings) == settings
    assert described(Model(settings=Settings(rates=(9.0,))), settings) != settings


FORMER = {
    "n_components": 2,
    "n_genes": 25,
    "protocol": "paper",
    "group_lasso": 0.1,
    "pretraining": True,
    "epochs": [50, 50, 50, 100],
    "learning_rate": 1e-4,
    "batch_size": 32,
    "weight_decay": 1e-10,
    "n_clusters": 20,
    "distillation": None,
    "random_state": 0,
}


def test_records_of_the_former_class_are_recognised():
    """One class had both protocols, and the parameters of both."""
    name = "sbnn.old.SparseBottleneckRegressor"
    paper = SparseBottleneckRegressor(random_state=0)
    distilled = DistilledBottleneckRegressor(random_state=0)
    of_paper = {"class": name, "params": FORMER}
    settings = described(distilled)["params"]["distillation"]
    changes = {"protocol": "distilled", "distillation": settings}
    of_distilled = {"class": name, "params": FORMER | changes}
    assert described(paper, of_paper) == of_paper
    assert described(distilled, of_distilled) == of_distilled
    assert described(paper, of_distilled) != of_distilled
    assert described(distilled, of_paper) != of_paper
    for params in ({"random_state": 1}, {"distillation": DistilledSettings(n_trees=3)}):
        other = clone(distilled).set_params(**params)
        assert described(other, of_distilled) != of_distilled
    # a grid varies a parameter of the described estimator
    found = described(clone(paper).set_params(group_lasso=0.5), of_paper)
    assert found["params"] == of_paper["params"] | {"group_lasso": 0.5}


def test_a_seed_is_given_to_estimators_without_one():
    assert configured(Model(), {"alpha": 3.0}, 7).get_params()["alpha"] == 3
    assert configured(Model(), {}, 7).random_state == 7
    assert configured(Model(random_state=1), {}, 7).random_state == 1
    steps = make_pipeline(StandardScaler(), RandomForestRegressor(n_jobs=2))
    assert configured(steps, {}, 7)[-1].random_state == 7
    params = described(steps)["params"]
    assert params["randomforestregressor"] == "RandomForestRegressor"
    assert "randomforestregressor__n_jobs" not in params
    # defaults of steps are not known
    older = described(steps, described(steps) | {"params": {}})["params"]
    assert params.keys() - older.keys() == {"memory", "transform_input"}
