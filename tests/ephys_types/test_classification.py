"""Scores, and importance of families, are of unseen donors; results are kept and never mixed."""

from dataclasses import replace
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


class ContraryTree(DecisionTreeClassifier):
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


def replace_labels(cells, **labels):
    return replace(cells, labels=cells.labels.assign(**labels))


@pytest.fixture(params=[3, 4, 7, 20])
def owners(request, cells):
    """Donor of each cell; each donor has one or two types."""
    n_donors = request.param
    _, types = np.unique(cells.y, return_inverse=True)
    numbers = np.random.default_rng(n_donors).integers(9, size=200)
    return (types + 4 * numbers) % n_donors


@pytest.mark.filterwarnings("ignore:simulated_ephys")
def test_default_folds_do_not_split_donors(owners, cells):
    folds = repeated_donor_folds(replace_labels(cells, donor=owners))
    for folds_of_seed in folds.values():
        n_tested = [len(set(owners[test])) for _, test in folds_of_seed]
        assert sum(n_tested) == len(set(owners))


@pytest.mark.filterwarnings("ignore:simulated_ephys")
def test_the_same_folds_are_kept_once(owners, cells):
    """With few donors, all seeds give the same folds."""
    folds = repeated_donor_folds(replace_labels(cells, donor=owners))
    n_donors = len(set(owners))
    assert len(folds) == (3 if n_donors == 20 else 1)


def without_a_type(cells):
    return repeated_donor_folds(replace(cells, labels=cells.labels.replace("SST", "unknown")))


def with_one_donor(cells):
    return repeated_donor_folds(replace_labels(cells, donor="m1"))


def with_one_family(cells):
    data = replace(cells, families=np.full(cells.X.shape[1], "all"))
    return family_importance(ContraryTree(), data, verbose=False)


def without_seeds(cells):
    folds = [(np.arange(100), np.arange(100, 200))]
    return cross_validate_classifier(ContraryTree(), cells, folds, verbose=False)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (without_a_type, "label for every cell in 'type'.*none of {without}"),
        (with_one_donor, "two different labels in 'donor', got one"),
        (with_one_family, "two or more families, got only those of all"),
        (without_seeds, "folds: expected a dict of seed"),
    ],
)
def test_incomplete_cells_or_folds_are_refused(cells, call, message):
    without = cells.cell_names[cells.y == "SST"][0]
    with pytest.raises((TypeError, ValueError), match=message.format(without=without)):
        call(cells)


def test_folds_without_donors_warn(cells):
    labels = cells.labels[["type"]]
    with pytest.warns(UserWarning, match="without donors in the labels"):
        repeated_donor_folds(replace(cells, labels=labels), seeds=[0])


CLASSES = np.array(list("abcdef"))


class Prediction(SimpleNamespace):
    """A model with given predictions, which does not know class f."""

    def predict(self, X):
        return self.predicted

    def predict_proba(self, X):
        return self.probabilities


@pytest.fixture
def true(rng):
    return rng.choice(CLASSES[:3], 60)


@pytest.fixture
def prediction(rng, true):
    """Class d is only predicted, and class e neither true nor predicted."""
    predicted = rng.choice(CLASSES[:4], 60)
    probabilities = rng.dirichlet(np.ones(5) / 5, 60)
    return Prediction(
        classes_=CLASSES[:5],
        predicted=predicted,
        probabilities=probabilities,
    )


@pytest.fixture
def scores(true, prediction):
    return score_predictions(prediction, true, true, CLASSES)


def test_f1_is_missing_for_absent_classes(true, prediction, scores):
    f1 = f1_score(true, prediction.predicted, average=None, labels=CLASSES[:4], zero_division=0)
    assert_allclose(scores["f1"], [*f1, np.nan, np.nan])
    assert scores["macro_f1"] == approx(f1.mean())


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_balanced_accuracy_is_that_of_scikit_learn(true, prediction, scores):
    expected = balanced_accuracy_score(true, prediction.predicted)
    assert scores["balanced_accuracy"] == approx(expected)


def test_untrained_classes_have_probability_zero(prediction, scores):
    expected = np.column_stack([prediction.probabilities, np.zeros(60)])
    assert_allclose(scores["test_probabilities"], expected, rtol=1e-5)


def test_log_loss_is_of_clipped_probabilities(true, prediction, scores):
    probabilities = np.column_stack([prediction.probabilities, np.zeros(60)])
    clipped = probabilities.clip(0.001)
    clipped /= clipped.sum(1, keepdims=True)
    assert scores["log_loss"] == approx(log_loss(true, clipped, labels=CLASSES))


@pytest.fixture(scope="module")
def record(cells, folds):
    return cross_validate_classifier(ContraryTree(max_depth=3), cells, folds, verbose=False)


def test_repeats_and_labels_are_kept(cells, record):
    assert record.repeats.tolist() == [0] * 3 + [1] * 3
    assert_array_equal(record.true, cells.y)


