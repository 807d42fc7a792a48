"""Scores, and importance of families, are of unseen donors; results are kept and never mixed."""

from dataclasses import replace
from itertools import count
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss
from sklearn.tree import DecisionTreeClassifier

from sbnn.ephys_types import cross_validate_classifier, family_importance
from sbnn.ephys_types.classification import repeated_donor_folds, score_predictions
from sbnn.ephys_types.report import importance_table


class Watching(DecisionTreeClassifier):
    """A tree that needs families and groups, and that predicts the least probable type."""

    def fit(self, X, y, families, groups):
        assert len(families) == X.shape[1]
        assert len(groups) == len(X)
        return super().fit(X, y)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmin(axis=1)]


@pytest.fixture(scope="module")
def folds(cells):
    return repeated_donor_folds(cells, 3, (0, 1))


def relabelled(cells, **labels):
    return replace(cells, labels=cells.labels.assign(**labels))


@pytest.mark.parametrize("n_donors", [3, 4, 7, 20])
@pytest.mark.filterwarnings("ignore:simulated_ephys")
def test_default_folds_adapt_to_the_donors(n_donors, cells):
    """Each donor has one or two types."""
    types = np.unique(cells.y, return_inverse=True)[1]
    owner = (types + 4 * np.random.default_rng(n_donors).integers(9, size=200)) % n_donors
    folds = repeated_donor_folds(relabelled(cells, donor=owner))
    for of_seed in folds.values():
        n_owners = [len(set(owner[test])) for _, test in of_seed]
        assert sum(n_owners) == n_donors  # none is in two
    assert len(folds) == (3 if n_donors == 20 else 1)  # the same folds are kept once


def test_cells_that_cannot_be_folded_are_refused_with_the_reason(cells):
    with pytest.raises(ValueError, match="label for every cell"):
        repeated_donor_folds(replace(cells, labels=cells.labels.replace("SST", "unknown")))
    with pytest.warns(UserWarning, match="without donors in the labels"):
        repeated_donor_folds(replace(cells, labels=cells.labels[["type"]]), 5, (0,))


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_scores_are_those_of_scikit_learn_where_classes_are_missing(rng):
    """Class d is only predicted, class e neither true nor predicted, class f not trained on."""
    classes = np.array(list("abcdef"))
    true = rng.choice(classes[:3], 60)
    predicted = rng.choice(classes[:4], 60)
    p = rng.dirichlet(np.ones(5) / 5, 60)
    model = SimpleNamespace(
        classes_=classes[:5], predict=lambda X: predicted, predict_proba=lambda X: p
    )
    found = score_predictions(model, true, true, classes)
    f1 = f1_score(true, predicted, average=None, labels=list("abcd"), zero_division=0)
    assert_allclose(found["f1"], [*f1, np.nan, np.nan])
    assert found["macro_f1"] == approx(f1.mean())
    assert found["balanced_accuracy"] == approx(balanced_accuracy_score(true, predicted))
    p = np.column_stack([p, np.zeros(60)])
    assert_allclose(found["test_probabilities"], p, rtol=1e-5)
    p = p.clip(0.001)
    p /= p.sum(1, keepdims=True)
    assert found["log_loss"] == approx(log_loss(true, p, labels=classes))


