"""What names a fit: everything that decides its result, and nothing else."""

import dataclasses

import numpy as np
from made_up import changed
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sbnn import SparseBottleneckRegressor, paper_folds
from sbnn.evaluation.identity import configured, described, fit_key, version_of


@dataclasses.dataclass(frozen=True)
class Settings:
    steps: int = 3
    rates: tuple = (0.1, 0.2)


class Model(BaseEstimator):
    version = 1

    def __init__(self, alpha=1.0, settings=None, verbose=0, random_state=None):
        self.alpha, self.settings, self.verbose, self.random_state = alpha, settings, verbose, random_state

    def decisive_params(self):
        return self.get_params() | {"settings": self.settings or Settings()}

    def algorithm_version(self, n_cells):
        return self.version


def key(data, model, fold=0, scaling="fold", **options):
    about = [data.name, data.sha256, list(data.X.shape)]
    return fit_key(about, model, paper_folds(data.n_cells, 4)[fold], scaling, **options)


def test_all_that_decides_a_result_is_in_its_key(data, monkeypatch):
    usual = key(data, Model())
    assert usual == key(data, Model(verbose=3)) == key(data, Model(settings=Settings()))
    X = data.X.copy()
    X[0, 0] += 1
    others = [
        key(data, Model(alpha=2.0)),
        key(data, Model(random_state=1)),
        key(data, Model(settings=Settings(steps=4))),
        key(data, Model(settings=Settings(rates=(0.1, 0.3)))),
        key(data, Model(), fold=1),
        key(data, Model(), scaling="all"),
        key(changed(data, X=X), Model()),
        key(changed(data, name="other"), Model()),
        key(data, Ridge()),
    ]
    monkeypatch.setattr(Model, "version", 2)
    others.append(key(data, Model()))
    assert len({usual, *others}) == 1 + len(others)
    assert (version_of(Ridge(), 5), version_of(Model(), 5)) == (1, 2)


def test_training_and_test_cells_have_their_places():
    train, test = paper_folds(120, 2)[0]
    folds = [(train, test), (test, train), (train, test[1:]), (train[1:], test), (np.append(train, test[0]), test[1:])]
    assert len({fit_key(["a", "b", [9, 9]], Ridge(), fold, "fold") for fold in folds}) == len(folds)


def test_the_file_of_a_class_does_not_matter(data, monkeypatch):
    model = SparseBottleneckRegressor(random_state=0)
    now = key(data, model)
    assert described(model)["class"] == "sbnn.SparseBottleneckRegressor"
    monkeypatch.setattr(SparseBottleneckRegressor, "__module__", "sbnn.some.other.file")
    assert key(data, model) == now


def test_older_descriptions_are_understood(data, monkeypatch):
    known = described(SparseBottleneckRegressor(random_state=0))
    old = {"class": "sbnn.estimators.SparseBottleneckRegressor", "params": dict(known["params"])}
    del old["params"]["n_threads"]
    assert described(SparseBottleneckRegressor(random_state=0), old) == old
    assert described(SparseBottleneckRegressor(random_state=0, n_threads=2), old) != old
    assert described(Ridge(), old)["class"] == "sklearn.Ridge", "another class is no older name of this one"
    settings = described(Model())
    del settings["params"]["settings"]["rates"]
    assert described(Model(), settings) == settings, "a setting that was added since has its default"
    assert described(Model(settings=Settings(rates=(9.0,))), settings) != settings


def test_a_seed_is_given_to_estimators_without_one():
    assert configured(Model(), {"alpha": 3.0}, 7).get_params()["random_state"] == 7
    assert configured(Model(random_state=1), {}, 7).random_state == 1
    steps = make_pipeline(StandardScaler(), RandomForestRegressor())
    assert configured(steps, {}, 7)[-1].random_state == 7, "a step is seeded too"


def test_numbers_are_named_by_their_value():
    assert all(described(Model(alpha=a)) == described(Model(alpha=2.5)) for a in (np.float64(2.5), np.array(2.5)))
