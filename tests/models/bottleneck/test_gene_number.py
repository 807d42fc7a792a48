"""The number of genes is chosen on held-out parts of the training cells, and nowhere else."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.model_selection import GroupKFold, KFold

from sbnn.models.gene_number import WithNumberChosen, choose_n_genes, numbers_up_to


class Recorder(BaseEstimator):
    """Its score is that of `SCORES`; it writes down the cells of fits and scores."""

    SCORES = {2: 0.1, 5: 0.5, 10: 0.5}
    seen: list = []

    def __init__(self, n_genes=25, random_state=None):
        self.n_genes = n_genes
        self.random_state = random_state

    def fit(self, X, Y, eval_set=None):
        self.eval_set_ = eval_set
        self.seen.append(("fit", self.n_genes, X[:, 0].tolist()))
        return self

    def score(self, X, Y):
        self.seen.append(("score", self.n_genes, X[:, 0].tolist()))
        return self.SCORES[self.n_genes]


@pytest.fixture
def cells():
    """30 cells x 12 genes; the first gene is the number of the cell."""
    X = np.tile(np.arange(30.0)[:, np.newaxis], 12)
    Recorder.seen.clear()
    return X, X[:, :2]


def test_numbers_below_the_number_of_genes_are_compared():
    assert numbers_up_to(25) == (5, 10, 15)
    assert numbers_up_to(4) == (4,)
    assert numbers_up_to(9, (2, 8, 9)) == (2, 8)


@pytest.mark.parametrize("n_donors", [None, 2, 5])
def test_each_number_is_scored_on_the_cells_that_it_was_not_fitted_to(cells, n_donors):
    donors = None
    parts = KFold(3, shuffle=True, random_state=0)
    if n_donors is not None:
        donors = np.arange(30) % n_donors
        parts = GroupKFold(min(3, n_donors), shuffle=True, random_state=0)
    number, r2 = choose_n_genes(Recorder(), *cells, donors, numbers=(2, 5, 10, 12))
    assert number == 5
    assert r2.index.tolist() == [2, 5, 10] and r2.index.name == "n_genes"
    assert (r2.T == [0.1, 0.5, 0.5]).all(axis=None)
    expected = []
    for train, test in parts.split(cells[0], groups=donors):
        for n_genes in (2, 5, 10):
            expected.append(("fit", n_genes, train.tolist()))
            expected.append(("score", n_genes, test.tolist()))
    assert Recorder.seen == expected


def test_the_wrapper_fits_all_cells_with_the_chosen_number(cells, monkeypatch):
    monkeypatch.setattr("sbnn.models.gene_number.NUMBERS", (2, 5, 10))
    X, Y = cells
    model = WithNumberChosen(Recorder()).fit(X, Y, (X[:3], Y[:3]))
    assert Recorder.seen[-1] == ("fit", 5, list(range(30)))
    assert len(model.eval_set_[0]) == 3
    Recorder.seen.clear()
    model = WithNumberChosen(Recorder(), 7).fit(X, Y)
    assert Recorder.seen == [("fit", 7, list(range(30)))]
    assert model.eval_set_ is None


def test_the_wrapper_is_described_as_its_estimator():
    model = WithNumberChosen(Recorder(), 10).set_params(estimator__random_state=3)
    assert model.described_as.get_params() == {"n_genes": 10, "random_state": 3}
    assert not hasattr(model, "predict")
