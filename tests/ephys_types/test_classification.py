"""Classifiers are scored on cells of unseen donors; results are kept, resumed and never mixed."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from sklearn.tree import DecisionTreeClassifier

from sbnn import typed_cells
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed
from sbnn.ephys_types import EphysTypeClassifier
from sbnn.ephys_types.base import FeatureScaling
from sbnn.ephys_types.classification import (
    class_probabilities,
    cross_validate_classifier,
    extra_of,
    label_scores,
    scores,
)
from sbnn.evaluation import folds as donors
from sbnn.evaluation.folds import repeated_donor_folds


@pytest.fixture(scope="module")
def cells():
    return as_typed(simulate_ephys_types(200, random_state=1))


@pytest.fixture(scope="module")
def folds(cells):
    return repeated_donor_folds(cells, 3, (0, 1))


class Watching(ClassifierMixin, BaseEstimator):
    """A strict tree that attends to the first family of cells of the first class."""

    def __init__(self, random_state=None, depth=3, n_jobs=1):
        self.random_state, self.depth, self.n_jobs = random_state, depth, n_jobs

    def fit(self, X, y, families=None, groups=None):
        assert len(families) == X.shape[1] and len(groups) == len(X) == len(y)
        self.tree_ = DecisionTreeClassifier(
            max_depth=self.depth, random_state=self.random_state
        ).fit(X, y)
        self.classes_ = self.tree_.classes_
        return self

    def predict_proba(self, X):
        return self.tree_.predict_proba(X)

    def predict(self, X):
        # not the most probable one
        return self.classes_[::-1][self.predict_proba(X).argmax(axis=1)]


def donor_folds(data, n_folds=5, seed=0, **options):
    return repeated_donor_folds(data, n_folds, (seed,), **options)[seed]


def small(types, donors):
    n = len(types)
    labels = pd.DataFrame({"type": types, "donor": donors}, index=[f"c{i}" for i in range(n)])
    return typed_cells(pd.DataFrame(np.arange(2.0 * n).reshape(n, 2), labels.index), labels)


def replaced(data, **changes):
    table = pd.DataFrame(data.X, data.cell_names, data.feature_names)
    return typed_cells(**{"X": table, "families": data.families, "labels": data.labels} | changes)


def test_folds_keep_donors_together_and_every_class_in_every_fold(cells):
    folds = donor_folds(cells, 5, 3)
    donor = cells.labels["donor"].to_numpy()
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(cells.n_cells))
    for train, test in folds:
        assert not set(donor[train]) & set(donor[test])
        assert set(cells.y[train]) == set(cells.y[test]) == set(cells.y)
        assert len(train) + len(test) == cells.n_cells
    same = donor_folds(cells, 5, 3)
    other = donor_folds(cells, 5, 4)
    assert_array_equal(same[0][1], folds[0][1])
    assert any(set(one[1]) != set(two[1]) for one, two in zip(other, folds, strict=True))
    assert list(repeated_donor_folds(cells)) == [0, 1, 2]


def test_cells_that_cannot_be_folded_are_refused_with_the_reason(cells):
    for types, donor, said in (
        (["a", "b"] * 6, ["one"] * 12, "got 1 in 'donor'"),
        (["a"] * 10 + ["b"] * 3, range(13), "n_folds: .* 3 cells of b, 3 donors of b"),
        (["a"] * 8 + ["b"] * 8, [*range(8), *[1, 2, 3, 1] * 2], "n_folds: .*: 3 donors of b"),
        (["a"] * 8, range(8), "got 1 in 'type'"),
    ):
        with pytest.raises(ValueError, match=said):
            donor_folds(small(types, donor), 4)
    with pytest.warns(UserWarning, match="without donors in the labels"):
        assert len(donor_folds(replaced(cells, labels=cells.labels.drop(columns="donor")), 5)) == 5
    with pytest.raises(ValueError, match="target: .*'type', 'donor'"):
        donor_folds(cells, target="subclass")


def test_a_class_that_is_absent_from_a_fold_is_warned_of(monkeypatch):
    halves = [(np.arange(4), np.arange(4, 8)), (np.arange(4, 8), np.arange(4))]
    monkeypatch.setattr(donors.StratifiedGroupKFold, "split", lambda *_: iter(halves))
    data = small(["a", "a", "b", "c", "b", "b", "c", "c"], range(8))
    with pytest.warns(UserWarning) as warned:
        assert len(donor_folds(data, 2)) == 2
    assert [str(w.message) for w in warned] == [
        f"custom: fold {i} has no training or test cells of a" for i in (0, 1)
    ]


def test_scores_are_those_of_scikit_learn(rng):
    classes = np.array(["a", "b", "c"])
    true, predicted = rng.choice(classes, 60), rng.choice(classes, 60)
    ours = scores(true, predicted, rng.dirichlet(np.ones(3), 60), classes)
    assert ours["accuracy"] == approx(accuracy_score(true, predicted))
    assert ours["balanced_accuracy"] == approx(balanced_accuracy_score(true, predicted))
    assert_allclose(ours["f1"], f1_score(true, predicted, average=None))


def test_every_value_is_of_the_test_cells_of_its_fold(cells, folds):
    record = cross_validate_classifier(Watching(), cells, folds, verbose=False)
    assert record.repeats.tolist() == [0] * 3 + [1] * 3 and len(record.folds) == 6
    flat = [fold for its in folds.values() for fold in its]
    donor = cells.labels["donor"].to_numpy(str)
    for f, (train, test) in enumerate(flat):
        model = Watching(random_state=int(record.repeats[f]))
        model.fit(cells.X[train], cells.y[train], cells.families, donor[train])
        assert_allclose(
            record.test_probabilities[0][f], model.predict_proba(cells.X[test]), rtol=1e-6
        )
        predicted = model.predict(cells.X[test])
        assert list(record.classes[record.test_predictions[0][f]]) == list(predicted)
        assert record.accuracy[f, 0] == np.mean(predicted == cells.y[test])
        assert_array_equal(record.folds[f][1], test)
    assert record.f1.shape == (6, 1, 4) and list(record.true) == list(cells.y)


def test_saved_folds_are_loaded_and_others_added(cells, folds, tmp_path, monkeypatch):
    path, fits, fit = tmp_path / "types.pickle", [], Watching.fit

    def count(self, X, y, families, groups):
        fits.append(len(X))
        return fit(self, X, y, families, groups)

    monkeypatch.setattr(Watching, "fit", count)
    more = folds | {2: donor_folds(cells, 3, 2)}
    whole = cross_validate_classifier(Watching(), cells, folds, results=path, verbose=False)
    record = cross_validate_classifier(Watching(), cells, more, results=path, verbose=False)
    stored = cross_validate_classifier(Watching(), cells, more, results=path, verbose=False)
    assert len(fits) == 9, "those of another seed are added to what is there"
    assert_array_equal(record.macro_f1[:6], whole.macro_f1)
    assert_array_equal(stored.macro_f1, record.macro_f1)
    assert stored.repeats.tolist() == record.repeats.tolist()
    assert stored.family_names == whole.family_names


def test_all_that_decides_is_in_the_key(cells, folds, tmp_path):
    path, labels = tmp_path / "types.pickle", cells.labels.assign(other=cells.y[::-1])
    data = as_typed(replaced(cells, labels=labels))

    def key(model=None, data=data, **options):
        record = cross_validate_classifier(
            model or Watching(), data, folds[0], verbose=False, **options
        )
        return record.settings["keys"][0][0]

    keys = [key(results=path), key(Watching(depth=2)), key(target="other"), key(seed=1)]
    keys.append(key(data=replaced(data, labels=labels.assign(other=cells.y)), target="other"))
    donors = [f"d{i}" for i in range(data.n_cells)]
    changes = {"labels": labels.assign(donor=donors)}, {"families": None}
    keys += [key(data=replaced(data, **change)) for change in changes]
    assert len(set(keys)) == len(keys) and key(Watching(n_jobs=2)) == keys[0]
    for bad in ({"target": "other"}, {"seed": 1}):
        with pytest.raises(ValueError, match="overwrite=True"):
            key(results=path, **bad)


def test_a_class_without_cells_counts_only_if_it_is_predicted():
    classes = np.array(list("abcd"))
    true = np.array(list("aabbbbca"))
    predicted = np.array(list("abbbbbcd"))
    found = label_scores(true, predicted, classes)
    assert_allclose(found["f1"], [0.5, 8 / 9, 1, 0])
    assert found["macro_f1"] == approx(np.mean([0.5, 8 / 9, 1, 0]))
    assert found["balanced_accuracy"] == approx(np.mean([1 / 3, 1, 1]))
    few = label_scores(true[:4], predicted[:4], classes)
    assert_allclose(few["f1"], [2 / 3, 0.8, np.nan, np.nan])
    assert few["macro_f1"] == approx(np.mean([2 / 3, 0.8]))


def test_the_log_loss_is_that_of_clipped_probabilities():
    p = np.array([[1.0, 0, 0], [0.2, 0.5, 0.3]])
    classes = np.array(list("abc"))
    found = scores(np.array(["b", "c"]), np.array(["a", "b"]), p, classes)
    assert found["log_loss"] == approx(-(np.log(0.001 / 1.002) + np.log(0.3)) / 2)


def test_probabilities_are_in_the_order_of_all_classes():
    model = SimpleNamespace(classes_=["d", "a"], predict_proba=lambda X: X)
    found = class_probabilities(model, np.array([[0.9, 0.1]]), np.array(list("abcd")))
    assert found.tolist() == [[0.1, 0, 0, 0.9]]


def test_what_fit_takes_besides_cells_and_types(cells):
    donors = cells.labels["donor"].to_numpy(str)
    extra = extra_of(Watching(), cells)
    assert_array_equal(extra["groups"], donors)
    assert_array_equal(extra["families"], cells.families)
    assert extra_of(DecisionTreeClassifier(), cells) == {}
    calibrated = EphysTypeClassifier()
    assert list(extra_of(calibrated, cells)) == ["families", "groups"]
    assert list(extra_of(calibrated.set_params(power=1.0), cells)) == ["families"]
    without = as_typed(replaced(cells, labels=cells.labels[["type"]]))
    assert_array_equal(extra_of(Watching(), without)["groups"], cells.cell_names)


def test_by_default_three_sets_of_five_folds():
    cells = small(["x", "y", "y"] * 20, [i % 20 for i in range(60)])
    tree = DecisionTreeClassifier(max_depth=1)
    record = cross_validate_classifier(tree, cells, verbose=False)
    assert record.repeats.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert record.family_names == ["all"]
    one = cross_validate_classifier(tree, cells, record.folds[:5], seed=7, verbose=False)
    assert one.repeats.tolist() == [7] * 5
    with pytest.raises(TypeError, match="^estimator: .*predict_proba"):
        cross_validate_classifier(FeatureScaling(), cells)
