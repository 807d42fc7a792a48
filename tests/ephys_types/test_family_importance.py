"""A family that decides is important by every measure; a copy only when it is shuffled."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from sbnn import typed_cells
from sbnn.ephys_types.classification import (
    attention_by_class,
    family_importance,
    importance_table,
)

FAMILIES = ("decides", "repeated", "its copy", "noise")


class Attentive(ClassifierMixin, BaseEstimator):
    """Logistic regression that attends to the families by their place."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y, families=None):
        self.model_ = LogisticRegression(C=0.2).fit(X, y)
        self.classes_, self.n_families_ = (
            self.model_.classes_,
            pd.Series(X[0], families).index.nunique(),
        )
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X)

    def predict(self, X):
        return self.model_.predict(X)

    def attention_weights(self, X):
        return np.tile(np.arange(self.n_families_, 0, -1.0), (len(X), 1))


@pytest.fixture(scope="module")
def cells():
    """The first family has two features, the others one."""
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 80)
    X = rng.normal(size=(240, 5))
    X[:, :2] += 3 * (y == "a")[:, None]
    X[:, 2] += 2.5 * (y == "b")
    X[:, 3] = X[:, 2] + rng.normal(0, 0.01, 240)
    order = rng.permutation(240)
    labels = pd.DataFrame({"type": y, "donor": rng.integers(0, 40, 240).astype(str)}).rename(
        "c{}".format
    )
    families = dict(zip(FAMILIES, [["d0", "d1"], ["r"], ["r copy"], ["n"]], strict=True))
    return typed_cells(
        pd.DataFrame(X, labels.index, sum(families.values(), [])).iloc[order], labels, families
    )


def test_what_a_model_needs_is_found_by_shuffling_and_by_leaving_out(cells, tmp_path, monkeypatch):
    path = tmp_path / "families.pickle"
    record, again = (
        family_importance(Attentive(), cells, verbose=False, results=to) for to in (path, None)
    )
    for name in ("shuffled_log_loss", "left_out_log_loss", "attention"):
        assert_array_equal(record.values[name], again.values[name])
    for loss in ("log_loss", "macro_f1"):
        decides, repeated, copy, noise = record.values[f"shuffled_{loss}"].mean(0)
        assert decides > repeated > noise and copy > noise and decides > 0.2 and abs(noise) < 0.03
        decides, repeated, copy, noise = record.values[f"left_out_{loss}"].mean(0)
        assert decides > 0.1 and max(abs(repeated), abs(copy), abs(noise)) < 0.05
    assert_allclose(record.attention, np.tile([0.4, 0.3, 0.2, 0.1], (3, 1)))
    monkeypatch.setattr(Attentive, "fit", lambda *_: pytest.fail("fitted again"))
    with pytest.raises(ValueError, match="differs in n_shuffles"):
        family_importance(Attentive(), cells, n_shuffles=3, verbose=False, results=path)


class OfOnePiece(Attentive):
    """Refuses cells it was fitted to, and cells whose first family is of two different cells."""

    def fit(self, X, y, families=None):
        self.fitted_ = X
        return super().fit(X, y, families)

    def predict_proba(self, X):
        assert not np.isin(X[:, -1], self.fitted_[:, -1]).any()
        if X.shape[1] == 5:
            assert_array_equal(X[:, 0], X[:, 1])
        return super().predict_proba(X)


def test_a_family_is_shuffled_as_a_whole_and_among_the_test_cells(cells):
    X = cells.X.copy()
    X[:, 1] = X[:, 0]
    together = typed_cells(
        pd.DataFrame(X, cells.obs_names, cells.var_names), cells.obs, cells.var["family"]
    )
    record = family_importance(OfOnePiece(), together, n_shuffles=2, verbose=False)
    assert (record.shuffled_log_loss[:, 0] > 0.1).all()


def test_cells_with_some_value_of_a_family_that_is_left_are_trained_on(cells, monkeypatch):
    X, fit, proba, sizes = cells.X.copy(), Attentive.fit, Attentive.predict_proba, []
    X[::2, 4] = X[0, 2:] = np.nan
    gaps = typed_cells(
        pd.DataFrame(X, cells.obs_names, cells.var_names), cells.obs, cells.var["family"]
    )

    def counted(self, X, y, families=None):
        sizes.append(len(X))
        return fit(self, np.nan_to_num(X), y, families)

    monkeypatch.setattr(Attentive, "fit", counted)
    monkeypatch.setattr(Attentive, "predict_proba", lambda self, X: proba(self, np.nan_to_num(X)))
    monkeypatch.setattr(
        Attentive, "predict", lambda self, X: self.classes_[self.predict_proba(X).argmax(1)]
    )
    record = family_importance(Attentive(), gaps, n_shuffles=1, verbose=False)
    assert sizes == [
        len(train) - (i == 1 and 0 in train) for train, _ in record.folds for i in range(5)
    ]


def test_attention_is_averaged_over_the_cells_of_a_class():
    weights = np.array([[1.0, 0], [0, 1], [0.5, 1.5], [1, 1]])
    found = attention_by_class(weights, np.array(list("aaab")), np.array(list("abc")))
    assert_allclose(found, [[0.375, 0.625], [0.5, 0.5], [np.nan, np.nan]])


def test_importance_is_the_mean_over_the_folds(cells):
    record = family_importance(Attentive(), cells, n_shuffles=1, seed=3, verbose=False)
    table = importance_table(record)
    assert table.index.tolist() == list(FAMILIES)
    assert_allclose(table["shuffled"], record.shuffled_log_loss.mean(axis=0))
    assert_allclose(table["left out"], record.left_out_log_loss.mean(axis=0))
    assert_allclose(table["attention"], [0.4, 0.3, 0.2, 0.1])
    assert record.seed == 3
    assert len(record.settings["folds"]) == 5
    with pytest.raises(ValueError, match="n_shuffles"):
        family_importance(Attentive(), cells, n_shuffles=0)