def test_every_value_is_of_the_test_cells(cells, folds, record):
    for f, (train, test) in enumerate(folds[0] + folds[1]):
        tree = DecisionTreeClassifier(max_depth=3, random_state=record.repeats[f])
        tree.fit(cells.X[train], cells.y[train])
        probabilities = tree.predict_proba(cells.X[test])
        least_probable = probabilities.argmin(axis=1)
        is_right = tree.classes_[least_probable] == cells.y[test]
        assert_allclose(record.test_probabilities[0][f], probabilities, rtol=1e-5)
        assert_array_equal(record.test_predictions[0][f], least_probable)
        assert record.accuracy[f, 0] == is_right.mean()


class SourceTree(DecisionTreeClassifier):
    """Learns from the source alone."""

    def fit(self, X, y, source):
        source_X, source_y = source
        return super().fit(source_X, source_y)


def test_a_source_has_the_labels_of_target(cells, folds):
    kinds = np.where(cells.y == cells.y[0], "first", "others")
    both = replace(cells, labels=cells.labels.assign(kind=kinds))
    record = cross_validate_classifier(
        SourceTree(), both, folds, target="kind", source=both, verbose=False
    )
    assert record.accuracy.min() == 1


def test_cells_of_a_source_are_given_to_fit(cells, folds):
    source = replace(cells, X=-cells.X)
    record = cross_validate_classifier(SourceTree(), cells, folds, source=source, verbose=False)
    tree = DecisionTreeClassifier(random_state=0).fit(source.X, cells.y)
    _, test = folds[0][0]
    expected = tree.predict_proba(cells.X[test])
    assert_allclose(record.test_probabilities[0][0], expected)


@pytest.fixture(scope="module")
def saved(cells, folds, tmp_path_factory):
    """Path of the record of a fold whose model knows families, donors and the source."""
    path = tmp_path_factory.mktemp("saved") / "types.pickle.xz"
    save_first_fold(path, cells, folds, source=cells)
    return path


class TransferTree(ContraryTree):
    """That accepts cells of another species."""

    algorithm_version = 1

    def fit(self, X, y, families, groups, source):
        return super().fit(X, y, families, groups)


def save_first_fold(path, cells, folds, source):
    first = {0: folds[0][:1]}
    model = TransferTree()
    cross_validate_classifier(model, cells, first, source=source, results=path, verbose=False)


def with_other_types(cells):
    return replace_labels(cells, type=np.roll(cells.y, 1))


def with_other_donors(cells):
    return replace_labels(cells, donor=cells.cell_names)


def with_other_families(cells):
    return replace(cells, families=cells.families[::-1])


@pytest.mark.parametrize("change", [with_other_types, with_other_donors, with_other_families])
def test_records_of_other_cells_are_refused(cells, folds, saved, change):
    with pytest.raises(ValueError, match="differ in cells.*overwrite=True"):
        save_first_fold(saved, change(cells), folds, source=cells)


class AttentiveRegression(LogisticRegression):
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


@pytest.fixture(scope="module")
def importance(cells):
    """Importance of four families: one decides, one is a copy of another, and one is noise."""
    first, second, noise = np.random.default_rng(0).normal(size=(3, 200))
    first += 3 * (cells.y == "PVALB")
    second += 2.5 * (cells.y == "SST")
    X = np.column_stack([first, first, second, second, noise])
    families = np.array(["decides", "decides", "repeated", "its copy", "noise"])
    data = replace(cells, X=X, families=families)
    model = AttentiveRegression(C=0.2)
    record = family_importance(model, data, n_shuffles=5, verbose=False)
    return importance_table(record)


def test_importance_is_by_family(importance):
    assert importance.index.tolist() == ["decides", "repeated", "its copy", "noise"]


def test_shuffling_shows_what_the_model_uses(importance):
    decides, repeated, copy, noise = importance["shuffled"]
    assert decides > 0.2
    assert min(decides, repeated, copy) > noise
    assert abs(noise) < 0.03


def test_leaving_out_shows_what_cannot_be_replaced(importance):
    decides, *replaceable = importance["left out"]
    assert decides > 0.1
    assert np.abs(replaceable).max() < 0.05


def test_attention_to_families_sums_to_one(importance):
    assert_allclose(importance["attention"], [0.4, 0.3, 0.2, 0.1])


class TreeAttentiveToLargest(ContraryTree):
    """Attends to the largest feature."""

    def attention_weights(self, X):
        return np.eye(X.shape[1])[X.argmax(axis=1)]


@pytest.fixture(scope="module")
def compact(cells, folds):
    model = TreeAttentiveToLargest()
    return cross_validate_classifier(model, cells, folds, compact=True, verbose=False)


def test_a_compact_record_has_no_probabilities(compact):
    assert not {"test_probabilities", "cell_names"} & compact.values.keys()


def test_a_compact_record_has_attention_by_type(cells, folds, compact):
    for f, (_, test) in enumerate(folds[0]):
        largest = cells.X[test].argmax(axis=1)
        expected = pd.crosstab(cells.y[test], largest, normalize="index")
        assert_allclose(compact.attention[f, 0][:, expected.columns], expected)