def test_every_value_is_of_the_test_cells_of_its_fold(cells, folds):
    record = cross_validate_classifier(Watching(max_depth=3), cells, folds, verbose=False)
    assert record.repeats.tolist() == [0] * 3 + [1] * 3
    assert_array_equal(record.true, cells.y)
    for f, (train, test) in enumerate(folds[0] + folds[1]):
        tree = DecisionTreeClassifier(max_depth=3, random_state=f // 3)
        p = tree.fit(cells.X[train], cells.y[train]).predict_proba(cells.X[test])
        assert_allclose(record.test_probabilities[0][f], p, rtol=1e-5)
        predicted = p.argmin(axis=1)
        assert_array_equal(record.test_predictions[0][f], predicted)
        assert record.accuracy[f, 0] == (tree.classes_[predicted] == cells.y[test]).mean()


class FromSource(DecisionTreeClassifier):
    """Learns from the source alone."""

    def fit(self, X, y, source):
        return super().fit(*source)


def test_all_that_decides_is_in_the_key(cells, folds, tmp_path):
    cells = relabelled(cells, other=cells.y[::-1])

    numbers = count()

    def key(data=cells, model=Watching(), seed=0, **options):  # noqa: B008
        options |= {"folds": {seed: folds[0]}, "verbose": False}
        options = {"results": tmp_path / f"{next(numbers)}.pickle.xz"} | options
        record = cross_validate_classifier(model, data, **options)
        return record.settings["keys"][0][0]

    path = tmp_path / "types.pickle.xz"
    keys = [
        key(results=path),
        key(model=Watching(max_depth=2)),
        key(target="other"),
        key(seed=1),
        key(relabelled(cells, other=np.roll(cells.y, 1)), target="other"),
        key(relabelled(cells, donor=cells.cell_names)),
        key(replace(cells, families=cells.families[::-1])),
        key(model=FromSource(), source=cells),
        key(model=FromSource(), source=replace(cells, X=-cells.X)),
    ]
    assert len(set(keys)) == len(keys)
    with pytest.raises(ValueError, match="differ in cells.*overwrite=True"):
        key(target="other", results=path)


def test_cells_of_a_source_are_given_to_fit(cells, folds):
    source = replace(cells, X=-cells.X)
    record = cross_validate_classifier(FromSource(), cells, folds, source=source, verbose=False)
    tree = DecisionTreeClassifier(random_state=0).fit(source.X, cells.y)
    _, test = folds[0][0]
    assert_allclose(record.test_probabilities[0][0], tree.predict_proba(cells.X[test]))


class Attentive(LogisticRegression):
    """Logistic regression that attends to the families by their place.

    It is never tested on a cell that it was fitted to, or on a first family of different cells.
    """

    def fit(self, X, y):
        self.fitted_ = X[:, -1]
        return super().fit(X, y)

    def decision_function(self, X):
        assert not np.isin(X[:, -1], self.fitted_).any()
        assert_array_equal(X[:, 0], X[:, 1])
        return super().decision_function(X)

    def attention_weights(self, X):
        return np.tile([4, 3, 2, 1], (len(X), 1))


def decided_by_families(cells, rng):
    """Such cells with five other features."""
    first, second, noise = rng.normal(size=(3, 200))
    first += 3 * (cells.y == "PVALB")
    second += 2.5 * (cells.y == "SST")
    X = np.column_stack([first, first, second, second, noise])
    families = np.array(["decides", "decides", "repeated", "its copy", "noise"])
    return replace(cells, X=X, families=families)


def test_what_a_model_needs_is_found_by_shuffling_and_by_leaving_out(cells, rng):
    cells = decided_by_families(cells, rng)
    record = family_importance(Attentive(C=0.2), cells, n_shuffles=5, verbose=False)
    table = importance_table(record).T
    assert table.columns.tolist() == ["decides", "repeated", "its copy", "noise"]
    decides, repeated, copy, noise = table.loc["shuffled"]
    assert decides > 0.2
    assert min(decides, repeated, copy) > noise
    assert abs(noise) < 0.03
    decides, *others = table.loc["left out"]
    assert decides > 0.1
    assert np.abs(others).max() < 0.05
    assert_allclose(table.loc["attention"], [0.4, 0.3, 0.2, 0.1])


class AttentiveToOne(Watching):
    """Attends to the largest feature."""

    def attention_weights(self, X):
        return np.eye(X.shape[1])[X.argmax(axis=1)]


def test_a_compact_record_has_attention_by_type_instead_of_probabilities(cells, folds):
    model = AttentiveToOne()
    record = cross_validate_classifier(model, cells, folds, compact=True, verbose=False)
    assert not {"test_probabilities", "cell_names"} & record.values.keys()
    for f, (_, test) in enumerate(folds[0]):
        largest = cells.X[test].argmax(axis=1)
        shares = pd.crosstab(cells.y[test], largest, normalize="index")
        assert_allclose(record.attention[f, 0][:, shares.columns], shares)
