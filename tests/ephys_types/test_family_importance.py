"""A family that decides is important by every measure; a copy only when it is shuffled."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

from sbnn import typed_cells
from sbnn.ephys_types import family_importance
from sbnn.ephys_types.report import importance_table

FAMILIES = ("decides", "decides", "repeated", "its copy", "noise")


class Attentive(LogisticRegression):
    """Logistic regression that attends to the families by their place.

    It is never tested on a cell that it was fitted to, or on a first family of different cells.
    """

    n_trained = []  # noqa: RUF012

    def fit(self, X, y, families):
        self.n_trained.append(len(X))
        self.fitted_ = X[:, -1]
        self.weights_ = np.arange(len(set(families)), 0, -1.0)
        return super().fit(np.nan_to_num(X), y)

    def decision_function(self, X):
        assert not np.isin(X[:, -1], self.fitted_).any()
        if X.shape[1] == 5:
            assert_array_equal(X[:, 0], X[:, 1])
        return super().decision_function(np.nan_to_num(X))

    def attention_weights(self, X):
        return np.tile(self.weights_, (len(X), 1))


@pytest.fixture(scope="module")
def cells():
    """Cells of shape (240, 5) in random order; the first one has values of one family only."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(["a", "b", "c"], 80))
    X = rng.normal(size=(240, 5))
    X[:, :2] = X[:, :1] + 3 * (y == "a")[:, None]
    X[:, 2] += 2.5 * (y == "b")
    X[:, 3] = X[:, 2] + rng.normal(0, 0.01, 240)
    X[0, 2:] = np.nan
    labels = pd.DataFrame({"type": y, "donor": rng.integers(0, 40, 240).astype(str)})
    return typed_cells(X, labels.rename("cell_{}".format), FAMILIES)


def test_what_a_model_needs_is_found_by_shuffling_and_by_leaving_out(cells, tmp_path):
    Attentive.n_trained.clear()
    path = tmp_path / "families.pickle"
    model = Attentive(C=0.2)
    record = family_importance(model, cells, n_shuffles=5, verbose=False, results=path)
    # the first cell is not trained on without its only family
    expected = []
    for train, _ in record.folds:
        expected += [len(train), len(train) - (0 in train)] + [len(train)] * 3
    assert Attentive.n_trained == expected
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
    with pytest.raises(ValueError, match="differs in n_shuffles"):
        family_importance(model, cells, n_shuffles=3, results=path)
