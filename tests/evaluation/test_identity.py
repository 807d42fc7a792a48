"""What names a fit: everything that decides its result, and nothing else."""

import dataclasses

import numpy as np
import pytest
from made_up import changed
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
    paper_folds,
)
from sbnn.evaluation.identity import configured, described, fit_key, version_of
from sbnn.models.gene_number import WithNumberChosen


@dataclasses.dataclass(frozen=True)
class Settings:
    steps: int = 3
    rates: tuple = (0.1, 0.2)


class Model(BaseEstimator):
    version = 1

    def __init__(self, alpha=1.0, settings=None, verbose=0, random_state=None):
        self.alpha = alpha
        self.settings = settings
        self.verbose = verbose
        self.random_state = random_state

    def decisive_params(self):
        return self.get_params() | {"settings": self.settings or Settings()}

    def algorithm_version(self, n_cells):
        return self.version if n_cells > 50 else 1


FOLD = paper_folds(120, 4)[0]


def key(data, model, fold=FOLD, scaling="fold"):
    return fit_key([data.name, data.sha256, list(data.X.shape)], model, fold, scaling)


def test_all_that_decides_a_result_is_in_its_key(data, monkeypatch):
    usual = key(data, Model())
    assert usual == key(data, Model(verbose=3)) == key(data, Model(settings=Settings()))
    assert usual == key(data, Model(alpha=np.float64(1))) == key(data, Model(alpha=np.array(1.0)))
    X = data.X.copy()
    X[0, 0] += 1
    settings = Settings(steps=4), Settings(rates=(0.1, 0.3))
    models = [
        Model(alpha=2.0),
        Model(random_state=1),
        Ridge(),
        *(Model(settings=its) for its in settings),
    ]
    others = [*(key(data, model) for model in models), key(data, Model(), scaling="all")]
    others += [key(changed(data, **change), Model()) for change in ({"X": X}, {"name": "other"})]
    train, test = FOLD
    moved = np.append(train, test[0]), test[1:]
    folds = [(test, train), (train, test[1:]), (train[1:], test), moved, paper_folds(120, 4)[1]]
    others += [key(data, Model(), fold) for fold in folds]
    monkeypatch.setattr(Model, "version", 2)
    others.append(key(data, Model()))
    assert len({usual, *others}) == 1 + len(others)
    assert (version_of(Ridge(), 90), version_of(Model(), 90)) == (1, 2)
    monkeypatch.setattr(Model, "__module__", "test_identity.of.another.file")
    assert key(data, Model()) == others[-1]
    assert described(SparseBottleneckRegressor())["class"] == "sbnn.SparseBottleneckRegressor"


def test_older_descriptions_are_understood():
    known = described(SparseBottleneckRegressor(random_state=0))
    old = {"class": "sbnn.estimators.SparseBottleneckRegressor", "params": dict(known["params"])}
    del old["params"]["n_threads"]
    assert described(SparseBottleneckRegressor(random_state=0), old) == old
    assert described(SparseBottleneckRegressor(random_state=0, n_threads=2), old) != old
    others = [described(other, old)["class"] for other in (Ridge(), LeaveOneOutRidge())]
    assert others == ["sklearn.Ridge", "sbnn.LeaveOneOutRidge"], (
        "another class is no older name of this one"
    )
    settings = described(Model())
    del settings["params"]["settings"]["rates"]
    assert described(Model(), settings) == settings, (
        "a setting that was added since has its default"
    )
    assert described(Model(settings=Settings(rates=(9.0,))), settings) != settings


# as records describe the networks that were made when one class had both protocols
FORMER = {
    "n_components": 2,
    "n_genes": 25,
    "protocol": "paper",
    "group_lasso": 0.1,
    "pretraining": True,
    "reconstruct": False,
    "standardize": True,
    "hidden_layers": None,
    "epochs": [50, 50, 50, 100],
    "learning_rate": 1e-4,
    "batch_size": 32,
    "weight_decay": 1e-10,
    "n_clusters": 20,
    "distillation": None,
    "n_threads": 1,
    "random_state": 0,
    "device": "auto",
}


@pytest.mark.parametrize(
    "name", ["sbnn.SparseBottleneckRegressor", "sbnn.old.SparseBottleneckRegressor"]
)
def test_records_of_the_former_class_are_recognised(name):
    published = {"class": name, "params": FORMER}
    assert described(SparseBottleneckRegressor(random_state=0), published) == published
    settings = described(DistilledBottleneckRegressor())["params"]["distillation"]
    changed = {"protocol": "distilled", "distillation": settings}
    distilled = {"class": name, "params": FORMER | changed}
    assert described(DistilledBottleneckRegressor(random_state=0), distilled) == distilled
    for other in (
        SparseBottleneckRegressor(random_state=0),
        DistilledBottleneckRegressor(random_state=1),
        DistilledBottleneckRegressor(random_state=0, distillation=DistilledSettings(n_trees=3)),
    ):
        assert described(other, distilled) != distilled
    assert described(DistilledBottleneckRegressor(random_state=0), published) != published
    # a grid varies a parameter of the described estimator
    of_grid = {"class": name, "params": FORMER | {"group_lasso": 0.5}}
    found = described(SparseBottleneckRegressor(random_state=0, group_lasso=0.5), published)
    assert found == of_grid


def test_a_wrapper_is_described_as_what_it_wraps():
    inner = DistilledBottleneckRegressor(random_state=0)
    wrapped = WithNumberChosen(inner, 10)
    assert described(wrapped) == described(clone(inner).set_params(n_genes=10))
    assert version_of(wrapped, 100) == version_of(inner, 100)
    assert described(WithNumberChosen(inner))["params"]["n_genes"] == "auto"


def test_a_seed_is_given_to_estimators_without_one():
    assert configured(Model(), {"alpha": 3.0}, 7).get_params()["random_state"] == 7
    assert configured(Model(random_state=1), {}, 7).random_state == 1
    steps = make_pipeline(StandardScaler(), RandomForestRegressor())
    assert configured(steps, {}, 7)[-1].random_state == 7, "a step is seeded too"
    forests = [described(make_pipeline(RandomForestRegressor(n_jobs=n_jobs))) for n_jobs in (1, 2)]
    assert forests[0] == forests[1]
    older = described(steps, described(steps) | {"params": {}})
    assert "randomforestregressor__max_depth" in older["params"], "defaults of steps are not known"
