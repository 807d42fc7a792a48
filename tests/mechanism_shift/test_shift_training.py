"""Where training of models of screens ends, and which cells validate."""

import numpy as np
import pytest
import torch
from material.estimators import seeded
from pytest import approx

from sbnn.mechanism_shift import SparseShiftVAE, simulate_perturbations
from sbnn.mechanism_shift.network import sample_gates
from sbnn.mechanism_shift.training import PublishedTraining, split_cells

#: Method, training and epochs; epochs taken, precision of the prior on weights, mean loss,
#: bound of the cells, and SDs of latents and of effects.
ENDS = [
    ("svae+", "one-cycle", 8, "8 18 -113170.50 -358.103 0.15316 0.15466"),
    ("ivae", "one-cycle", 8, "8 72 -113110.78 -358.130 0.13634 0.13445"),
    ("svae", "published", 30, "30 0 -113116.22 -423.188 0.17318 1.15945"),
    ("svae+", "retrained", 5, "10 0 -113229.14 -426.818 0.20984 1.23658"),
    ("vae", "published", 9, "9 0 -113200.93 -425.941 0.20093 0.0"),
]


@pytest.mark.usefixtures("recorded_draws")
@pytest.mark.parametrize(("method", "training", "epochs", "end"), ENDS)
def test_training_ends_where_it_always_did(few, method, training, epochs, end):
    model = SparseShiftVAE(3, method, training, hidden=8, epochs=epochs, random_state=0).fit(*few)
    n_epochs, precision, loss, bound, *sds = (float(number) for number in end.split())
    assert len(model.history_) == n_epochs
    assert model.weight_precision_ == precision
    assert model.history_["loss"].mean() == approx(loss, abs=0.3)
    assert model.elbo(*few[:2], n_samples=2) == approx(bound, abs=0.03)
    found = [model.transform(few[0]).std(), model.shift_graph_["effect"].std()]
    assert found == approx(sds, rel=0.03)  # gates are drawn: rounding may change one


def test_training_ends_without_a_better_score(few, monkeypatch):
    """The first three epochs are before the warm-up, and the fourth is the best."""
    scores = [5.0, 4.0, 1.0, 2.0, 0.5, 0.4]
    remaining = iter(scores)
    monkeypatch.setattr(PublishedTraining, "patience", 2)
    monkeypatch.setattr(PublishedTraining, "validation_bound", lambda *_: next(remaining))
    model = SparseShiftVAE(3, training="published", hidden=8, epochs=15, random_state=0).fit(*few)
    assert model.history_["validation_elbo"].tolist() == scores
    assert model.elbo(*few[:2], n_samples=2) == approx(-428.798, abs=0.03)


def test_without_validation_cells_shrinkage_is_strong():
    few_cells = simulate_perturbations(9, 4, 2, 40, random_state=0)
    model = SparseShiftVAE(2, hidden=4, epochs=4, random_state=0).fit(few_cells)
    assert model.weight_precision_ == 72


def test_sampled_gates_are_hard_with_soft_gradients():
    logits = torch.tensor([1.0, -1.0]).repeat(1000, 1).requires_grad_()
    samples = sample_gates(logits, seeded())
    samples.sum().backward()
    assert set(samples.detach().unique().round(decimals=5).tolist()) == {0.0, 1.0}
    assert (logits.grad > 0).all()


CODES = np.array([0, 1, 0, 1, 1, 0, 0, 2, 1])


def test_every_cell_is_for_training_or_validation():
    train, validation = split_cells(CODES, 0.5, np.random.RandomState(0))
    assert sorted([*train, *validation]) == list(range(9))


def test_a_fraction_of_each_perturbation_is_for_validation():
    _, validation = split_cells(CODES, 0.5, np.random.RandomState(0))
    assert sorted(CODES[validation]) == [0, 0, 1, 1]


@pytest.mark.parametrize(("epochs", "expected"), [(None, (300, 50)), (50, (50, 10))])
def test_published_epochs_and_warm_up(few, monkeypatch, epochs, expected):
    """Those of the simulated and of the real screens of the article."""
    calls = []
    monkeypatch.setattr(PublishedTraining, "train_until_best", lambda _, *n: calls.append(n))
    SparseShiftVAE(3, training="published", hidden=8, epochs=epochs).fit(*few)
    assert calls == [expected]
